"""What models were asked is in the store: budgets, the record, the metrics and the command line all read it there."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.reasoning.budget import Budget, BudgetLimits
from agents.reasoning.failures import BudgetExceeded
from agents.reasoning.ledger import Usage
from server import exits
from server.cli import run
from tests.agents.test_llm_budget import call
from tests.server.live import LiveServer
from tests.server.test_metrics import samples
from tests.server.web import make_services, opened, running
from tests.server.world import World

HOSTILE = "\x1b[2J[bold]boo[/bold]\u202e"


async def test_the_store_sums_what_an_incident_and_a_day_have_cost(world: World) -> None:
    store = world.store
    await store.called(call("a", world.at, cost_usd=0.5, usage=Usage(100, 10), seconds=1.5))
    await store.called(call("a", world.at - timedelta(days=2), usage=Usage(7, 3, reported=False)))
    await store.called(call("b", world.at, cost_usd=0.25, usage=Usage(1, 1)))
    mine = await store.spent("a")
    assert (mine.calls, mine.input_tokens, mine.output_tokens, mine.estimated_calls) == (2, 107, 13, 1)
    assert mine.cost_usd is None, "not every call has a price"
    today = await store.spent_since(world.at - timedelta(hours=1))
    assert (today.calls, today.tokens, today.cost_usd) == (2, 112, 0.75)
    assert (await store.spent("nobody")).calls == 0


async def test_a_budget_survives_a_restart(world: World) -> None:
    limits = BudgetLimits(incident_calls=1)
    await Budget(limits, world.store, lambda: world.at).ledger.called(call("a", world.at))
    with pytest.raises(BudgetExceeded):
        await Budget(limits, world.store, lambda: world.at).check("a")


async def test_the_calls_of_an_incident_are_read_whole(world: World) -> None:
    await world.store.called(call("a", world.at, messages=(("system", "s"), ("human", HOSTILE)), answer="{}"))
    [kept] = await world.store.model_calls("a")
    assert kept["messages"] == [{"role": "system", "text": "s"}, {"role": "human", "text": HOSTILE}]
    assert (kept["prompt"], kept["status"], kept["reported"], kept["at"]) == (
        *("diagnose@2", "answered", True, world.at.isoformat()),
    )


async def test_what_calls_have_in_common_is_kept_once(world: World) -> None:
    for text in ("one", "other"):
        sent = (("system", "You find out why"), ("human", text), ("schema", "{}"))
        await world.store.called(call("a", world.at, messages=sent))
    first, second = await world.store.model_calls("a")
    assert [item["text"] for item in first["messages"]] == ["You find out why", "one", "{}"]
    assert [item["text"] for item in second["messages"]] == ["You find out why", "other", "{}"]
    kept = await world.store._db.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM model_texts").scalar())
    assert kept == 2


async def test_the_record_the_interface_and_the_metrics_tell_what_was_spent(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    async with running(services) as client:
        incident_id = await opened(client)
        assert (await client.get("/api/incidents/1")).json()["model"] is None
        await services.store.called(call(incident_id, cost_usd=0.5, usage=Usage(100, 10), seconds=1.5))
        await services.store.called(call(incident_id, status="failed", purpose="plan", prompt="plan@2"))
        told = (await client.get("/api/incidents/1")).json()["model"]
        calls = (await client.get("/api/incidents/1/model-calls")).json()["calls"]
        seen = samples((await client.get("/metrics")).text)
        assert (await client.get("/api/incidents/77/model-calls")).status_code == 404
    assert (told["calls"], told["input_tokens"], told["seconds"]) == (2, 110, 1.5)
    assert (told["models"], told["prompts"]) == (["tiny"], ["diagnose@2", "plan@2"])
    assert [item["purpose"] for item in calls] == ["diagnose", "plan"]
    assert seen["selfheal_model_calls_total{tiny,diagnose,answered}"] == 1
    assert seen["selfheal_model_calls_total{tiny,plan,failed}"] == 1
    assert seen["selfheal_model_tokens_total{input,tiny}"] == 110
    assert seen["selfheal_model_cost_usd_total{tiny}"] == 0.5
    assert seen["selfheal_model_seconds_total{tiny}"] == 1.5


def show(live: LiveServer, *more: Any) -> int:
    return run(["prompt", "show", "1", *more, "--config", str(live.config)])


def test_a_prompt_is_shown_as_it_was_sent_and_nothing_in_it_is_obeyed(
    live: LiveServer, incident: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = (("system", "You find out why"), ("human", HOSTILE))
    live.do(
        live.services.store.called(call(incident, messages=sent, answer='{"no": 1}', status="invalid", problem="x"))
    )
    live.do(live.services.store.called(call(incident, purpose="plan", cost_usd=0.01)))
    assert show(live) == exits.OK
    told = capsys.readouterr().out
    assert "call 1: diagnose, attempt 1, tiny by json_schema, prompt diagnose@2" in told
    assert "You find out why" in told and '{"no": 1}' in told and "invalid (x)" in told
    assert "[bold]boo[/bold]" in told and "\x1b[2J" not in told and "\u202e" not in told
    assert show(live, "--call", "2") == exits.OK
    told = capsys.readouterr().out
    assert "call 2: plan" in told and "call 1" not in told and "≈ $0.0100" in told
    assert show(live, "--json") == exits.OK
    assert len(json.loads(capsys.readouterr().out)["calls"]) == 2
    assert show(live, "--call", "3") == exits.USAGE


def test_where_no_model_was_asked_it_says_so(
    live: LiveServer, incident: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(live) == exits.OK
    assert "no model was asked" in capsys.readouterr().err
    assert run(["incidents", "show", "1", "--config", str(live.config)]) == exits.OK
    assert "The model" not in capsys.readouterr().out
    live.do(live.services.store.called(call(incident, cost_usd=0.011, usage=Usage(4100, 300), seconds=5.2)))
    assert run(["incidents", "show", "1", "--config", str(live.config)]) == exits.OK
    assert "tiny: 1 calls, 4100 tokens in, 300 out, 5.20 s, ≈ $0.0110" in capsys.readouterr().out

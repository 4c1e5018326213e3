"""What is promised of all metrics: names, units, few labels, the handbook's list, and that a scrape is cheap."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, event

from agents.reasoning.ledger import ModelCall, Usage
from graph.records import Alert, AlertGroup
from graph.rules.notifying import Listener
from server.operations_api import numbers
from server.services import Services
from server.store import Telling, deliveries
from tests.server.test_metrics import samples
from tests.server.web import end_leg, finished, make_services, running
from tests.server.world import World

OPERATING = (Path(__file__).parent.parent.parent / "docs" / "operating.md").read_text()


async def told_of_everything(services: Services) -> None:
    """Have something happen that each family tells of. The incident stays escalated."""
    store, at = services.store, services.store.time()
    labels = {"alertname": "Down", "resource_kind": "Instance", "resource_id": "inst-abc123"}
    group = AlertGroup(alerts=(Alert(status="firing", labels=labels),))
    [accepted] = await store.accept(group, services.place)
    assert accepted.incident_id is not None
    await end_leg(services, accepted.incident_id, finished("escalated"))
    telling = Telling(listeners=(Listener("chat", frozenset({"escalated"})),))
    await store.settle_notices(telling)
    [delivery] = await store.claim_deliveries(telling, "chat")
    await store.not_delivered(delivery.id, at + timedelta(hours=1), "away")
    about = (accepted.incident_id, at, "plan", 1, "tiny", "plan@1", "json", (), "", "answered", "")
    await store.called(ModelCall(*about, usage=Usage(9, 1), seconds=1.5, cost_usd=0.02))
    services.metrics.node("plan", 0.3)
    await services.metrics.keep(store)
    await store.add_up({("actions_started", ("restart",)): 1, ("actions", ("restart", "failed")): 1})


async def everything(folder: Path) -> str:
    """A page on which every family has something to tell."""
    services = make_services(folder)
    async with running(services):
        await told_of_everything(services)
        return (await numbers(services)).decode()


async def test_notices_are_counted_with_those_that_fail(tmp_path: Path) -> None:
    seen = samples(await everything(tmp_path))
    assert seen["selfheal_notifications_total{escalated,failed,chat}"] == 1
    assert seen["selfheal_notifications_total{escalated,gave_up,chat}"] == 0
    assert seen["selfheal_notifications_waiting{chat}"] == 1
    assert "selfheal_notifications_failing_seconds{chat}" in seen


async def test_every_way_a_notice_may_end_is_counted_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    hears = frozenset({"opened", "mitigated", "digest"})
    telling = Telling(listeners=(Listener("chat", hears),), max_per_hour=1, digest_after=timedelta(0))
    numbered = [f"inst-{number}" for number in range(4)]

    def tell(connection: Connection) -> None:
        for resource in (*numbered, "inst-0"):  # The last repeats the first, which is folded into it.
            payload = {"event": "opened", "incident_id": resource, "resource": resource}
            deliveries.deliver(connection, telling, "chat", payload, f"{resource}:{world.at}", world.at)
            world.later(1)

    db, store = world.store._db, world.store
    await db.write(tell)
    [first] = await store.claim_deliveries(telling, "chat")
    await store.not_delivered(first.id, world.at, "away")
    [again] = await store.claim_deliveries(telling, "chat")
    await store.delivered(again.id)
    await db.write(lambda c: deliveries.digest(c, "chat", world.at))
    [digest] = await store.claim_deliveries(telling, "chat")
    await store.not_delivered(digest.id, None, "gone")
    payload = {"event": "mitigated", "incident_id": "a", "resource": "r"}
    await db.write(lambda c: deliveries.deliver(c, telling, "mail", payload, "x", world.at))
    await db.write(lambda c: deliveries.forget(c, ["chat"]))
    counted = (await store.counts())["totals"]["notifications"]
    assert counted == {
        ("chat", "opened", "folded"): 1,
        ("chat", "opened", "held"): 3,
        ("chat", "opened", "failed"): 1,
        ("chat", "opened", "sent"): 1,
        ("chat", "digest", "failed"): 1,
        ("chat", "digest", "gave_up"): 1,
        ("mail", "mitigated", "dropped"): 1,
    }
    await store.close()


async def test_names_and_units_are_as_prometheus_has_them_and_labels_are_of_few_values(tmp_path: Path) -> None:
    families = {family.name: family for family in text_string_to_metric_families(await everything(tmp_path))}
    few = {
        "action", "decision", "direction", "event", "le", "model", "node", "outcome", "phase", "purpose", "reason",
        "result", "role", "status", "target", "target_kind", "version",
    }  # fmt: skip
    for name, family in families.items():
        assert name.startswith(("selfheal_", "process_")) and family.documentation, name
        assert not name.endswith("_created"), name
        for sample in family.samples:
            assert set(sample.labels) <= few, sample
            assert not any("inst-abc123" in value for value in sample.labels.values()), sample
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name
        if re.search("age|oldest|duration|failing", name):
            assert name.endswith("_seconds"), name


async def test_the_handbook_lists_every_metric_there_is_and_no_other(tmp_path: Path) -> None:
    families = text_string_to_metric_families(await everything(tmp_path))
    there = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    listed = set(re.findall(r"^\| `(selfheal_\w+)", OPERATING, re.M))
    assert listed == {name for name in there if name.startswith("selfheal_")}


async def test_what_is_told_at_each_scrape_is_found_by_an_index(tmp_path: Path) -> None:
    async with running(services := make_services(tmp_path)):
        asked: list[str] = []
        event.listen(services.store._db._engine, "before_cursor_execute", lambda *about: asked.append(_written(*about)))
        await services.store.counts()
        queries = [query for query in asked if query.startswith("SELECT")]
        plans = [
            str(step.detail)
            for query in queries
            for step in await services.store._db.read(
                lambda c, q=query: c.exec_driver_sql(f"EXPLAIN QUERY PLAN {q}").all()
            )
        ]
        assert len(queries) == 7 and plans
        assert [plan for plan in plans if plan.startswith("SCAN") and "INDEX" not in plan] == [
            "SCAN workers",
            "SCAN tallies",
        ]


def _written(connection: Any, cursor: Any, statement: str, parameters: tuple[Any, ...], *_: Any) -> str:
    """A statement with its parameters, all of them words, in it."""
    for value in parameters:
        statement = statement.replace("?", f"'{value}'", 1)
    return statement

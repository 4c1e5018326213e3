"""Pages over HTTP, as a browser without JavaScript asks for them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from graph.records import utc_now
from server.changes import Changes
from server.console.incident_page import PARTS
from server.console.live import Streams, marks
from server.services import Services
from tests.agents.injections import INJECTIONS
from tests.console import scenes
from tests.server.web import running


@pytest_asyncio.fixture
async def console(tmp_path: Path) -> AsyncIterator[tuple[Services, httpx.AsyncClient]]:
    services = scenes.make_console(tmp_path)
    async with running(services, scenes.load_actions) as client:
        yield services, client


Console = tuple[Services, httpx.AsyncClient]


async def page(client: httpx.AsyncClient, path: str, status: int = 200) -> str:
    answer = await client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    return answer.text


def record_is_open(record: dict[str, Any] | None) -> bool:
    return record is not None and record["phase"] == "waiting_approval"


async def decide(client: httpx.AsyncClient, **fields: str) -> httpx.Response:
    asked = {"plan_fingerprint": scenes.PLAN.plan_fingerprint, **fields}
    return await client.post("/incidents/1/decision", data=asked)


async def test_without_incidents_the_list_says_what_brings_one(console: Console) -> None:
    assert "No incidents yet" in await page(console[1], "/incidents")


async def test_a_waiting_plan_is_shown_with_all_that_should_be_known(console: Console) -> None:
    services, client = console
    await scenes.waiting(services)
    text = await page(client, "/incidents/1")
    for wanted in (
        "web crashed",
        "process_crashed",
        "systemctl restart web.service",
        "interrupts what it touches for a moment",
        "host/inst-abc123",
        "nothing undoes restart",
        "nothing runs, and it is escalated to a human",
        'href="#E2"',
        'id="E2"',
        "Approve and run",
    ):
        assert wanted in text, wanted


async def test_a_plan_is_approved_by_a_plain_form_and_the_second_is_told_who_was_first(console: Console) -> None:
    services, client = console
    await scenes.waiting(services)
    first = await decide(client, decision="approve", comment="go")
    assert (first.status_code, first.headers["location"].partition("?")[0]) == (303, "/incidents/1")
    second = await decide(client, decision="reject", comment="wait!")
    assert second.status_code == 409
    assert "already decided: approve by operator" in second.text
    record = await services.store.incident("1")
    assert record is not None and record["approvals"][0]["comment"] == "go"


@pytest.mark.parametrize(("button", "then"), [("reject", "close"), ("replan", "replan")])
async def test_a_plan_is_rejected_for_good_or_for_another(console: Console, button: str, then: str) -> None:
    services, client = console
    await scenes.waiting(services)
    assert (await decide(client, decision=button, comment="not now")).status_code == 303
    record = await services.store.incident("1")
    assert record is not None and record["audit"][-1]["detail"]["then"] == then


async def test_a_plan_that_changed_is_not_approved_by_an_old_page(console: Console) -> None:
    services, client = console
    await scenes.waiting(services)
    answer = await decide(client, decision="approve", plan_fingerprint="0123456789abcdef", comment="typed before")
    assert answer.status_code == 409 and "look at it again" in answer.text
    assert "typed before</textarea>" in answer.text, "what was typed is kept"


async def test_steps_are_edited_within_what_is_known_of_the_resource(console: Console) -> None:
    services, client = console
    await scenes.waiting(services)
    form = await page(client, "/incidents/1/edit")
    assert '<option value="db"' in form and "replace the service" in form
    fields = {"action_0": "restart", "use_0": "1", "order_0": "1", "param_0_unit": "db", "param_0_patience": "7"}
    fingerprint = {"plan_fingerprint": scenes.PLAN.plan_fingerprint, "go": "run"}
    wrong = await client.post("/incidents/1/edit", data=fields | fingerprint | {"param_0_patience": "600"})
    assert wrong.status_code == 422 and "less than or equal to 60" in wrong.text
    unknown = await client.post("/incidents/1/edit", data=fields | fingerprint | {"param_0_unit": "sshd"})
    assert unknown.status_code == 422 and "sshd" not in str(await services.store.waiting_plan("1"))
    added = await client.post("/incidents/1/edit", data=fields | fingerprint | {"go": "add", "add": "replace"})
    assert added.status_code == 200 and 'name="action_1" value="replace"' in added.text
    checked = await client.post("/incidents/1/edit", data=fields | fingerprint | {"go": "check"})
    assert checked.status_code == 200 and "restart(" in checked.text and "nothing undoes restart" in checked.text
    assert record_is_open(await services.store.incident("1")), "looking decides nothing"
    assert (await client.post("/incidents/1/edit", data=fields | fingerprint)).status_code == 303
    record = await services.store.incident("1")
    assert record is not None
    assert record["approvals"][0]["decision"] == "edit"
    assert record["approvals"][0]["plan_fingerprint"] != scenes.PLAN.plan_fingerprint


async def test_to_leave_out_every_step_is_no_edit(console: Console) -> None:
    services, client = console
    await scenes.waiting(services)
    fields = {"action_0": "restart", "plan_fingerprint": scenes.PLAN.plan_fingerprint, "go": "run"}
    answer = await client.post("/incidents/1/edit", data=fields)
    assert answer.status_code == 422 and "reject the plan" in answer.text


async def test_another_remedy_is_chosen_with_one_button(console: Console) -> None:
    services, client = console
    await scenes.waiting(services)
    steps = '[{"action": "replace", "params": {"unit": "web"}}]'
    fields = {"plan_fingerprint": scenes.PLAN.plan_fingerprint, "go": "run", "steps": steps}
    assert (await client.post("/incidents/1/edit", data=fields)).status_code == 303
    record = await services.store.incident("1")
    assert record is not None and record["approvals"][0]["decision"] == "edit"


async def test_what_expired_can_not_be_decided_any_more_and_says_so(console: Console) -> None:
    services, client = console
    await scenes.waiting(services, seconds=-1)
    answer = await decide(client, decision="approve")
    assert answer.status_code == 409 and "expired at" in answer.text


async def test_the_other_verbs_come_back_to_the_page_with_what_they_did(console: Console) -> None:
    services, client = console
    await scenes.escalated(services)
    noted = await client.post("/incidents/1/acknowledge", data={"comment": "on it"})
    assert noted.status_code == 303 and "has taken note of #1" in await page(client, "/incidents/1")
    taken = await client.post("/incidents/1/take-over", data={"minutes": "20", "comment": "mine"})
    assert "operator%27s%20until" in taken.headers["set-cookie"]
    assert "has it until" in await page(client, "/incidents/1")
    assert (await client.post("/incidents/1/take-over", data={"minutes": "0"})).status_code == 422
    confirmed = await client.post("/incidents/1/confirm", data={"cause": "process_crashed", "right": "no"})
    assert confirmed.status_code == 303
    assert "the repair was wrong" in await page(client, "/incidents/1")
    assert (await client.post("/incidents/1/close", data={"comment": "done"})).status_code == 303
    late = await client.post("/incidents/1/close", data={"comment": ""})
    assert late.status_code == 409 and "is closed" in late.text
    assert (await client.post("/incidents/1/dance", data={"comment": ""})).status_code == 404


async def test_a_mitigated_incident_tells_before_and_after_and_what_was_done(console: Console) -> None:
    services, client = console
    await scenes.mitigated(services)
    text = await page(client, "/incidents/1")
    for wanted in ("connection refused", "HTTP 200", "What was done", "succeeded", "mitigated"):
        assert wanted in text, wanted
    raw = await page(client, "/incidents/1/evidence/E2")
    assert raw.count("exited on signal 9") == 90
    await page(client, "/incidents/1/evidence/E9", 404)


async def test_incidents_are_found_by_number_resource_alert_and_cause(console: Console) -> None:
    services, client = console
    await scenes.mitigated(services)
    await scenes.escalated(services, alertname="Disk100%Full")
    for query, found in (
        ("q=2", ["2"]),
        ("q=%231", ["1"]),
        ("q=disk100%25", ["2"]),
        ("q=process_crashed", ["2", "1"]),
        ("q=INST-ABC", ["2", "1"]),
        ("q=%25_", []),
        ("status=escalated", ["2"]),
        ("status=nonsense", ["2", "1"]),
        ("resource=inst-abc123&q=ServiceDown", ["1"]),
    ):
        text = await page(client, f"/incidents?{query}")
        assert re.findall(r'href="/incidents/(\d+)"', text) == found, query
    assert "No incident matches" in await page(client, "/incidents?q=nothing")


async def test_the_fleet_is_paused_and_resumed_and_every_page_says_so(console: Console) -> None:
    _, client = console
    assert "Nothing is paused" in await page(client, "/fleet")
    fields = {"scope": "kind:Instance", "reason": "new image", "minutes": "30"}
    assert (await client.post("/fleet/pause", data=fields)).status_code == 303
    assert "new image" in await page(client, "/incidents")
    assert "new image" in await page(client, "/fleet")
    wrong = await client.post("/fleet/pause", data=fields | {"minutes": "soon"})
    assert wrong.status_code == 422 and 'value="new image"' in wrong.text
    assert (await client.post("/fleet/resume", data={"scope": "kind:Instance"})).status_code == 303
    assert "pause" in await page(client, "/audit")
    assert "everything asks" in await page(client, "/policies")
    assert (await client.post("/fleet/resume", data={"scope": "group:x"})).status_code == 409


async def test_errors_are_pages_with_a_way_back(console: Console) -> None:
    text = await page(console[1], "/incidents/99", 404)
    assert "there is no incident 99" in text and 'href="/incidents"' in text
    assert (await console[1].post("/fleet/pause", json={})).status_code == 400


HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a\N{RIGHT-TO-LEFT OVERRIDE}b", "x" * 2000]


async def test_hostile_text_is_shown_as_text_wherever_it_comes_from(console: Console) -> None:
    services, client = console
    for number, text in enumerate([*HOSTILE, *(item.says for item in INJECTIONS)], 1):
        incident_id = await scenes.opened(services, alertname=text, extra=text, resource_id=f"{number}{text[:100]}")
        piece = {"id": "E1", "source": "logs", "asked": text, "observed_at": utc_now().isoformat(), "text": text}
        evidence = [piece | {"status": "observed", "facts": {text: text}}]
        await scenes.tell(services, incident_id, "gather_context", text, evidence=evidence)
        for path in ("/incidents", f"/incidents/{number}"):
            shown = await page(client, path)
            assert "<script>alert" not in shown and "<img src=x" not in shown
            assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in shown
            assert not re.search(r"<[^>]*\son\w+=", shown), "no markup has a handler"


async def test_a_page_is_followed_and_only_what_changed_is_sent(console: Console) -> None:
    services, client = console
    incident_id = await scenes.waiting(services)
    text = await page(client, "/incidents/1")
    seen = re.search(r"seen=([0-9a-f-]+)", text)
    assert seen is not None
    assert len(seen[1].split("-")) == len(PARTS)
    streams = Streams(limit=1)
    record: dict[str, str] = {"headline": "a", "timeline": "b"}

    async def parts() -> dict[str, str]:
        return dict(record)

    async def gone() -> bool:
        return False

    shown = "-".join(marks(record))
    events = streams.follow(Changes(services.store), incident_id, shown, parts, gone)
    assert (await anext(events)).startswith(b"retry:")
    assert streams.full
    record["timeline"] = "c"
    first = asyncio.ensure_future(anext(events))
    assert (await asyncio.wait_for(first, 10)).startswith(b"event: timeline\n")
    await events.aclose()
    assert not streams.full

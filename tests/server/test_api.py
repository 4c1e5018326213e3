"""Incidents and switches over HTTP, as a person or a program meets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from graph.kind import ActionSpec, ResourceKind
from graph.ports import Entry, InvalidStep, TemporaryError
from graph.records import PlanStep, utc_now
from server.services import Runtime, Services
from tests.server.web import (
    PLAN,
    alert_body,
    asking,
    end_leg,
    finished,
    load_fakes,
    make_services,
    opened,
    running,
)

WRONG = "0000000000000000"


class Server:
    """A running server and its client."""

    def __init__(self, services: Services, http: httpx.AsyncClient) -> None:
        self.services = services
        self.http = http

    async def waiting(self) -> str:
        """An incident whose plan waits for approval."""
        incident_id = await opened(self.http)
        await end_leg(self.services, incident_id, asking())
        return incident_id

    async def decide(self, reference: str, **body: Any) -> httpx.Response:
        asked = {"plan_fingerprint": PLAN.plan_fingerprint, **body}
        return await self.http.post(f"/api/incidents/{reference}/decision", json=asked)

    async def record(self, reference: str) -> dict[str, Any]:
        answer = await self.http.get(f"/api/incidents/{reference}")
        assert answer.status_code == 200
        return dict(answer.json())


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    services = make_services(tmp_path)
    async with running(services) as client:
        yield Server(services, client)


async def test_an_incident_is_found_by_id_and_by_number(server: Server) -> None:
    incident_id = await opened(server.http)
    record = await server.record("1")
    assert record == await server.record(incident_id)
    assert record["title"] == "InstanceDown on Instance/inst-abc123"
    assert record["timeline"][0]["author"] == "alertmanager"


@pytest.mark.parametrize(
    "reference", ["99", "x", "9" * 30, "²", "%00", "a%20b", "01234567-89ab-7def-8123-456789abcdef"]
)
async def test_an_unknown_incident_is_404_everywhere(server: Server, reference: str) -> None:
    for method, verb in (("GET", ""), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/retry"), ("POST", "/close")):
        answer = await server.http.request(method, f"/api/incidents/{reference}{verb}")
        assert answer.status_code == 404, verb
        assert answer.json()["error"] and answer.json()["remedy"]
    assert (await server.decide(reference, decision="approve")).status_code == 404


async def test_lists_are_paged_and_filtered(server: Server) -> None:
    await opened(server.http)
    for name in ("a", "b"):
        await opened(server.http, resource_id=name)
    page = (await server.http.get("/api/incidents?limit=2")).json()
    assert [item["number"] for item in page["incidents"]] == [3, 2]
    rest = (await server.http.get(f"/api/incidents?cursor={page['next_cursor']}")).json()
    assert [item["number"] for item in rest["incidents"]] == [1] and rest["next_cursor"] is None
    escalated = (await server.http.get("/api/incidents?status=escalated")).json()
    assert [item["number"] for item in escalated["incidents"]] == [3, 2]
    mine = (await server.http.get("/api/incidents?resource=Instance/inst-abc123")).json()
    assert [item["number"] for item in mine["incidents"]] == [1]


@pytest.mark.parametrize(
    ("query", "field"),
    [("status=burning", "status"), ("limit=0", "limit"), ("limit=x", "limit"), ("cursor=-1", "cursor")],
)
async def test_a_query_that_makes_no_sense_is_422_by_name(server: Server, query: str, field: str) -> None:
    answer = await server.http.get(f"/api/incidents?{query}")
    assert answer.status_code == 422 and answer.json()["field"] == field and answer.json()["remedy"]


async def test_an_approved_plan_goes_on(server: Server) -> None:
    incident_id = await server.waiting()
    record = await server.record(incident_id)
    assert record["waiting_for"]["asked_fingerprint"] == PLAN.plan_fingerprint
    answer = await server.decide(incident_id, decision="approve", by="ann", comment="go")
    assert answer.status_code == 200 and answer.json()["plan_fingerprint"] == PLAN.plan_fingerprint
    record = await server.record(incident_id)
    assert record["phase"] == "queued"
    assert (record["approvals"][0]["by"], record["approvals"][0]["comment"]) == ("ann", "go")


async def test_a_decision_is_bound_to_the_plan_and_given_once(server: Server) -> None:
    incident_id = await server.waiting()
    changed = await server.decide(incident_id, decision="approve", plan_fingerprint=WRONG)
    assert changed.status_code == 409 and PLAN.plan_fingerprint in changed.json()["error"]
    assert (await server.decide(incident_id, decision="reject")).status_code == 200
    again = await server.decide(incident_id, decision="approve")
    assert again.status_code == 409 and "already decided" in again.json()["error"]


async def test_what_does_not_wait_cannot_be_approved(server: Server) -> None:
    incident_id = await opened(server.http)
    for decision in ({"decision": "approve"}, {"decision": "edit", "plan": {"steps": [{"action": "restart"}]}}):
        assert (await server.decide(incident_id, **decision)).status_code == 409


async def test_an_expired_approval_is_409(server: Server) -> None:
    incident_id = await opened(server.http)
    await end_leg(server.services, incident_id, asking(seconds=-1))
    answer = await server.decide(incident_id, decision="approve")
    assert answer.status_code == 409 and "expired" in answer.json()["error"]


async def test_an_edited_plan_is_completed_and_gets_a_fingerprint_of_its_own(server: Server) -> None:
    incident_id = await server.waiting()
    steps = [{"action": "restart", "params": {"unit": "db"}, "rendered": "rm -rf /", "risk": "read_only"}]
    answer = await server.decide(incident_id, decision="edit", plan={"steps": steps}, by="ann")
    assert answer.status_code == 200
    approval = (await server.record(incident_id))["approvals"][0]
    assert approval["plan_fingerprint"] == answer.json()["plan_fingerprint"] != PLAN.plan_fingerprint
    runnable = (await server.services.store.runnable())[0]
    leg = await server.services.store.begin_leg(incident_id, runnable.leg, "w:1", 5.0)
    assert leg is not None and leg.decision is not None
    (step,) = leg.decision["decisions"][0]["edited_action"]["args"]["steps"]
    assert (step["rendered"], step["risk"]) == ("restart(unit=db)", "disruptive")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"decision": "edit", "plan": {"steps": [{"action": "format"}]}}, "plan.steps[0].action"),
        ({"decision": "edit", "plan": {"steps": []}}, "plan.steps"),
        ({"decision": "edit", "plan": {"steps": [{"action": "restart", "parms": {}}]}}, "plan.steps[0].parms"),
        ({"decision": "edit"}, "plan"),
        ({"decision": "approve", "plan": {"steps": [{"action": "restart"}]}}, "plan"),
        ({"decision": "perhaps"}, "decision"),
        ({"decision": "approve", "plan_fingerprint": 7}, "plan_fingerprint"),
        ({"decision": "approve", "coment": "x"}, "coment"),
        ({}, "decision"),
    ],
)
async def test_an_invalid_decision_is_422_naming_step_and_field(
    server: Server, body: dict[str, Any], field: str
) -> None:
    incident_id = await server.waiting()
    answer = await server.decide(incident_id, **body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field
    assert (await server.record(incident_id))["phase"] == "waiting_approval"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"decision": NaN}', b"\xff", b"[" * 5000])
async def test_a_decision_that_is_no_json_is_refused(server: Server, content: bytes) -> None:
    incident_id = await server.waiting()
    answer = await server.http.post(f"/api/incidents/{incident_id}/decision", content=content)
    assert answer.status_code in (400, 422) and answer.json()["error"]


@pytest.mark.parametrize(
    ("error", "status", "field"),
    [
        (InvalidStep(PlanStep(action="restart"), "params.unit", "no such unit"), 422, "plan.steps[0].params.unit"),
        (TemporaryError("host away"), 503, None),
    ],
)
async def test_an_edit_that_the_catalogue_turns_down_says_why(
    tmp_path: Path, error: Exception, status: int, field: str | None
) -> None:
    class Refusing:
        def specs(self, kind: ResourceKind) -> tuple[ActionSpec, ...]:
            return ()

        async def complete(self, *_: object) -> PlanStep:
            raise error

    @asynccontextmanager
    async def load(services: Services) -> AsyncIterator[Runtime]:
        yield Runtime(Refusing(), lambda: None)  # type: ignore[arg-type]

    services = make_services(tmp_path)
    async with running(services, load) as client:
        server = Server(services, client)
        incident_id = await server.waiting()
        answer = await server.decide(incident_id, decision="edit", plan={"steps": [{"action": "restart"}]})
        assert (answer.status_code, answer.json().get("field")) == (status, field)


async def test_cancel_says_what_it_stops(server: Server) -> None:
    incident_id = await opened(server.http)
    answer = await server.http.post("/api/incidents/1/cancel", json={"by": "ann"})
    assert answer.status_code == 200 and "stops here" in answer.json()["said"]
    assert (await server.record(incident_id))["cancel_by"] == "ann"


async def test_an_escalated_incident_can_be_retried_or_closed_and_an_open_one_not(server: Server) -> None:
    incident_id = await opened(server.http)
    for verb in ("retry", "close"):
        assert (await server.http.post(f"/api/incidents/1/{verb}")).status_code == 409
    await end_leg(server.services, incident_id, finished("escalated"))
    assert (await server.http.post("/api/incidents/1/cancel")).status_code == 409
    assert (await server.http.post("/api/incidents/1/retry", json={"by": "ann"})).status_code == 200
    assert (await server.record("1"))["phase"] == "queued"
    await end_leg(server.services, incident_id, finished("escalated"))
    closed = await server.http.post("/api/incidents/1/close", json={"by": "ann", "comment": "replaced the host"})
    assert closed.status_code == 200
    record = await server.record("1")
    assert record["phase"] == "closed" and "replaced the host" in record["timeline"][-1]["sentence"]


async def test_repairs_are_paused_and_resumed_by_name(server: Server) -> None:
    answer = await server.http.post("/api/pause", json={"by": "ann", "reason": "migration"})
    assert answer.json()["paused"]["reason"] == "migration"
    assert (await server.http.get("/api/pause")).json()["paused"]["by"] == "ann"
    assert (await server.http.post("/api/resume")).json()["paused"] is None


async def test_events_answer_when_something_happens(server: Server) -> None:
    incident_id = await opened(server.http)
    first = (await server.http.get("/api/incidents/1/events?wait=20")).json()
    following = asyncio.create_task(server.http.get(f"/api/incidents/1/events?wait=20&seen={first['token']}"))
    await asyncio.sleep(0.05)
    assert not following.done()
    await end_leg(server.services, incident_id, asking())
    told = (await asyncio.wait_for(following, 10)).json()
    assert told["phase"] in ("running", "waiting_approval") and told["token"] != first["token"]


async def test_events_answer_unchanged_after_the_wait(server: Server) -> None:
    await opened(server.http)
    first = (await server.http.get("/api/incidents/1/events")).json()
    again = (await server.http.get(f"/api/incidents/1/events?wait=0.1&seen={first['token']}")).json()
    assert again == first


async def test_what_each_step_wrote_can_be_read_also_where_a_later_step_wrote_anew(server: Server) -> None:
    incident_id = await opened(server.http)
    for number, told in enumerate(("nothing yet", "web failed")):
        records = {"evidence": [{"id": "E1", "source": "units", "text": told}]}
        entry = Entry(incident_id, f"task-{number}", utc_now(), "gather_context", "self-heal", "asked", records)
        await server.services.store.tell(entry)
    answer = await server.http.get("/api/incidents/1/records")
    assert answer.status_code == 200 and answer.json()["id"] == incident_id
    gathered = [entry for entry in answer.json()["entries"] if entry["node"] == "gather_context"]
    assert [entry["records"]["evidence"][0]["text"] for entry in gathered] == ["nothing yet", "web failed"]
    assert (await server.http.get("/api/incidents/99/records")).status_code == 404
    described = (await server.http.get("/openapi.json")).json()["paths"]["/api/incidents/{reference}/records"]["get"]
    assert "all looks" in described["summary"] and "compacted" in described["description"]


async def test_whole_answers_of_evidence_can_be_read(server: Server) -> None:
    incident_id = await opened(server.http)
    await server.services.store.keep(incident_id, "E1", "units", "all of it")
    assert (await server.http.get("/api/incidents/1/evidence/E1")).json()["raw"] == "all of it"
    assert (await server.http.get("/api/incidents/1/evidence/E9")).status_code == 404


async def test_ready_says_why_not(tmp_path: Path) -> None:
    @asynccontextmanager
    async def broken(services: Services) -> AsyncIterator[Runtime]:
        raise RuntimeError("the queue's file is locked")
        yield

    told = asyncio.Event()
    services = make_services(tmp_path)
    from server.app import create_app
    from tests.server.web import client_of

    app = create_app(services, broken, told.set)
    async with app.router.lifespan_context(app), client_of(app) as client:
        await asyncio.wait_for(told.wait(), 10)
        answer = await client.get("/readyz")
        assert answer.status_code == 503 and "file is locked" in answer.json()["error"]


async def test_ready_once_all_is_loaded(tmp_path: Path) -> None:
    loaded = asyncio.Event()

    @asynccontextmanager
    async def load(services: Services) -> AsyncIterator[Runtime]:
        async with load_fakes(services) as runtime:
            asyncio.get_running_loop().call_soon(loaded.set)
            yield runtime

    async with running(make_services(tmp_path), load) as client:
        await asyncio.wait_for(loaded.wait(), 10)
        assert (await client.get("/readyz")).json() == {"ready": True}
        assert (await client.get("/healthz")).json()["service"] == "self-heal"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("PUT", "/api/incidents", 405)])
async def test_a_wrong_path_or_method_is_told_as_json(server: Server, method: str, path: str, status: int) -> None:
    answer = await server.http.request(method, path)
    assert answer.status_code == status and answer.json()["remedy"]


async def test_the_api_page_names_the_contract(server: Server) -> None:
    paths = (await server.http.get("/openapi.json")).json()["paths"]
    for path in ("/webhooks/alertmanager", "/api/incidents/{reference}/decision", "/api/pause", "/readyz", "/metrics"):
        assert path in paths
    assert (await server.http.get("/docs")).status_code == 200


async def test_resolved_alerts_are_told(server: Server) -> None:
    await opened(server.http)
    answer = await server.http.post("/webhooks/alertmanager", json=alert_body("resolved"))
    assert answer.json()["incidents"][0]["decision"] == "resolved"


async def test_an_incident_is_taken_over_given_back_and_the_truth_confirmed(server: Server) -> None:
    incident_id = await opened(server.http)
    await end_leg(server.services, incident_id, finished("escalated"))
    taken = await server.http.post("/api/incidents/1/take-over", json={"by": "ann", "minutes": 15, "comment": "mine"})
    assert taken.status_code == 200 and "ann's until" in taken.json()["said"]
    assert (await server.record("1"))["taken_over"]["comment"] == "mine"
    second = await server.http.post("/api/incidents/1/take-over", json={"by": "bob"})
    assert second.status_code == 409 and "ann" in second.json()["error"]
    confirmed = await server.http.post("/api/incidents/1/confirm", json={"cause": "unknown", "right": False})
    assert confirmed.json()["said"] == "the cause was unknown; the repair was wrong"
    assert (await server.http.post("/api/incidents/1/close", json={"comment": "done"})).status_code == 200
    assert (await server.record("1"))["phase"] == "closed"


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("incidents/1/take-over", {"minutes": 0}, "minutes"),
        ("incidents/1/take-over", {"minutes": 100000}, "minutes"),
        ("incidents/1/confirm", {"cause": "gremlins"}, "cause"),
        ("incidents/1/confirm", {}, "cause"),
        ("pause", {"scope": "kind:Instnace"}, "scope"),
        ("pause", {"scope": "web"}, "scope"),
        ("pause", {"scope": "resource:Instance/other"}, "scope"),
        ("pause", {"until": "2020-01-01T00:00:00Z"}, "until"),
        ("pause", {"until": "tomorrow"}, "until"),
        ("policies/promote", {"resource_kind": "Instance"}, "issue_type"),
    ],
)
async def test_a_verb_that_makes_no_sense_is_422_by_name(
    server: Server, verb: str, body: dict[str, Any], field: str
) -> None:
    incident_id = await opened(server.http)
    await end_leg(server.services, incident_id, finished("escalated"))
    answer = await server.http.post(f"/api/{verb}", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field) and answer.json()["remedy"]


async def test_a_pause_of_one_kind_is_told_beside_that_of_all(server: Server) -> None:
    await server.http.post("/api/pause", json={"scope": "kind:Instance", "reason": "new image"})
    told = (await server.http.get("/api/pause")).json()
    assert told["paused"] is None and told["pauses"][0]["scope"] == "kind:Instance"
    assert (await server.http.get("/api/fleet")).json()["pauses"][0]["reason"] == "new image"
    assert (await server.http.post("/api/resume", json={"scope": "group:web"})).status_code == 409
    assert (await server.http.post("/api/resume", json={"scope": "kind:Instance"})).json()["pauses"] == []


async def test_what_may_be_made_of_a_waiting_plan_is_told_with_types(server: Server) -> None:
    assert (await server.http.get("/api/incidents/1/editable")).status_code == 404
    incident_id = await opened(server.http)
    assert (await server.http.get("/api/incidents/1/editable")).status_code == 409
    await end_leg(server.services, incident_id, asking())
    told = (await server.http.get("/api/incidents/1/editable")).json()
    assert told["plan_fingerprint"] == PLAN.plan_fingerprint
    assert told["steps"][0]["action"] == "restart" and told["actions"][0]["params"]["type"] == "object"


async def test_what_an_edit_would_run_is_shown_exactly_before_it_is_decided(server: Server) -> None:
    incident_id = await server.waiting()
    steps = [{"action": "restart", "params": {"unit": "db"}}]
    told = (await server.http.post("/api/incidents/1/preview", json={"steps": steps})).json()
    assert told["steps"][0]["rendered"] == "restart(unit=db)" and told["risk"] == "disruptive"
    assert (await server.record(incident_id))["phase"] == "waiting_approval"
    answer = await server.decide(incident_id, decision="edit", plan={"steps": steps})
    assert answer.json()["plan_fingerprint"] == told["plan_fingerprint"]
    assert (await server.http.post("/api/incidents/1/preview", json={"steps": steps})).status_code == 409


async def test_a_rejection_may_want_another_plan(server: Server) -> None:
    incident_id = await server.waiting()
    answer = await server.decide(incident_id, decision="reject", comment="not a restart", then="replan")
    assert answer.status_code == 200
    [runnable] = await server.services.store.runnable()
    leg = await server.services.store.begin_leg(incident_id, runnable.leg, "w", 15.0)
    assert leg is not None and leg.decision is not None
    assert leg.decision["decisions"] == [{"type": "reject", "message": "not a restart", "then": "replan"}]


async def test_the_ladder_and_the_log_are_read_over_http(server: Server) -> None:
    incident_id = await opened(server.http)
    await end_leg(server.services, incident_id, finished("escalated"))
    [pair] = (await server.http.get("/api/policies/report")).json()["pairs"]
    assert (pair["resource_kind"], pair["issue_type"], pair["escalated"]) == ("Instance", "service_down", 1)
    lifted = await server.http.post(
        "/api/policies/promote", json={"resource_kind": "Instance", "issue_type": "service_down"}
    )
    assert lifted.status_code == 409
    await server.http.post("/api/pause", json={"by": "ann"})
    [entry] = (await server.http.get("/api/audit")).json()["entries"]
    assert (entry["who"], entry["what"], entry["detail"]["via"]) == ("ann", "pause", "token")

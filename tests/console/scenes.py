"""Incidents as they stand in the store at one moment or another, made by the calls that a heal makes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from agents.legs import Finished, WaitingForApproval
from graph.facts import Facts
from graph.fakes import FakeActions
from graph.kind import ActionSpec, Cause, Match, Remedy, ResourceKind
from graph.ports import Entry, JournalRequest, Started
from graph.records import (
    ActionResult,
    Alert,
    AlertGroup,
    Criterion,
    Diagnosis,
    Evidence,
    Gate,
    Outcome,
    Plan,
    PlanStep,
    Resource,
    Times,
    Verification,
    utc_now,
)
from graph.rules.approval import approval_request
from graph.rules.asking import details
from graph.state import Heal
from server.services import Runtime, Services
from tests.server.web import make_services


class RestartParams(BaseModel):
    """As real actions have them: one bound to what there is, one by its type."""

    unit: str
    patience: int = Field(default=5, ge=1, le=60)


def _crashed(facts: Facts, resource: Resource) -> Match | None:
    return None


def _remedy(name: str) -> Remedy:
    step = PlanStep(action=name, params={"unit": "web"}, why=f"{name} it")
    return Remedy(name, f"{name} the service", lambda resource, target, facts: (step,))


SPECS = {
    "restart": ActionSpec("restart", "restart a unit", "disruptive", RestartParams, 5.0),
    "replace": ActionSpec("replace", "replace a unit", "disruptive", RestartParams, 5.0),
}
KIND = ResourceKind(
    name="Instance",
    summary="a made-up host",
    issue_types=("service_down",),
    sources=(),
    causes=(Cause("process_crashed", "crashed", "service_down", _crashed, (_remedy("restart"), _remedy("replace"))),),
    actions=tuple(SPECS),
    no_fault=lambda facts, resource: None,
)


def make_console(folder: Path, **settings: Any) -> Services:
    """A server's parts with a kind whose actions have typed params."""
    made = make_services(folder, **settings)
    return replace(made, kinds={KIND.name: KIND})


@asynccontextmanager
async def load_actions(services: Services) -> AsyncIterator[Runtime]:
    yield Runtime(FakeActions(SPECS), lambda: None)


LOG = "\n".join(f"Nov 27 03:0{n % 10}:12 web[{900 + n}]: worker {n} exited on signal 9" for n in range(30))
STEP = PlanStep(
    action="restart",
    params={"unit": "web"},
    why="it was killed and its start limit is hit",
    expect="web runs again",
    rendered="selfheal@10.0.0.5:22$ sudo -n systemctl reset-failed web.service; sudo -n systemctl restart web.service",
    risk="disruptive",
)
PLAN = Plan(steps=(STEP,), summary="process_crashed: restart the service", author="runbook")


async def opened(services: Services, alertname: str = "ServiceDown", **labels: str) -> str:
    """An incident that an alert has opened."""
    about = {"alertname": alertname, "resource_kind": "Instance", "resource_id": "inst-abc123", **labels}
    alert = Alert(
        status="firing",
        labels=about,
        annotations={"summary": "web is down"},
        starts_at=utc_now() - timedelta(seconds=9),
    )
    [accepted, *_] = await services.store.accept(AlertGroup(alerts=(alert,)), services.place)
    assert accepted.incident_id is not None
    return accepted.incident_id


async def waiting(services: Services, plan: Plan = PLAN, seconds: float = 3600, **labels: str) -> str:
    """An incident whose plan waits for a human."""
    incident_id = await opened(services, **labels)
    heal = await diagnosed(services, incident_id, plan)
    assert heal.plan and heal.gate and heal.diagnosis
    request = approval_request(heal.incident, heal.diagnosis, heal.plan, heal.gate)
    told = details(heal, [("host/inst-abc123", "Instance/inst-abc123")] * len(plan.steps), seconds, "escalate")
    expires = utc_now() + timedelta(seconds=seconds)
    await ended(services, incident_id, WaitingForApproval(request | {"details": told}, plan, heal.gate, expires))
    return incident_id


async def mitigated(services: Services, **labels: str) -> str:
    """An incident that was healed, with its whole story."""
    incident_id = await opened(services, **labels)
    heal = await diagnosed(services, incident_id, PLAN)
    now = utc_now()
    verification = Verification(
        status="healthy",
        criteria=(
            Criterion(name="alert ServiceDown", status="pass", before="firing", after="not firing"),
            Criterion(name="service web", status="pass", before="web is failed", after="web is running since 03:01:10"),
            Criterion(
                name="http http://10.0.0.5/healthz", status="pass", before="connection refused", after="HTTP 200"
            ),
        ),
        reason="all 3 criteria pass, held for 30 s",
        started_at=now,
        observed_at=now,
        held_seconds=30,
    )
    outcome = Outcome(
        status="mitigated",
        rule="verified",
        reason="all 3 criteria pass, held for 30 s",
        attempts=1,
        times=Times(received=heal.incident.received_at, verified=now, closed=now),
    )
    holder, leg = await begun(services, incident_id)
    await acted(services, incident_id, holder)
    await tell(services, incident_id, "execute", "restart succeeded: web is active")
    await tell(services, incident_id, "verify", f"seen healthy: {verification.reason}", verification=verification)
    await tell(services, incident_id, "close", f"mitigated: {outcome.reason}", outcome=outcome)
    assert await services.store.end_leg(incident_id, leg, holder, Finished(outcome))
    return incident_id


async def escalated(services: Services, reason: str = "3 of 3 attempts made without success", **labels: str) -> str:
    """An incident that a human must see to."""
    incident_id = await opened(services, **labels)
    await diagnosed(services, incident_id, PLAN)
    await ended(services, incident_id, Finished(Outcome(status="escalated", rule="max_retries", reason=reason)))
    return incident_id


async def diagnosed(services: Services, incident_id: str, plan: Plan) -> Heal:
    """Tell how a heal came to its plan."""
    now = utc_now()
    items = (
        Evidence(
            id="E1",
            source="metrics",
            asked='up{instance="10.0.0.5:9100"}',
            observed_at=now,
            text="node_exporter answers; load 0.3",
            facts={"metrics.up": True, "cpu.load1": 0.3},
        ),
        Evidence(
            id="E2",
            source="services",
            asked="systemctl show web",
            observed_at=now,
            text=LOG,
            facts={'unit.state{unit="web"}': "failed", 'unit.state{unit="db"}': "running"},
            raw_ref=f"{incident_id}/E2",
        ),
        Evidence(id="E3", source="logs", asked="journalctl -u web", observed_at=now, status="no_data", text="nothing"),
    )
    await services.store.keep(incident_id, "E2", "services", LOG * 3)
    diagnosis = Diagnosis(
        suspected_cause="process_crashed",
        issue_type="service_down",
        summary="web crashed (signal KILL, start limit hit) and is failed",
        confidence=0.93,
        evidence_ids=("E2",),
        ruled_out={"oom_killed": "no kill by the kernel in the last hour"},
        author="runbook",
        diagnosed_at=now,
    )
    gate = Gate(decision="ask", rule="policy", reason="policy (Instance, service_down): auto_heal false")
    await tell(services, incident_id, "gather_context", "asked 3 sources, got 4 facts", evidence=items)
    await tell(services, incident_id, "diagnose", f"suspects {diagnosis.suspected_cause}", diagnosis=diagnosis)
    await tell(services, incident_id, "plan", f"plans (disruptive): {plan.summary}", plan=plan)
    await tell(services, incident_id, "gate", f"asks a human: {gate.reason}", gate=gate)
    incident = await services.store.record_of(incident_id)
    assert incident is not None
    return Heal(incident=incident, evidence=items, diagnosis=diagnosis, plan=plan, gate=gate)


async def tell(services: Services, incident_id: str, node: str, sentence: str, **records: Any) -> None:
    """One sentence of the timeline, with the records of the node."""
    told = {name: _json(value) for name, value in records.items()}
    now: datetime = utc_now()
    await services.store.tell(Entry(incident_id, f"{node}:{now.timestamp()}", now, node, "self-heal", sentence, told))


async def ended(services: Services, incident_id: str, end: Any) -> None:
    """A leg that ends like this."""
    holder, leg = await begun(services, incident_id)
    assert await services.store.end_leg(incident_id, leg, holder, end)


async def begun(services: Services, incident_id: str) -> tuple[str, int]:
    """A leg that is under way: its holder and number."""
    [runnable] = [item for item in await services.store.runnable() if item.incident_id == incident_id]
    holder = f"scene:{runnable.leg}"
    assert await services.store.begin_leg(incident_id, runnable.leg, holder, 15.0)
    return holder, runnable.leg


async def acted(services: Services, incident_id: str, holder: str) -> None:
    """The plan's one step, done."""
    key = f"{incident_id}:1:0"
    request = JournalRequest(
        idempotency_key=key,
        incident_id=incident_id,
        holder=holder,
        touches=("host/inst-abc123",),
        action=STEP.action,
        rendered=STEP.rendered,
        deadline_seconds=30,
        attempt=1,
        plan_fingerprint=PLAN.plan_fingerprint,
        approval_needed=False,
        baseline={},
        now=utc_now(),
    )
    assert isinstance(await services.store.start(request), Started)
    done = ActionResult(idempotency_key=key, action=STEP.action, step=0, status="succeeded", output="web is active")
    await services.store.finish(done)


def _json(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_json(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return value.model_dump(mode="json")

"""Incidents as they stand in the store at one moment or another, made by the calls that a heal makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from agents.legs import Finished, WaitingForApproval
from graph.ports import Entry
from graph.records import (
    Alert,
    AlertGroup,
    Criterion,
    Diagnosis,
    Evidence,
    Gate,
    Outcome,
    Plan,
    PlanStep,
    Times,
    Verification,
    utc_now,
)
from graph.rules.approval import approval_request
from graph.rules.asking import details
from graph.state import Heal
from server.services import Services

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
    await tell(services, incident_id, "execute", "restart succeeded: web is active")
    await tell(services, incident_id, "verify", f"seen healthy: {verification.reason}", verification=verification)
    await tell(services, incident_id, "close", f"mitigated: {outcome.reason}", outcome=outcome)
    await ended(services, incident_id, Finished(outcome))
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
            facts={'unit.state{unit="web"}': "failed", 'unit.result{unit="web"}': "signal"},
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
    [runnable] = [item for item in await services.store.runnable() if item.incident_id == incident_id]
    holder = f"scene:{runnable.leg}"
    assert await services.store.begin_leg(incident_id, runnable.leg, holder, 15.0)
    assert await services.store.end_leg(incident_id, runnable.leg, holder, end)


def _json(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_json(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return value.model_dump(mode="json")

"""A small case on disk for tests: a service that crashed, by the facts that the runbook goes by."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evals.case import Case, CaseFile, Context, Expected, Provenance, Recorded
from graph.alerts import Alert, AlertGroup
from graph.facts import FactValue, fact_key
from graph.records import Resource, SshAccess

RECEIVED = datetime(2026, 11, 24, 14, 10, tzinfo=UTC)
RESOURCE = Resource(
    id="host-a",
    kind="Instance",
    address="10.1.1.40",
    ssh=SshAccess(user="ops", key_file="key", known_hosts="known_hosts"),
    services=("svc-a",),
)


def units(state: str, **more: FactValue) -> Recorded:
    facts = {fact_key("unit.state", unit="svc-a"): state} | {
        fact_key(f"unit.{name}", unit="svc-a"): value for name, value in more.items()
    }
    return Recorded(tool="units", asked="systemctl show svc-a", at_seconds=0.5, text=f"svc-a {state}", facts=facts)


CRASHED = units("failed", result="signal", signal="SEGV")
NOTHING = Recorded(tool="units", at_seconds=0.5, status="no_data", text="nothing told")
EXPECTED = Expected(
    ending="repair",
    accepted_causes=("process_crashed",),
    required_facts=("unit.state",),
    first_actions=("restart_service",),
    mechanism="sent_a_signal",
)


def made(folder: Path, *calls: Recorded, expected: Expected = EXPECTED, **context: Any) -> Case:
    return Case(
        folder=folder / "case-1",
        file=CaseFile(id="case-1", kind="Instance", provenance=Provenance(source="lab", recorded_at=RECEIVED)),
        alerts=AlertGroup(
            alerts=(Alert(status="firing", labels={"alertname": "ServiceDown", "resource_id": "host-a"}),)
        ),
        context=Context(resource=RESOURCE, received_at=RECEIVED, **context),
        calls=calls or (CRASHED,),
        expected=expected,
    )

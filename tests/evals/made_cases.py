"""Small made-up cases that the tests of the evals share. Those in `evals/cases` are real."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evals.case import Case, CaseFile, Context, Expected, Provenance, Recorded, write_case
from graph.facts import FactValue
from graph.records import Alert, AlertGroup, Attempt, ProviderAccess, Resource, SshAccess

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
UNIT = "shop.service"
RESOURCE = Resource(
    id="node-1",
    kind="Instance",
    address="192.0.2.1",
    ssh=SshAccess(user="ops", key_file="k", known_hosts="h"),
    provider=ProviderAccess(name="ec2", instance_id="i-1"),
    services=("shop",),
)
UP: dict[str, FactValue] = {"host.reachable": True}
CRASHED: dict[str, FactValue] = {
    f'unit.state{{unit="{UNIT}"}}': "failed",
    f'unit.result{{unit="{UNIT}"}}': "signal",
    f'unit.signal{{unit="{UNIT}"}}': "KILL",
}
RUNS: dict[str, FactValue] = {f'unit.state{{unit="{UNIT}"}}': "running", 'health.ok{check="service shop"}': True}
ATTEMPT = Attempt(
    number=1,
    suspected_cause="process_crashed",
    plan_fingerprint="of other names",
    actions=("restart_service",),
    target=UNIT,
    acted=True,
    why_ended="it crashed again",
    ended_at=AT,
)
REPAIR: dict[str, Any] = {
    "ending": "repair",
    "accepted_causes": ("process_crashed",),
    "required_facts": ("unit.result",),
    "first_actions": ("restart_service", "start_service"),
    "forbidden_actions": ("hard_reboot",),
    "mechanism": "killed",
}
NOTHING: dict[str, Any] = {
    "ending": "no_fault",
    "accepted_causes": ("no_fault",),
    "required_facts": ("unit.state",),
    "forbidden_actions": ("*",),
    "mechanism": "blip",
    "traits": ("no_fault",),
}
HUMAN: dict[str, Any] = {
    "ending": "escalate",
    "accepted_causes": ("unknown",),
    "forbidden_actions": ("*",),
    "mechanism": "gone_dark",
    "traits": ("missing_source",),
}


def crashed(root: Path, id: str = "case-001", **changes: Any) -> Case:
    """A service that was killed."""
    return made(root, id, {"host": UP, "units": CRASHED, "metrics": {}}, REPAIR | changes)


def healthy(root: Path, id: str = "case-002", **changes: Any) -> Case:
    """An alert about nothing."""
    return made(root, id, {"host": UP, "units": RUNS, "metrics": {}}, NOTHING | changes)


def dark(root: Path, id: str = "case-003", **changes: Any) -> Case:
    """Nothing that was seen says what is wrong."""
    return made(root, id, {"host": UP, "units": {}, "metrics": {}}, HUMAN | changes)


def made(
    root: Path,
    id: str,
    seen: Mapping[str, Mapping[str, FactValue]],
    expected: Mapping[str, Any],
    attempts: tuple[Attempt, ...] = (),
    write: bool = True,
) -> Case:
    """A case of these sources with these facts; a source that is not named here had nothing."""
    sources = ("host", "units", "journal", "dmesg", "ports", "processes", "dependencies", "network", "disk")
    more = ("metrics", "provider", "health", "changes")
    labels = {"alertname": "ServiceDown", "resource_kind": "Instance", "resource_id": RESOURCE.id}
    alert = Alert(status="firing", labels=labels | {"issue_type": "service_down"}, startsAt=AT)
    calls = tuple(
        Recorded(
            tool=name,
            asked=f"ask {name}",
            at_seconds=1.0,
            status="observed" if seen.get(name) else "no_data",
            text=f"what {name} said",
            facts=dict(seen.get(name, {})),
        )
        for name in (*sources, *more)
    )
    case = Case(
        folder=root / id,
        file=CaseFile(id=id, kind="Instance", provenance=Provenance(source="lab", recorded_at=AT)),
        alerts=AlertGroup(alerts=(alert,)),
        context=Context(resource=RESOURCE, received_at=AT, attempts=attempts),
        calls=calls,
        expected=Expected(**expected),
    )
    if write:
        write_case(case)
    return case


def store(root: Path, copies: int = 1) -> tuple[Case, ...]:
    """A folder of cases: three of each copy, crashed, healthy and dark."""
    made_cases: list[Case] = []
    for number in range(copies):
        made_cases += [
            crashed(root, f"case-{3 * number:03}"),
            healthy(root, f"case-{3 * number + 1:03}"),
            dark(root, f"case-{3 * number + 2:03}"),
        ]
    return tuple(made_cases)

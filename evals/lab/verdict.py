"""What one fault came to: what was expected, what was found, and whether that is right. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from evals.lab.stage import Fault, Role

PAIRS: tuple[tuple[Role, Role], ...] = (("pg_primary", "pg_replica"), ("my_primary", "my_replica"))


@dataclass(frozen=True)
class Verdict:
    """One fault's run. `problems` is empty where all was as it should be; `seconds` has None for what never came."""

    fault: Fault
    cause: str
    outcome: str
    actions: tuple[str, ...]
    problems: tuple[str, ...]
    seconds: Mapping[str, float | None]
    record: Mapping[str, Any] = field(default_factory=dict)
    """The incident's own record, to see what went wrong."""

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """The shape of an entry of lab.json."""
        return {
            "fault": self.fault.name,
            "issue_type": self.fault.issue_type,
            "kind": self.fault.kind,
            "cause_expected": self.fault.expected_cause,
            "cause_found": self.cause,
            "outcome_expected": self.fault.expected_outcome,
            "outcome": self.outcome,
            "actions": list(self.actions),
            "ok": self.ok,
            "problems": list(self.problems),
            "seconds": dict(self.seconds),
        }


def judge(fault: Fault, record: Mapping[str, Any], injected_at: float, mended: bool | None) -> Verdict:
    """The verdict on a heal that has ended. `mended` is what the world itself says; None where it need not be well."""
    cause = (record.get("diagnosis") or {}).get("suspected_cause", "")
    outcome = (record.get("outcome") or {}).get("status", "")
    actions = tuple(action["action"] for action in record.get("actions") or ())
    alerts = alert_names(record)
    problems = [
        problem
        for wrong, problem in (
            (
                not speaks_of(fault, record),
                f"alert {' or '.join(fault.alertnames)} did not come, but {', '.join(sorted(alerts))}",
            ),
            (cause != fault.expected_cause, f"cause {cause or 'none'}, not {fault.expected_cause}"),
            (
                outcome != fault.expected_outcome,
                f"{outcome or 'not ended'}, not {fault.expected_outcome}" + _why(record),
            ),
            (actions != fault.expected_actions, f"did {_said(actions)}, not {_said(fault.expected_actions)}"),
            (mended is False, "the world itself is not well"),
        )
        if wrong
    ]
    return Verdict(fault, cause, outcome, actions, tuple(problems), _seconds(record, injected_at), record)


def alert_names(record: Mapping[str, Any]) -> set[str]:
    """The alerts that an incident has."""
    return {alert["labels"].get("alertname", "") for alert in record.get("alerts") or ()}


def speaks_of(fault: Fault, record: Mapping[str, Any]) -> bool:
    """Whether an alert of the incident is about the fault: its own, or one that says the same kind of trouble. Where
    several rules see a fault, the heal may be over before the last of them fires."""
    labels = [alert["labels"] for alert in record.get("alerts") or ()]
    return any(
        each.get("alertname") in fault.alertnames or each.get("issue_type") == fault.issue_type for each in labels
    )


def stray(fault: Fault, record: Mapping[str, Any]) -> bool:
    """Whether an ended heal was not about the fault: nothing of its alerts is the fault's, and all of them resolved."""
    status = (record.get("outcome") or {}).get("status")
    return status == "self_resolved" and not speaks_of(fault, record)


def failed(fault: Fault, problem: str) -> Verdict:
    """The verdict where there is no heal to judge."""
    return Verdict(fault, "", "", (), (problem,), {"alert": None, "first_action": None, "mitigated": None})


def roles_for(fault: Fault) -> tuple[Role, ...]:
    """The hosts a stage needs: a database comes with its other half, a standby with whom it stands by for."""
    pair = next((pair for pair in PAIRS if fault.on in pair), None)
    wanted = pair or (("app",) if fault.on == "app" else ("app", fault.on))
    return (*wanted, *(role for role in fault.needs if role not in wanted))


def by_stage(faults: Iterable[Fault]) -> dict[tuple[Role, ...], list[Fault]]:
    """Faults that can share a stage, in the order in which they came."""
    groups: dict[tuple[Role, ...], list[Fault]] = {}
    for fault in faults:
        groups.setdefault(roles_for(fault), []).append(fault)
    return groups


def table(verdicts: Sequence[Verdict]) -> Table:
    """All verdicts for people."""
    shown = Table(box=None, pad_edge=False)
    for heading in ("fault", "cause found", "actions", "outcome", "→ alert", "→ action", "→ mitigated", ""):
        shown.add_column(heading, overflow="fold")
    for verdict in verdicts:
        right = Text("right", "green") if verdict.ok else Text("; ".join(verdict.problems), "red")
        times = (Text(_shown(verdict.seconds.get(name))) for name in ("alert", "first_action", "mitigated"))
        shown.add_row(
            Text(verdict.fault.name),
            Text(verdict.cause),
            Text(", ".join(verdict.actions) or "-"),
            Text(verdict.outcome),
            *times,
            right,
        )
    return shown


def _seconds(record: Mapping[str, Any], injected_at: float) -> dict[str, float | None]:
    """Fault → alert received, alert → first action, alert → mitigated."""
    given = (record.get("outcome") or {}).get("times") or {}
    times = {name: datetime.fromisoformat(value).timestamp() for name, value in given.items() if value}
    received = times.get("received")

    def since(begin: float | None, name: str) -> float | None:
        return round(times[name] - begin, 2) if begin is not None and name in times else None

    return {
        "alert": since(injected_at, "received"),
        "first_action": since(received, "first_action"),
        "mitigated": since(received, "verified"),
    }


def _why(record: Mapping[str, Any]) -> str:
    """What the heal says of its end: whoever reads the table wants to know."""
    reason = (record.get("outcome") or {}).get("reason")
    return f" ({reason})" if reason else ""


def _said(actions: Sequence[str]) -> str:
    return ", ".join(actions) or "nothing"


def _shown(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"

"""What an incoming alert means for the incidents there are: open one, join one, resolve part of one, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from graph.records import Alert, OutcomeStatus
from graph.rules.classify import Placed

Decision = Literal["opened", "joined", "resolved", "ignored"]


@dataclass(frozen=True)
class OpenIncident:
    """The one incident that holds the resource now.

    `alerts`: what it knows of alerts, their status by fingerprint. All of them where the alert that comes in is
    resolved; for one that fires, only that one need be there. `outcome` is set where the incident ended `escalated` or
    `declined` and still keeps its resource.
    """

    id: str
    number: int
    alerts: Mapping[str, str]
    outcome: OutcomeStatus | None = None


@dataclass(frozen=True)
class KnownAlert:
    """A closed incident of the resource that knew this very firing (fingerprint and startsAt)."""

    incident_id: str
    number: int
    outcome: OutcomeStatus


class Intake(NamedTuple):
    """The decision, with its reason. `incident_id` is None for `opened` (it gets one) and where nothing is concerned.

    `closes`: all alerts of an incident that had ended are resolved, so it lets go of its resource.
    `withdraws`: all alerts are resolved while the heal is under way: what still waits need not happen.
    `recheck`: ask Prometheus whether the condition still holds, and reopen if so.
    """

    decision: Decision
    reason: str
    incident_id: str | None = None
    closes: bool = False
    withdraws: bool = False
    recheck: bool = False
    escalate: str | None = None
    """Open it as escalated at once, with this reason: nothing here can act on it."""


def intake(alert: Alert, placed: Placed, current: OpenIncident | None, known: KnownAlert | None = None) -> Intake:
    """What to do with one alert, given the incident that holds its resource (or None)."""
    if alert.firing:
        return _firing(alert, placed, current, known)
    return _resolved(alert, current)


def _firing(alert: Alert, placed: Placed, current: OpenIncident | None, known: KnownAlert | None) -> Intake:
    if current is not None:
        if current.outcome is not None:
            reason = f"#{current.number} is {current.outcome} and keeps the resource until its alerts resolve"
        elif current.alerts.get(alert.fingerprint) == "firing":
            reason = f"already part of #{current.number}"
        else:
            reason = f"{alert.name} joins #{current.number}, open on the same resource"
        return Intake("joined", reason, current.id)
    if known is not None and alert.starts_at is not None and known.outcome in ("mitigated", "self_resolved"):
        reason = f"this firing was {known.outcome} as #{known.number}; reopened if Prometheus still shows the condition"
        return Intake("ignored", reason, known.incident_id, recheck=True)
    if placed.problem is not None:
        return Intake("opened", placed.problem, escalate=placed.problem)
    return Intake("opened", f"{alert.name} on {placed.resource_kind}/{placed.resource_id}")


def _resolved(alert: Alert, current: OpenIncident | None) -> Intake:
    if current is None:
        return Intake("ignored", "no open incident on this resource")
    if alert.fingerprint not in current.alerts:
        return Intake("ignored", f"#{current.number} does not know this alert", current.id)
    others = [seen for seen, status in current.alerts.items() if status == "firing" and seen != alert.fingerprint]
    if others:
        return Intake("resolved", f"{alert.name} resolved; {len(others)} still firing", current.id)
    if current.outcome is not None:
        return Intake("resolved", f"all alerts resolved: #{current.number} closes", current.id, closes=True)
    return Intake("resolved", f"all alerts of #{current.number} resolved", current.id, withdraws=True)

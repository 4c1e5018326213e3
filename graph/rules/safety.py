"""Whether the fleet's state allows a plan to run now. Diagnosis goes on all the same; the plan waits and says why."""

from __future__ import annotations

from datetime import datetime, timedelta

from graph.ports import FleetView, Hold
from graph.records import Plan
from graph.rules.budget import disrupts

PAUSED_LOOK_AGAIN = timedelta(seconds=5)
HOUR = timedelta(hours=1)


def unripe(plan: Plan, fleet: FleetView) -> Hold | None:
    """Why it is too early even to ask a human about this plan, or None."""
    return None if plan.risk == "read_only" else fleet.storm or fleet.flapping


def hold(
    plan: Plan, fleet: FleetView, max_actions_per_hour: int, now: datetime, *, approved: bool = False
) -> Hold | None:
    """Why this plan must wait, and until when to look again, or None. `approved`: a human wants this very plan now."""
    if plan.risk == "read_only":
        return None
    if fleet.paused is not None:
        return Hold("paused", f"repairs are paused: {fleet.paused}", now + PAUSED_LOOK_AGAIN)
    if fleet.frozen is not None:
        return fleet.frozen
    if fleet.cooling is not None and not approved:
        return fleet.cooling
    return _too_often(plan, fleet, max_actions_per_hour, now) or _no_place(plan, fleet)


def resource_rate(recent: int, oldest: datetime | None, limit: int, now: datetime) -> Hold | None:
    """Why the resource gets no more actions now, or None."""
    if recent < limit:
        return None
    reason = f"{recent} actions on this resource in the last hour (at most {limit})"
    return Hold("rate_limit", reason, min(oldest or now, now) + HOUR)


def _too_often(plan: Plan, fleet: FleetView, max_actions_per_hour: int, now: datetime) -> Hold | None:
    if held := resource_rate(fleet.recent_actions, fleet.oldest_recent_at, max_actions_per_hour, now):
        return held
    if fleet.group_spent is not None:
        return fleet.group_spent
    return next((fleet.actions_spent[step.action] for step in plan.steps if step.action in fleet.actions_spent), None)


def _no_place(plan: Plan, fleet: FleetView) -> Hold | None:
    return fleet.no_place if disrupts(plan.risk) else None

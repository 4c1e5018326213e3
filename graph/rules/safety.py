"""Whether the fleet's state allows a plan to run now. Diagnosis goes on all the same; the plan waits and says why."""

from __future__ import annotations

from datetime import datetime, timedelta

from graph.ports import FleetView, Hold
from graph.records import Plan

PAUSED_LOOK_AGAIN = timedelta(seconds=5)
HOUR = timedelta(hours=1)


def hold(plan: Plan, fleet: FleetView, max_actions_per_hour: int, now: datetime) -> Hold | None:
    """Why this plan must wait, and until when to look again, or None."""
    if plan.risk == "read_only":
        return None
    if fleet.paused is not None:
        return Hold("paused", f"repairs are paused: {fleet.paused}", now + PAUSED_LOOK_AGAIN)
    if fleet.frozen is not None:
        return fleet.frozen
    if fleet.recent_actions >= max_actions_per_hour:
        reason = f"{fleet.recent_actions} actions on this resource in the last hour (at most {max_actions_per_hour})"
        return Hold("rate_limit", reason, min(fleet.oldest_recent_at or now, now) + HOUR)
    return None

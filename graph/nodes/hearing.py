"""Asks, before anything is done, whether somebody has said that nobody is to hear of these alerts."""

from __future__ import annotations

from graph.ports import Deps, Hold, PermanentError, TemporaryError
from graph.records import Gate, Plan
from graph.rules import suppression
from graph.rules.policy import Autonomy
from graph.state import Heal


async def heard(heal: Heal, deps: Deps, plan: Plan, autonomy: Autonomy, verdict: Gate) -> tuple[Gate, Hold | None]:
    """The verdict, and the hold where all alerts are suppressed. Where that can't be asked, the verdict says so:
    a repair must not hang on whether Alertmanager answers."""
    if deps.suppressions is None or autonomy.heal_silenced:
        return verdict, None
    try:
        suppressed = await deps.suppressions.of(heal.incident)
    except (TemporaryError, PermanentError) as error:
        said = f"{verdict.reason}; whether its alerts are silenced could not be asked: {deps.redact(str(error))[:300]}"
        return verdict.model_copy(update={"reason": said}), None
    return verdict, suppression.hold(heal.incident, suppressed, plan, autonomy, deps.clock.now())

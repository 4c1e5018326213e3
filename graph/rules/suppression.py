"""What nobody is to hear of, as someone has silenced it or a greater trouble inhibits it, is not repaired either.

A silence is how people say that they know. Policy may say that it is repaired all the same (`heal_silenced`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from graph.ports import Hold
from graph.records import Incident, Plan
from graph.rules.policy import Autonomy

LOOK_AGAIN = timedelta(seconds=30)


def hold(
    incident: Incident, suppressed: Mapping[str, str], plan: Plan, autonomy: Autonomy, now: datetime
) -> Hold | None:
    """Why this plan must wait, where others have suppressed all that fires; None where one alert rings for people.

    `suppressed`: by fingerprint, why an alert rings for nobody, in words.
    """
    if autonomy.heal_silenced or plan.risk == "read_only":
        return None
    firing = {alert.fingerprint for alert in incident.firing}
    if not firing or not firing <= suppressed.keys():
        return None
    why = "; ".join(sorted({suppressed[fingerprint] for fingerprint in firing}))
    governed = ", ".join(f"({incident.resource_kind}, {issue_type})" for issue_type in incident.issue_types)
    return Hold("silenced", f"{why} \N{EN DASH} policy {governed} does not heal silenced alerts", now + LOOK_AGAIN)

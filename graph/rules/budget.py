"""How much of the fleet may be under repair at once, and how often it may be acted on: limits and holds in numbers.

A repair that helps one machine takes it away from its group for a while: too many at once are an outage of our own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from graph.ports import Hold
from graph.records import RISKS, Risk

HOUR = timedelta(hours=1)
PLACE_LOOK_AGAIN = timedelta(seconds=30)
"""The longest waiting is woken as soon as a place is free: this is for what nobody tells us of."""
NAMED = 5
PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)\s*%")


@dataclass(frozen=True)
class GroupLimits:
    """What holds for one group; None: as for all groups."""

    max_disruptive: int | str | None = None
    max_actions_per_hour: int | None = None


@dataclass(frozen=True)
class FleetLimits:
    """What an operator allows beyond one incident. `max_disruptive` is a number of machines, or a share (`25%`)."""

    max_disruptive: int | str = "25%"
    group_actions_per_hour: int | None = None
    actions_per_hour: Mapping[str, int] = field(default_factory=dict)
    """By action, on all resources together."""
    groups: Mapping[str, GroupLimits] = field(default_factory=dict)
    machines: Mapping[str, int] = field(default_factory=dict)
    """How many machines each group has, by what is declared."""
    cool_down_seconds: float = 900.0
    """How long a resource is left alone after an incident of it was escalated."""

    def places(self, group: str) -> int:
        """How many machines of a group may be under disruptive repair at once."""
        own = self.groups.get(group, GroupLimits()).max_disruptive
        return allowed(self.max_disruptive if own is None else own, self.machines.get(group, 0))

    def counts(self, action: str, group: str) -> bool:
        """Whether how often this is done is limited."""
        return action in self.actions_per_hour or (bool(group) and self.group_rate(group) is not None)

    def group_rate(self, group: str) -> int | None:
        """How many actions an hour a group may get; None: no limit."""
        own = self.groups.get(group, GroupLimits()).max_actions_per_hour
        return self.group_actions_per_hour if own is None else own


@dataclass(frozen=True)
class UnderRepair:
    """One incident whose repair takes part of a group away. `promised`: it is next in turn and may begin at once."""

    number: int
    resource: str
    machine: str
    promised: bool = False


def share_problem(share: int | str) -> str | None:
    """Why this is no number of machines and no share of them, with the remedy; or None."""
    if isinstance(share, str):
        found = PERCENT.fullmatch(share)
        if found and 0 < Fraction(found[1]) <= 100:
            return None
    elif share >= 1:
        return None
    return f"{share!r:.40}: use a number of machines from 1, or a share from above 0% to 100%, such as 25%"


def allowed(share: int | str, machines: int) -> int:
    """The places that a number or a share comes to: rounded down, but one is always repaired, or none ever would be."""
    if isinstance(share, int):
        return share
    found = PERCENT.fullmatch(share)
    assert found is not None, "what is no share is refused when it is read"
    return max(1, int(Fraction(found[1]) * machines / 100))


def disrupts(risk: Risk) -> bool:
    """Whether a repair of this risk takes its machine away from its group for a while."""
    return RISKS.index(risk) >= RISKS.index("disruptive")


def no_place(
    limits: FleetLimits, group: str, machine: str, others: Sequence[UnderRepair], now: datetime
) -> Hold | None:
    """Why a disruptive repair must wait for others of its group, or None. What has no group is a group of its own."""
    taken = {other.machine for other in others}
    places = limits.places(group)
    if not group or machine in taken or len(taken) < places:
        return None
    of = f" of {limits.machines[group]}" if group in limits.machines else ""
    named = ", ".join(_named(other) for other in others[:NAMED])
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    reason = (
        f"group {group}: {len(taken)}{of} machines under disruptive repair (at most {places} at once): {named}{more}"
    )
    return Hold("fleet_budget", reason, now + PLACE_LOOK_AGAIN)


def too_often(what: str, starts: Sequence[datetime], limit: int | None, now: datetime) -> Hold | None:
    """Why `what` must not be done once more now, or None. Waits until the last hour holds fewer than `limit` starts."""
    recent = sorted((at for at in starts if at > now - HOUR), reverse=True)
    if limit is None or len(recent) < limit:
        return None
    until = (recent[limit - 1] if limit else now) + HOUR
    return Hold("rate_limit", f"{what}: {len(recent)} in the last hour (at most {limit})", until)


def cooling(number: int, escalated_at: datetime, limits: FleetLimits, now: datetime) -> Hold | None:
    """Why a resource is left alone after an escalation, or None once its time is over."""
    until = escalated_at + timedelta(seconds=limits.cool_down_seconds)
    if until <= now:
        return None
    reason = (
        f"#{number} of this resource was escalated at {escalated_at:%H:%M:%S} UTC: nothing is done to it for "
        f"{limits.cool_down_seconds:g} s, until {until:%H:%M:%S} UTC, unless a human asks for it (retry)"
    )
    return Hold("cool_down", reason, until)


def _named(other: UnderRepair) -> str:
    return f"#{other.number} ({other.resource}{', next in turn' if other.promised else ''})"

"""How much of the fleet may be under repair at once, how often is acted, and how long an escalated resource rests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from graph.records import Resource
from graph.rules.budget import FleetLimits, GroupLimits, share_problem
from server.section import Section
from server.settings_errors import known_instead


def _number(given: object) -> object:
    """A variable's value is text, also where it is a number. `true` is no number here."""
    if isinstance(given, bool):
        raise ValueError("use a number of machines, or a share such as 25%")
    return int(given) if isinstance(given, str) and given.isascii() and given.isdigit() else given


def _share(share: int | str) -> int | str:
    if problem := share_problem(share):
        raise ValueError(problem)
    return share


Share = Annotated[int | str, BeforeValidator(_number), AfterValidator(_share)]
Rate = Annotated[int, Field(ge=0, le=10_000)]


class GroupBudget(Section):
    """What holds for one group instead of what holds for all."""

    max_disruptive: Share | None = None
    max_actions_per_hour: Rate | None = None


class FleetSettings(Section):
    """`max_disruptive` counts machines of a group: a number, or a share, rounded down but at least one."""

    max_disruptive: Share = "25%"
    max_actions_per_hour: Rate | None = None
    """In one group; null: no limit but that of each resource (`healing.max_actions_per_hour`)."""
    actions: dict[str, Rate] = Field(default_factory=dict)
    """By action: how often an hour it may be begun, on all resources together."""
    groups: dict[str, GroupBudget] = Field(default_factory=dict)
    escalation_cool_down_seconds: float = Field(default=900.0, ge=0, le=7 * 86_400)

    def limits(self, resources: Iterable[Resource]) -> FleetLimits:
        """The same with what is declared: what runs on one machine counts once."""
        machines: dict[str, set[str]] = {}
        for resource in resources:
            if resource.group:
                machines.setdefault(resource.group, set()).add(resource.host_key)
        return FleetLimits(
            max_disruptive=self.max_disruptive,
            group_actions_per_hour=self.max_actions_per_hour,
            actions_per_hour=self.actions,
            groups={name: GroupLimits(**own.model_dump()) for name, own in self.groups.items()},
            machines={group: len(found) for group, found in machines.items()},
            cool_down_seconds=self.escalation_cool_down_seconds,
        )

    def unknown(self, resources: Iterable[Resource], actions: Iterable[str]) -> list[str]:
        """Names that stand for nothing: a limit of what does not exist would limit nothing, and nobody would know."""
        groups, known = {resource.group for resource in resources if resource.group}, set(actions)
        unknown_groups = [name for name in self.groups if name not in groups]
        unknown_actions = [name for name in self.actions if name not in known]
        return [
            *(f"groups: no group {name!r:.80} is declared{known_instead(name, groups)}" for name in unknown_groups),
            *(f"actions: there is no action {name!r:.80}{known_instead(name, known)}" for name in unknown_actions),
        ]

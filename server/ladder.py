"""The ladder of trust, per kind and issue type: observe → ask → auto. What is measured says what has been earned.

A promotion is recommended and never made by itself; a demotion is both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from graph.records import Policy

Level = Literal["observe", "ask", "auto"]
Recommendation = Literal["promote", "keep", "demote"]

ENOUGH = 5
"""Incidents that must have gone well before more trust is recommended."""
MOSTLY = 0.9
OFTEN = 0.5


@dataclass(frozen=True)
class Measured:
    """What is counted of one pair. `rehearsed`: plans that a dry run told and did not run; `unaided`: healed as it was
    planned, neither edited nor turned down."""

    healed: int = 0
    unaided: int = 0
    escalated: int = 0
    declined: int = 0
    self_resolved: int = 0
    rehearsed: int = 0
    edited: int = 0
    rejected: int = 0
    rolled_back: int = 0
    confirmed_right: int = 0
    confirmed_wrong: int = 0

    @property
    def judged(self) -> int:
        """Incidents that had to be healed and either were or were not."""
        return self.healed + self.escalated


def report(policies: Sequence[Policy], measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A line for each pair that has a policy or a record: its level, what was measured, and what is recommended."""
    ended = list(measured["ended"])
    demotions = {(item["resource_kind"], item["issue_type"]): item for item in measured["demotions"]}
    declared = {(policy.resource_kind, policy.issue_type): policy for policy in policies}
    seen = {(item["resource_kind"], issue_type) for item in ended for issue_type in item["issue_types"]}
    lines = []
    for pair in sorted({*declared, *seen, *demotions}):
        fallen = demotions.get(pair)
        level = level_of(declared.get(pair))
        of_pair = [item for item in ended if item["resource_kind"] == pair[0] and pair[1] in item["issue_types"]]
        counted = count(of_pair)
        since = measured["last_demoted"].get(pair)
        after = count(item for item in of_pair if since is not None and item["ended_at"] > since)
        recommend, why = recommended(level, counted, fallen["why"] if fallen else None, after)
        lines.append(
            {
                "resource_kind": pair[0],
                "issue_type": pair[1],
                "declared_level": level,
                "level": "ask" if fallen and level == "auto" else level,
                "has_policy": pair in declared,
                "demoted": fallen,
                **asdict(counted),
                "recommend": recommend,
                "why": why,
            }
        )
    return lines


def level_of(policy: Policy | None) -> Level:
    """How far a pair is trusted by its policy; none asks."""
    if policy is None:
        return "ask"
    return "observe" if policy.dry_run else "auto" if policy.auto_heal else "ask"


def count(ended: Iterable[Mapping[str, Any]]) -> Measured:
    """The record of these ended incidents."""
    items = list(ended)

    def number(status: str) -> int:
        return sum(item["status"] == status for item in items)

    healed = [item for item in items if item["status"] == "mitigated"]
    return Measured(
        healed=len(healed),
        unaided=sum(not (item["edited"] or item["rejected"] or item["rolled_back"]) for item in healed),
        escalated=sum(item["status"] == "escalated" and item["rule"] != "taken_over" for item in items),
        declined=number("declined") - sum(item["rule"] == "dry_run" for item in items),
        self_resolved=number("self_resolved"),
        rehearsed=sum(item["rule"] == "dry_run" for item in items),
        edited=sum(item["edited"] for item in items),
        rejected=sum(item["rejected"] for item in items),
        rolled_back=sum(item["rolled_back"] for item in items),
        confirmed_right=sum(item["right"] is True for item in items),
        confirmed_wrong=sum(item["right"] is False for item in items),
    )


def recommended(level: Level, seen: Measured, demoted: str | None, since: Measured) -> tuple[Recommendation, str]:
    """What the record speaks for, and why. `since`: what was measured after the pair was last demoted."""
    if demoted is not None:
        if since.unaided >= ENOUGH and not _harm(since):
            return "promote", f"{since.unaided} healed as planned since it was demoted, and none went wrong"
        return "keep", f"demoted: {demoted}; {since.unaided} of {ENOUGH} healed as planned since"
    if level != "observe" and (harm := _harm(seen)):
        return ("demote" if level == "auto" else "keep"), harm
    if level == "auto":
        if seen.judged >= ENOUGH and seen.escalated / seen.judged > OFTEN:
            return "demote", f"{seen.escalated} of {seen.judged} had to be escalated"
        return "keep", _told(seen)
    if level == "observe":
        if seen.rehearsed >= ENOUGH and not seen.confirmed_wrong:
            return "promote", f"{seen.rehearsed} plans rehearsed, none found wrong: let it ask"
        return "keep", f"{seen.rehearsed} of {ENOUGH} plans rehearsed"
    decided = seen.healed + seen.rejected
    if seen.unaided >= ENOUGH and decided and seen.unaided / decided >= MOSTLY and seen.escalated <= seen.unaided:
        return "promote", f"{seen.unaided} of {decided} approved as planned and healed, none rolled back"
    return "keep", f"{seen.unaided} of {ENOUGH} healed as planned; {_told(seen)}"


def _harm(seen: Measured) -> str:
    parts = []
    if seen.rolled_back:
        parts.append(f"{seen.rolled_back} rolled back")
    if seen.confirmed_wrong:
        parts.append(f"{seen.confirmed_wrong} found wrong by humans")
    return ", ".join(parts)


def _told(seen: Measured) -> str:
    if not seen.judged:
        return "nothing to judge by yet"
    return f"{seen.healed} of {seen.judged} healed"

"""Who is told what, when, and whether once more: the decisions about notices, without any sending.

A chain tells its links one after the other until somebody has taken note. A target that is told too often gets one
digest instead; what flaps is told once, and once more when its window is over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from graph.records import IssueType, Policy
from graph.rules.clocks import set_back_since

EVENTS = ("opened", "approval_wanted", "mitigated", "escalated", "self_resolved", "declined", "demoted")
CALLS = ("escalated", "approval_wanted")
"""Events that call a human: a chain goes on until one has taken note."""
ENDINGS = ("mitigated", "self_resolved", "declined")
"""Events that say it is over: whoever was told of the incident before is told these too."""
FOLDED = ("opened", "escalated", *ENDINGS, "demoted")
"""Events whose repeats within a window are one. A wanted approval is always another plan, and can't wait."""


@dataclass(frozen=True)
class Link:
    """One link of a chain: who is told, so many minutes after the call. Minutes tell links apart."""

    after_minutes: float
    to: tuple[str, ...]


@dataclass(frozen=True)
class Listener:
    """What one target wants to hear. None: of every kind, of every group."""

    name: str
    events: frozenset[str]
    kinds: frozenset[str] | None = None
    groups: frozenset[str] | None = None

    def concerns(self, kind: str, group: str | None) -> bool:
        """Whether incidents of that kind and group are its business."""
        return (self.kinds is None or kind in self.kinds) and (self.groups is None or group in self.groups)


def listeners_of(
    listeners: Iterable[Listener],
    event: str,
    kind: str,
    group: str | None,
    chain: Sequence[Link] = (),
    told_before: Collection[str] = (),
) -> list[str]:
    """Who is told an event at once, beside the chain: those who want it; for an ending also who was told before.

    A target that the chain names is told calls by the chain alone, at its time.
    """
    chained = {name for link in chain for name in link.to} if event in CALLS else set()
    return [
        listener.name
        for listener in listeners
        if listener.name not in chained
        and listener.concerns(kind, group)
        and (event in listener.events or (event in ENDINGS and listener.name in told_before))
    ]


def due_links(
    chain: Sequence[Link], called_at: datetime, stopped: bool, told: Collection[float], now: datetime
) -> list[Link]:
    """The links to tell now, in order. `stopped`: somebody has taken note, or it is over; `told`: minutes of links.

    Where the clock was set back since, nobody knows how long ago the call was: better called early than hours late.
    """
    if stopped:
        return []
    unknown = set_back_since(called_at, now)
    return [
        link
        for link in chain
        if link.after_minutes not in told and (unknown or now >= called_at + timedelta(minutes=link.after_minutes))
    ]


def chain_done(chain: Sequence[Link], told: Collection[float]) -> bool:
    """Whether every link has been told."""
    return all(link.after_minutes in told for link in chain)


def room(sent_at: Iterable[datetime], max_per_hour: int, now: datetime) -> int:
    """How many more notices a target may get now."""
    recent = sum(at > now - timedelta(hours=1) for at in sent_at)
    return max(0, max_per_hour - recent)


def folded_until(event: str, last_at: datetime | None, window: timedelta, now: datetime) -> datetime | None:
    """When a repeat may be told: None is at once. `last_at`: when the same was told last."""
    if event not in FOLDED or last_at is None or now >= last_at + window:
        return None
    return min(last_at, now) + window


def tells_opening(policies: Iterable[Policy], resource_kind: str, issue_type: IssueType) -> bool:
    """Whether policy wants people told as soon as such an incident is opened."""
    pair = (resource_kind, issue_type)
    return any(policy.notify_opened for policy in policies if (policy.resource_kind, policy.issue_type) == pair)

"""Storms: many resources that fail together share a cause, so repairing each would be harm. What do they share?

What is counted is resources, not alerts: each has at most one open incident.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil

from graph.rules.sharing import Share, Shares

CALM = 0.5
"""A storm is over when fewer than this part of what it takes to begin one still fail."""


@dataclass(frozen=True)
class Thresholds:
    """What makes a storm: so many that began to fail within the window, and such a part of those who share a thing."""

    window: timedelta = timedelta(seconds=120)
    min_resources: int = 5
    min_share: float = 0.5

    def needed(self, total: int) -> int:
        """How many of so many must fail together."""
        return max(self.min_resources, ceil(self.min_share * total))


@dataclass(frozen=True)
class StormRules:
    """The thresholds, and what the resources share."""

    shares: Shares = field(default_factory=Shares)
    thresholds: Thresholds = Thresholds()


@dataclass(frozen=True)
class Failing:
    """A resource in trouble, by its key, and when each of its firing alerts began."""

    key: str
    began: tuple[datetime, ...]


@dataclass(frozen=True)
class Storm:
    """Resources that fail together. `spared`: what they all depend on and fails too: its repair may be the cure."""

    share: Share
    members: frozenset[str]
    spared: frozenset[str]
    since: datetime
    reason: str


@dataclass(frozen=True)
class UnderWay:
    """A storm that goes on, as it is kept: `id` is its keeper's."""

    id: int
    share: Share
    since: datetime


@dataclass(frozen=True)
class Weather:
    """What is to be done about storms. `short_of`: how many more must fail at least before another could begin."""

    begun: tuple[Storm, ...]
    going: Mapping[int, Storm]
    over: Mapping[int, str]
    short_of: int


def weather(
    failing: Iterable[Failing], under_way: Sequence[UnderWay], rules: StormRules, excused: Collection[str] = ()
) -> Weather:
    """Which storms begin, go on or are over. `excused`: resources that humans have let go of; they begin no storm."""
    known = {item.key: item for item in failing if item.key in rules.shares.of}
    going: dict[int, Storm] = {}
    over: dict[int, str] = {}
    for one in under_way:
        mine = rules.shares.members.get(one.share, frozenset())
        found = mine & known.keys()
        if len(found) < CALM * rules.thresholds.needed(len(mine)):
            over[one.id] = f"{len(found)} of {len(mine)} {one.share.members_in_words} still fail"
        else:
            going[one.id] = _storm(one.share, found, one.since, known, rules.shares)
    held = {key for storm in going.values() for key in (*storm.members, *storm.spared)}
    free = known.keys() - held - set(excused)
    begun: list[Storm] = []
    while (best := _strongest(free, known, rules)) is not None:
        begun.append(best)
        free = free - best.members - best.spared
    return Weather(tuple(begun), going, over, _short_of(free, known, rules))


def together(failing: Iterable[Failing], window: timedelta) -> tuple[int, datetime | None]:
    """The most resources that began to fail within one window, and when the first of them did."""
    starts = sorted((at, item.key) for item in failing for at in item.began)
    inside: deque[tuple[datetime, str]] = deque()
    keys: Counter[str] = Counter()
    most, since = 0, None
    for at, key in starts:
        inside.append((at, key))
        keys[key] += 1
        while inside[0][0] < at - window:
            _, gone = inside.popleft()
            keys[gone] -= 1
            if not keys[gone]:
                del keys[gone]
        if len(keys) > most:
            most, since = len(keys), inside[0][0]
    return most, since


@dataclass(frozen=True)
class _Candidate:
    storm: Storm
    explained: bool
    part: float

    @property
    def rank(self) -> tuple[bool, int, float, int]:
        """A dependency that fails itself explains best; then what explains most; then what is most specific."""
        return self.explained, len(self.storm.members), self.part, self.storm.share.rank


def _strongest(free: Collection[str], known: Mapping[str, Failing], rules: StormRules) -> Storm | None:
    found: list[_Candidate] = []
    touched = {share for key in free for share in rules.shares.of[key]}
    for share in sorted(touched, key=str):
        mine = rules.shares.members[share]
        failing, unheld = mine & known.keys(), [known[key] for key in mine if key in free]
        count, since = together(unheld, rules.thresholds.window)
        if since is None or count < rules.thresholds.min_resources:
            continue
        in_all, _ = together([known[key] for key in failing], rules.thresholds.window)
        if in_all < rules.thresholds.needed(len(mine)):
            continue
        storm = _storm(share, frozenset(item.key for item in unheld), since, known, rules.shares)
        explained = share.kind == "dependency" and share.name in known
        found.append(_Candidate(storm, explained, len(failing) / len(mine)))
    return max(found, key=lambda item: item.rank).storm if found else None


def _storm(
    share: Share, failing: frozenset[str], since: datetime, known: Mapping[str, Failing], shares: Shares
) -> Storm:
    causes = _causes(failing, known, shares)
    members = failing - causes
    return Storm(share, members, causes, since, _in_words(share, members, known, since, shares))


def _causes(failing: frozenset[str], known: Mapping[str, Failing], shares: Shares) -> frozenset[str]:
    """What fails and what all the others depend on: the deepest of it, as the rest depends on that in turn."""
    needed = Counter(one.name for key in failing for one in shares.of[key] if one.kind == "dependency")
    common = {name for name, count in needed.items() if name in known and count == len(failing - {name})}
    deepest = {one for one in common if not any(Share("dependency", other) in shares.of[one] for other in common)}
    return frozenset(deepest) if failing - deepest else frozenset()


def _in_words(
    share: Share, members: frozenset[str], known: Mapping[str, Failing], since: datetime, shares: Shares
) -> str:
    """`7 of 9 in group web fail since 10:02 UTC, all depend on Database/db-1, which fails too`."""
    common = sorted(
        frozenset.intersection(*(shares.of[key] for key in members)),
        key=lambda one: (one.name in known, one.rank, -len(shares.members[one]), one.name),
        reverse=True,
    )
    placed = [one for one in common if one.kind != "dependency"]
    lead = share if share.kind != "dependency" or not placed else placed[0]
    of = shares.members[lead]
    itself = " (which fails too)" if lead.name in known else ""
    said = f"{len(members & of)} of {len(of)} {lead.members_in_words}{itself} fail since {since:%H:%M} UTC"
    # That all are where everything is says nothing.
    others = [one for one in common if one != lead and len(shares.members[one]) < len(shares.of)][:3]
    told = [f"{one.in_words}, which fails too" if one.name in known else one.in_words for one in others]
    return f"{said}, all {' and '.join(told)}" if told else said


def _short_of(free: Collection[str], known: Mapping[str, Failing], rules: StormRules) -> int:
    thresholds, members = rules.thresholds, rules.shares.members
    touched = {share for key in free for share in rules.shares.of[key]}
    large = [mine for mine in members.values() if len(mine) >= thresholds.min_resources]
    least = min((thresholds.needed(len(mine)) for mine in large), default=1_000_000)
    for share in touched:
        mine = members[share]
        if len(mine) >= thresholds.min_resources:
            count, _ = together([known[key] for key in mine & known.keys()], thresholds.window)
            least = min(least, thresholds.needed(len(mine)) - count)
    return max(least, 1)

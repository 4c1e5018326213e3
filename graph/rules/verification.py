"""Whether a resource is healthy: every criterion passes, and has for the soak time. Healed means seen healthy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from graph.records import Criterion, Observation, Verification
from graph.rules.clocks import unseen

QUICKEST = 0.5


@dataclass(frozen=True)
class VerificationTimes:
    """Seconds: how long health must hold, how long to wait for it, how far apart to look at most."""

    soak: float
    timeout: float
    interval: float

    def look_again(self, waited: float) -> float:
        """Often at first, then less often, never past the timeout."""
        return max(min(waited / 4, self.interval, self.timeout - waited), QUICKEST)

    def look_again_soaking(self, held: float) -> float:
        """At least three looks while health must hold."""
        return max(min(self.soak / 3, self.soak - held), QUICKEST)


@dataclass(frozen=True)
class Before:
    """What was seen of criteria before the repair, by name: in words, and which were well and which were not."""

    words: Mapping[str, str] = field(default_factory=dict)
    well: frozenset[str] = frozenset()
    ill: frozenset[str] = frozenset()


NOTHING_BEFORE = Before()


def judge(
    observed: Sequence[Observation],
    before: Before,
    previous: Verification | None,
    times: VerificationTimes,
    now: datetime,
) -> Verification:
    """Judge one round of observations in the light of the rounds before it, and of what was seen before the repair.

    A neighbour that was ill before may stay so. One that was well and is not, once the time is over or its state can
    not mend by waiting, was made worse by us.
    """
    criteria = tuple(_criterion(item, before) for item in observed)
    previous = _as_seen(previous, now)
    started = previous.started_at if previous else now
    waited = (now - started).total_seconds()
    bad = [item for item in criteria if item.status != "pass"]
    if not criteria:
        reason = "nothing could be observed: no alert condition, no health check"
        return _verdict("unknown", criteria, reason, started, now)
    if not bad:
        return _passing(criteria, previous, times, started, now)
    failed = [item for item in bad if item.status == "fail"]
    if failed:
        verdict = _verdict("unhealthy", criteria, f"{failed[0].name}: {failed[0].after}", started, now)
        return verdict.model_copy(update={"made_worse": _made_worse(failed, before)})
    if waited < times.timeout:
        again = now + timedelta(seconds=times.look_again(waited))
        reason = f"waiting for {bad[0].name}: {bad[0].after}"
        return _verdict("pending", criteria, reason, started, now).model_copy(update={"look_again_at": again})
    if all(item.status == "unknown" for item in bad):
        reason = f"{bad[0].name} could not be observed for {waited:.0f} s: {bad[0].after}"
        return _verdict("unknown", criteria, reason, started, now)
    slow = next(item for item in bad if item.status == "pending")
    verdict = _verdict("unhealthy", criteria, f"after {waited:.0f} s still {slow.name}: {slow.after}", started, now)
    return verdict.model_copy(update={"made_worse": _made_worse(bad, before)})


def _as_seen(previous: Verification | None, now: datetime) -> Verification | None:
    """The round before, moved by the time that nobody saw: health holds, and is waited for, only while it is looked at.

    So neither a clock that jumps nor an hour without a worker makes a soak, or uses up the time there is for repair.
    """
    if previous is None or previous.look_again_at is None:
        return previous
    by = unseen(previous.observed_at, previous.look_again_at, now)
    since = previous.passing_since + by if previous.passing_since else None
    return previous.model_copy(update={"started_at": previous.started_at + by, "passing_since": since})


def _passing(
    criteria: tuple[Criterion, ...],
    previous: Verification | None,
    times: VerificationTimes,
    started: datetime,
    now: datetime,
) -> Verification:
    since = previous.passing_since if previous and previous.passing_since else now
    held = (now - since).total_seconds()
    if held >= times.soak:
        reason = f"all {len(criteria)} criteria pass and have held for {held:.0f} s"
        verdict = _verdict("healthy", criteria, reason, started, now)
        return verdict.model_copy(update={"passing_since": since, "held_seconds": held})
    reason = f"all {len(criteria)} criteria pass; must hold for {times.soak:.0f} s"
    again = now + timedelta(seconds=times.look_again_soaking(held))
    verdict = _verdict("pending", criteria, reason, started, now)
    return verdict.model_copy(update={"passing_since": since, "held_seconds": held, "look_again_at": again})


def _criterion(item: Observation, before: Before) -> Criterion:
    no_worse = item.neighbour and item.status in ("fail", "pending") and item.criterion in before.ill
    return Criterion(
        name=item.criterion,
        status="pass" if no_worse else item.status,
        before=before.words.get(item.criterion, ""),
        after=f"{item.observed} (as before)" if no_worse else item.observed,
        neighbour=item.neighbour,
    )


def _made_worse(bad: Sequence[Criterion], before: Before) -> str:
    """What a repair has broken: it was seen well before, and is seen ill now."""
    broken = [item for item in bad if item.name in before.well and item.status in ("fail", "pending")]
    return "; ".join(f"{item.name} was {item.before or 'well'}, now: {item.after}" for item in broken)


def _verdict(
    status: str, criteria: tuple[Criterion, ...], reason: str, started: datetime, now: datetime
) -> Verification:
    return Verification.model_validate(
        {"status": status, "criteria": criteria, "reason": reason, "started_at": started, "observed_at": now}
    )

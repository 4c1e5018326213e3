"""Whether a resource is healthy: every criterion passes, and has for the soak time. Healed means seen healthy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from graph.records import Criterion, Observation, Verification

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


def judge(
    observed: Sequence[Observation],
    before: Mapping[str, str],
    previous: Verification | None,
    times: VerificationTimes,
    now: datetime,
) -> Verification:
    """Judge one round of observations in the light of the rounds before it.

    `before` maps a criterion's name to what was seen before the repair.
    """
    criteria = tuple(_criterion(item, before) for item in observed)
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
        return _verdict("unhealthy", criteria, f"{failed[0].name}: {failed[0].after}", started, now)
    if waited < times.timeout:
        again = now + timedelta(seconds=times.look_again(waited))
        reason = f"waiting for {bad[0].name}: {bad[0].after}"
        return _verdict("pending", criteria, reason, started, now).model_copy(update={"look_again_at": again})
    if all(item.status == "unknown" for item in bad):
        reason = f"{bad[0].name} could not be observed for {waited:.0f} s: {bad[0].after}"
        return _verdict("unknown", criteria, reason, started, now)
    slow = next(item for item in bad if item.status == "pending")
    return _verdict("unhealthy", criteria, f"after {waited:.0f} s still {slow.name}: {slow.after}", started, now)


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


def _criterion(item: Observation, before: Mapping[str, str]) -> Criterion:
    return Criterion(
        name=item.criterion, status=item.status, before=before.get(item.criterion, ""), after=item.observed
    )


def _verdict(
    status: str, criteria: tuple[Criterion, ...], reason: str, started: datetime, now: datetime
) -> Verification:
    return Verification.model_validate(
        {"status": status, "criteria": criteria, "reason": reason, "started_at": started, "observed_at": now}
    )

"""Healed means seen healthy, for as long as it must hold; what is only slow is not called broken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from graph.records import Observation, Verification
from graph.rules.verification import Before, VerificationTimes, judge

T0 = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = VerificationTimes(soak=10, timeout=60, interval=5)


def seen(status: str, name: str = "service web") -> Observation:
    return Observation.model_validate({"criterion": name, "status": status, "observed": f"{name} is {status}"})


def after(seconds: float, *statuses: str, previous: Verification | None = None) -> Verification:
    observed = [seen(status, f"check {index}") for index, status in enumerate(statuses)]
    return judge(observed, Before({"check 0": "was failed"}), previous, TIMES, T0 + timedelta(seconds=seconds))


def test_passing_once_is_not_yet_healthy() -> None:
    found = after(0, "pass")
    assert (found.status, found.held_seconds) == ("pending", 0) and found.look_again_at is not None


def test_passing_for_the_soak_time_is_healthy() -> None:
    found = after(10, "pass", previous=after(0, "pass"))
    assert (found.status, found.held_seconds) == ("healthy", 10)


def test_a_relapse_starts_the_soak_again() -> None:
    relapse = after(9, "pending", previous=after(0, "pass"))
    assert relapse.passing_since is None
    assert after(12, "pass", previous=relapse).status == "pending"


def test_pending_is_no_failure_before_the_timeout() -> None:
    first = after(0, "pending")
    assert after(59, "pending", previous=first).status == "pending"
    late = after(60, "pending", previous=first)
    assert late.status == "unhealthy" and "after 60 s still check 0" in late.reason


def test_a_definite_failure_does_not_wait_for_the_timeout() -> None:
    assert after(0, "pass", "fail").status == "unhealthy"


def test_what_stays_unknown_is_told_as_unknown() -> None:
    assert after(60, "pass", "unknown", previous=after(0, "unknown")).status == "unknown"


def test_nothing_to_observe_is_never_healthy() -> None:
    assert judge((), Before(), None, TIMES, T0).status == "unknown"


def test_before_and_after_stand_side_by_side() -> None:
    [criterion] = after(0, "pass").criteria
    assert (criterion.before, criterion.after) == ("was failed", "check 0 is pass")


def test_looks_come_often_at_first_and_at_least_three_times_while_soaking() -> None:
    first = after(0, "pending")
    assert first.look_again_at is not None and (first.look_again_at - T0).total_seconds() < 1
    soaking = after(0, "pass")
    assert soaking.look_again_at is not None and (soaking.look_again_at - T0).total_seconds() <= TIMES.soak / 3

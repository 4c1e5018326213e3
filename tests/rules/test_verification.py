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


# -- neighbours, and repairs that do harm ----------------------------------------------------------------


def judged(
    *observed: Observation, before: Before, seconds: float = 0, previous: Verification | None = None
) -> Verification:
    return judge(observed, before, previous, TIMES, T0 + timedelta(seconds=seconds))


def beside(status: str, name: str = "service batch") -> Observation:
    return seen(status, name).model_copy(update={"neighbour": True})


ILL = Before({"service batch": "batch is stopped"}, ill=frozenset({"service batch"}))
WELL = Before({"service batch": "batch is running"}, well=frozenset({"service batch"}))


def test_a_neighbour_that_was_ill_before_need_not_be_mended() -> None:
    found = judged(seen("pass"), beside("fail"), before=ILL)
    assert found.status == "pending" and "all 2 criteria pass" in found.reason
    assert "as before" in found.criteria[1].after and found.criteria[1].neighbour


def test_a_neighbour_that_was_well_before_must_be_well() -> None:
    found = judged(seen("pass"), beside("fail"), before=WELL)
    assert found.status == "unhealthy"
    assert found.made_worse == "service batch was batch is running, now: service batch is fail"


def test_what_is_only_slow_to_come_back_was_not_made_worse_before_the_time_is_over() -> None:
    first = judged(seen("pass"), beside("pending"), before=WELL)
    assert (first.status, first.made_worse) == ("pending", "")
    late = judged(seen("pass"), beside("pending"), before=WELL, seconds=60, previous=first)
    assert late.status == "unhealthy" and late.made_worse


def test_what_was_ill_and_is_ill_was_not_made_worse() -> None:
    found = judged(seen("fail"), before=Before(ill=frozenset({"service web"})))
    assert (found.status, found.made_worse) == ("unhealthy", "")


def test_of_what_was_not_seen_before_nobody_says_that_it_was_made_worse() -> None:
    found = judged(seen("pass"), beside("fail"), before=Before())
    assert (found.status, found.made_worse) == ("unhealthy", "")

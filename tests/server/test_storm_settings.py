"""What operators may set about storms and flapping, and what that comes to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from graph.rules.flapping import Damping
from graph.rules.storms import Thresholds
from server.settings import Settings


def test_both_are_on_with_thresholds_that_small_fleets_do_not_reach() -> None:
    rules = Settings().fleet_rules
    assert rules.storms is not None and rules.storms.thresholds == Thresholds(timedelta(seconds=120), 5, 0.5)
    assert rules.damping == Damping(3, timedelta(minutes=15), timedelta(minutes=2), timedelta(minutes=60))


def test_both_can_be_switched_off() -> None:
    off = {"enabled": False}
    rules = Settings.model_validate({"storms": off, "flapping": off}).fleet_rules
    assert rules.storms is None and rules.damping is None


@pytest.mark.parametrize(
    "settings",
    [
        {"storms": {"min_resources": 1}},
        {"storms": {"min_share": 0}},
        {"storms": {"window": 5}},
        {"flapping": {"times": 1}},
        {"flapping": {"hold_minutes": 10, "max_hold_minutes": 5}},
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(settings)

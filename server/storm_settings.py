"""When many failures are taken for one, and when one that comes back is held down."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from graph.records import Resource
from graph.rules.flapping import Damping
from graph.rules.sharing import shares_of
from graph.rules.storms import StormRules, Thresholds
from server.section import Section


class StormSettings(Section):
    """A storm: so many resources, and such a part of what they share, that began to fail within the window."""

    enabled: bool = True
    window_seconds: float = Field(default=120, gt=0, le=3600)
    min_resources: int = Field(default=5, ge=2, le=100_000)
    min_share: float = Field(default=0.5, gt=0, le=1)

    def rules(self, resources: Iterable[Resource]) -> StormRules | None:
        """None where storms are not looked for."""
        if not self.enabled:
            return None
        window = timedelta(seconds=self.window_seconds)
        return StormRules(shares_of(resources), Thresholds(window, self.min_resources, self.min_share))


class FlappingSettings(Section):
    """Flapping: in trouble `times` in a row, well for at most `quiet_minutes` between. Held down, longer each time."""

    enabled: bool = True
    times: int = Field(default=3, ge=2, le=30)
    quiet_minutes: float = Field(default=15, gt=0, le=24 * 60)
    hold_minutes: float = Field(default=2, gt=0, le=24 * 60)
    max_hold_minutes: float = Field(default=60, gt=0, le=24 * 60)

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.max_hold_minutes < self.hold_minutes:
            raise ValueError(
                "max_hold_minutes must be at least hold_minutes: that is the first hold, which then doubles"
            )
        return self

    @property
    def damping(self) -> Damping | None:
        """None where flapping is not looked for."""
        if not self.enabled:
            return None
        minutes = [timedelta(minutes=one) for one in (self.quiet_minutes, self.hold_minutes, self.max_hold_minutes)]
        return Damping(self.times, *minutes)

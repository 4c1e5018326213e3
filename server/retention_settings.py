"""How long is kept what closed incidents have left behind. The audit log is kept for good, whatever is said here."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from graph.rules.retention import Terms, contradiction
from server.section import Section

LONGEST = 36_500


class RetentionSettings(Section):
    """Days after an incident's end (its last change, once it is closed)."""

    compact_days: float = Field(default=2.0, ge=1, le=LONGEST)
    """Its details are compacted. At least a day: what models cost is counted by the day from what was not compacted."""
    evidence_days: float | None = Field(default=30.0, ge=1, le=LONGEST)
    """Whole answers, commands, model calls and plots expire. None: never."""
    incident_days: float | None = Field(default=None, ge=1, le=LONGEST)
    """The incident itself is deleted. None: never."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if problem := contradiction(self.terms):
            raise ValueError(problem)
        return self

    @property
    def terms(self) -> Terms:
        return Terms(self.compact_days, self.evidence_days, self.incident_days)

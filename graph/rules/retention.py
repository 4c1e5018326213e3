"""How long what is kept: from when on what an incident has left behind is compacted, expired, deleted. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

CHECKPOINTS_KEPT = timedelta(minutes=10)
"""How long a thread outlives its incident's end: who was stopped in the middle of its last step may still write."""


@dataclass(frozen=True)
class Terms:
    """Days after an incident's end. None: never."""

    compact_days: float = 2.0
    evidence_days: float | None = 30.0
    incident_days: float | None = None


@dataclass(frozen=True)
class Cutoffs:
    """What closed at these times or before is due. None: nothing is."""

    checkpoints: datetime
    compact: datetime
    evidence: datetime | None
    incidents: datetime | None


def cutoffs(terms: Terms, now: datetime) -> Cutoffs:
    """What is due now."""

    def before(days: float | None) -> datetime | None:
        return None if days is None else now - timedelta(days=days)

    return Cutoffs(
        checkpoints=now - CHECKPOINTS_KEPT,
        compact=now - timedelta(days=terms.compact_days),
        evidence=before(terms.evidence_days),
        incidents=before(terms.incident_days),
    )


def contradiction(terms: Terms) -> str | None:
    """Why these terms make no sense together, or None."""
    evidence, incidents = terms.evidence_days, terms.incident_days
    if evidence is not None and evidence < terms.compact_days:
        return (
            f"evidence_days ({evidence:g}) must not be less than compact_days ({terms.compact_days:g}): "
            "evidence is packed when its incident is compacted, and expires after that"
        )
    if incidents is None:
        return None
    if evidence is None or incidents < evidence:
        kept = "never" if evidence is None else f"{evidence:g}"
        return (
            f"incident_days ({incidents:g}) must not be less than evidence_days ({kept}): "
            "evidence goes with its incident at the latest"
        )
    return None

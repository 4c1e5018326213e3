"""What was learnt before: ended incidents like this one, and what operators wrote. Advice, never a reason to fail.

A reasoner is given a few lines of it. Where it can't be had in time, the heal goes on as if there were none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeVar

from agents.reasoning.text import clip
from graph.records import Incident, OutcomeStatus, utc_now

SECONDS = 2.0
"""For all that is asked of the lore at one time."""
LINE_CHARS = 200
REASON_CHARS = (60, 25, 0)
"""How much is told of why an attempt failed: the most that still fits the line."""

Likeness = Literal["same resource and cause", "same resource", "same kind and cause"]
T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PastAttempt:
    """What was done once, and what came of it. `held`: it mended the incident, which was not reopened since."""

    actions: tuple[str, ...]
    suspected_cause: str = ""
    held: bool = False
    why_ended: str = ""


@dataclass(frozen=True)
class PastIncident:
    """How an earlier incident ended. `closed_at` is aware; `attempts` are those that acted, oldest first."""

    number: int
    closed_at: datetime
    resource_key: str
    alertnames: tuple[str, ...]
    suspected_cause: str
    target: str | None
    outcome: OutcomeStatus
    attempts: tuple[PastAttempt, ...] = ()
    likeness: Likeness = "same resource"
    reopened: bool = False
    """It was taken up again and has not ended since."""
    comment: str = ""
    """What a human said in closing it."""


@dataclass(frozen=True)
class RunbookText:
    """What an operator wrote, redacted and cut to what matters here. `why_relevant` says what matched."""

    name: str
    title: str
    text: str
    why_relevant: str


class Lore(Protocol):
    """Where the past and the runbooks are found. May raise: whoever asks can do without (see `learnt`)."""

    async def past(self, incident: Incident, causes: Sequence[str], limit: int = 5) -> Sequence[PastIncident]:
        """Ended incidents like this one, never itself: of this resource and one of the causes, then of this resource,
        then of this kind and one of the causes; newest first within."""

    async def runbooks(self, incident: Incident, causes: Sequence[str], limit: int = 2) -> Sequence[RunbookText]:
        """The operators' runbooks that are about this, most relevant first."""


class NoLore:
    """Nothing is remembered and nothing was written down."""

    async def past(self, incident: Incident, causes: Sequence[str], limit: int = 5) -> Sequence[PastIncident]:
        return ()

    async def runbooks(self, incident: Incident, causes: Sequence[str], limit: int = 2) -> Sequence[RunbookText]:
        return ()


async def learnt(
    lore: Lore, incident: Incident, causes: Sequence[str], seconds: float = SECONDS
) -> tuple[Sequence[PastIncident], Sequence[RunbookText]]:
    """Both, at once. What fails or takes longer than `seconds` is logged and left out. Raises nothing."""
    return await asyncio.gather(
        _or_nothing("past incidents", lore.past(incident, causes), seconds),
        _or_nothing("runbooks", lore.runbooks(incident, causes), seconds),
    )


async def _or_nothing(what: str, asked: Awaitable[Sequence[T]], seconds: float) -> Sequence[T]:
    try:
        async with asyncio.timeout(seconds):
            return await asked
    except Exception as error:  # advice that can't be had must not stop a heal, whatever is wrong with it
        logger.warning("no %s could be had: %s: %s", what, type(error).__name__, clip(str(error), 200))
        return ()


# -- in a few lines -------------------------------------------------------------------------------------


def told(past: Sequence[PastIncident], now: datetime | None = None) -> list[str]:
    """A line each, of at most LINE_CHARS characters, in the order given:
    `#41, 3 d ago, this resource: no_space_left → clean_logs, restart_service → mitigated, held`."""
    return [_line(item, now or utc_now()) for item in past]


def _line(item: PastIncident, now: datetime) -> str:
    where = item.resource_key if item.likeness == "same kind and cause" else "this resource"
    about = f" of {clip(item.target, 30)}" if item.target else ""
    head = (
        f"#{item.number}, {_ago(now - item.closed_at)}, {clip(where, 50)}: {clip(item.suspected_cause, 40)}{about} → "
    )
    tail = f" → {_ended(item)}"
    room = LINE_CHARS - len(head) - len(tail)
    tries = next((text for chars in REASON_CHARS if len(text := _tries(item, chars)) <= room), _tries(item, 0))
    return clip(head + clip(tries, max(room, 20)) + tail, LINE_CHARS)


def _tries(item: PastIncident, reason_chars: int) -> str:
    said = []
    for attempt in item.attempts:
        actions = ", ".join(attempt.actions) or "no action"
        reason = f" ({clip(attempt.why_ended, reason_chars)})" if reason_chars and attempt.why_ended else ""
        said.append(actions if attempt.held else f"{actions} did not help{reason}")
    return ", then ".join(said) or "nothing was done"


def _ended(item: PastIncident) -> str:
    if item.outcome == "mitigated":
        held = any(attempt.held for attempt in item.attempts)
        return "mitigated, but came back" if item.reopened else "mitigated, held" if held else "mitigated"
    return f"{item.outcome}, closed by a human: {clip(item.comment, 60)}" if item.comment else item.outcome


def _ago(age: timedelta) -> str:
    minutes = max(int(age.total_seconds() // 60), 0)
    if minutes < 60:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d ago"

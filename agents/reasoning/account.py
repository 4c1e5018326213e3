"""On whose account a question to a model goes: its incident's budget before each call, the ledger after it."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache

from agents.reasoning.budget import Budget
from agents.reasoning.ledger import ModelCall, Purpose, Usage
from agents.reasoning.structured import Called
from agents.reasoning.text import clean, shorten
from graph.records import utc_now

MAX_ANSWER_CHARS = 8_000

_SHARED = ("system", "schema")
"""What most calls of a purpose have in common."""
_cleaned_once = lru_cache(maxsize=64)(clean)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Price:
    """What a model costs, in USD for a million tokens."""

    input_per_million_tokens: float
    output_per_million_tokens: float

    def of(self, usage: Usage) -> float:
        """In USD."""
        told = usage.input_tokens * self.input_per_million_tokens + usage.output_tokens * self.output_per_million_tokens
        return told / 1_000_000


@dataclass(frozen=True)
class IncidentAccount:
    """The account of one question of one incident. `prompt` is name and version of the prompt's file."""

    budget: Budget
    incident_id: str
    purpose: Purpose
    attempt: int
    model: str
    prompt: str
    price: Price | None = None

    async def check(self) -> None:
        """Raises ReasonerFailed."""
        await self.budget.check(self.incident_id)

    def under_way(self) -> AbstractContextManager[None]:
        return self.budget.call(self.incident_id)

    async def called(self, call: Called) -> None:
        """Put it on record, redacted. Never raises."""
        messages = (*call.messages, *([("schema", call.schema)] if call.schema else []))
        entry = ModelCall(
            incident_id=self.incident_id,
            at=utc_now(),
            purpose=self.purpose,
            attempt=self.attempt,
            model=self.model,
            prompt=self.prompt,
            method=call.method,
            messages=tuple((role, _cleaned_once(text) if role in _SHARED else clean(text)) for role, text in messages),
            answer=shorten(call.answer, MAX_ANSWER_CHARS),
            status=call.status,
            problem=clean(call.problem),
            usage=call.usage,
            seconds=round(call.seconds, 3),
            cost_usd=self.price.of(call.usage) if self.price else None,
        )
        try:
            await self.budget.ledger.called(entry)
        except Exception:  # the answer counts for more than its record, and the call is counted all the same
            self.budget.off_record(self.incident_id)
            logger.exception("a call of %s for incident %s could not be put on record", self.model, self.incident_id)

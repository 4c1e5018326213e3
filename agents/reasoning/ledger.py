"""What models were asked and what it cost: every call, also those that failed. The record of what was sent, and what
budgets count by.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

CHARS_PER_TOKEN = 4
"""For answers without usage, so that a server that tells none is not free of any budget."""
MAX_REMEMBERED = 5_000

Purpose = Literal["diagnose", "plan"]
Status = Literal["answered", "invalid", "failed"]


@dataclass(frozen=True)
class Usage:
    """Tokens of one call; estimated from the length of the text where the server told none."""

    input_tokens: int = 0
    output_tokens: int = 0
    reported: bool = True


@dataclass(frozen=True)
class ModelCall:
    """One call of a model. Texts are redacted; `seconds` is how long it took with the client's own retries.

    `prompt` is name and version of its file (`diagnose@2`); `method` how structured output was asked for. `problem`
    says what was wrong with the answer (`invalid`) or why there was none (`failed`). `cost_usd`: None without price.
    """

    incident_id: str
    at: datetime
    purpose: Purpose
    attempt: int
    model: str
    prompt: str
    method: str
    messages: Sequence[tuple[str, str]]
    """Role and text, as sent; `schema` is the shape of the answer, with the tools, where it went along beside them."""
    answer: str
    status: Status
    problem: str = ""
    usage: Usage = Usage()
    seconds: float = 0.0
    cost_usd: float | None = None


@dataclass(frozen=True)
class Spent:
    """What calls have come to. `cost_usd` is None where not all of them have a price."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    cost_usd: float | None = None
    estimated_calls: int = 0
    """Calls whose tokens nobody told."""

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


class Ledger(Protocol):
    """Where calls are kept."""

    async def called(self, call: ModelCall) -> None: ...

    async def spent(self, incident_id: str) -> Spent: ...

    async def spent_since(self, at: datetime) -> Spent: ...


class MemoryLedger:
    """The latest calls of this process: for trials, and where there is no store."""

    def __init__(self) -> None:
        self.calls: deque[ModelCall] = deque(maxlen=MAX_REMEMBERED)

    async def called(self, call: ModelCall) -> None:
        self.calls.append(call)

    async def spent(self, incident_id: str) -> Spent:
        return sum_of([call for call in self.calls if call.incident_id == incident_id])

    async def spent_since(self, at: datetime) -> Spent:
        return sum_of([call for call in self.calls if call.at >= at])


def sum_of(calls: Sequence[ModelCall]) -> Spent:
    costs = [call.cost_usd for call in calls]
    return Spent(
        calls=len(calls),
        input_tokens=sum(call.usage.input_tokens for call in calls),
        output_tokens=sum(call.usage.output_tokens for call in calls),
        seconds=sum(call.seconds for call in calls),
        cost_usd=sum(cost for cost in costs if cost is not None) if costs and None not in costs else None,
        estimated_calls=sum(not call.usage.reported for call in calls),
    )


def estimated(asked: str, answered: str) -> Usage:
    """Tokens by the length of the texts."""
    return Usage(len(asked) // CHARS_PER_TOKEN, len(answered) // CHARS_PER_TOKEN, reported=False)

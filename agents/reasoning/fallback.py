"""A second reasoner behind the first: whatever a model or its server does wrong, the heal goes on, and says so."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from agents.reasoning.failures import ReasonerFailed
from agents.reasoning.text import clip
from graph.kind import UNKNOWN_CAUSE
from graph.ports import Asks, DiagnosisRequest, PlanRequest, Reasoner
from graph.records import Diagnosis, Plan

DEADLINE_SECONDS = 75.0
"""For one diagnosis or plan of the first: two calls at the model's default timeout, and the import of its client."""
SECOND_DEADLINE_SECONDS = 10.0
MAX_OBJECTIONS = 2
"""Plans of the first that may be turned down before the second is asked."""
MAX_REMEMBERED = 1_000
REASON_CHARS = 160

logger = logging.getLogger(__name__)

Who = Literal["first", "second"]
T = TypeVar("T")


class FallbackReasoner:
    """Asks the first reasoner, and the second where the first fails or takes too long. Raises nothing but
    CancelledError: where both fail, the answer is `unknown` or a plan without steps."""

    def __init__(self, first: Reasoner, second: Reasoner, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self.name = first.name
        self._first = first
        self._second = second
        self._deadline = deadline_seconds
        self._answered = Answered()

    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis | Asks:
        try:
            return await _within(self._deadline, self._first.diagnose(request))
        except Exception as error:  # a port that must not raise: any failure is the second's turn
            reason = self._told(error)
        try:
            diagnosis = await _within(SECOND_DEADLINE_SECONDS, self._second.diagnose(request))
        except Exception as error:
            summary = self._both_failed(reason, error)
            return Diagnosis(suspected_cause=UNKNOWN_CAUSE, summary=summary, confidence=0, author=self._nobody)
        if isinstance(diagnosis, Asks):
            return diagnosis
        return diagnosis.model_copy(update={"author": self._instead(diagnosis.author, reason)})

    async def plan(self, request: PlanRequest) -> Plan:
        """As `diagnose`; and the second's turn comes when two plans were turned down. It is told only of the
        objections to its own plans, as it goes on by counting them."""
        key = f"{request.incident.id}/{len(request.attempts)}"
        before = self._answered.before(key, len(request.objections))
        if len(request.objections) >= MAX_OBJECTIONS:
            reason = "plans turned down"
        else:
            try:
                plan = await _within(self._deadline, self._first.plan(request))
                self._answered.note(key, before, "first")
                return plan
            except Exception as error:
                reason = self._told(error)
        self._answered.note(key, before, "second")
        own = [objection for who, objection in zip(before, request.objections, strict=True) if who == "second"]
        try:
            plan = await _within(SECOND_DEADLINE_SECONDS, self._second.plan(replace(request, objections=own)))
        except Exception as error:
            return Plan(steps=(), summary=self._both_failed(reason, error), author=self._nobody)
        return plan.model_copy(update={"author": self._instead(plan.author, reason)})

    def _told(self, error: Exception) -> str:
        reason = _reason(error)
        expected = isinstance(error, ReasonerFailed | TimeoutError)
        logger.warning("%s failed: %s", self._first.name, reason, exc_info=None if expected else error)
        return reason

    def _instead(self, author: str, reason: str) -> str:
        """`runbook (fell back from llm:gpt-4.1: timed out after 30 s)`."""
        return f"{author or self._second.name} (fell back from {self._first.name}: {reason})"

    def _both_failed(self, reason: str, error: Exception) -> str:
        logger.error("%s failed too", self._second.name, exc_info=error)
        return f"nobody could reason: {self._first.name}: {reason}; {self._second.name}: {_reason(error)}"

    @property
    def _nobody(self) -> str:
        return f"nobody ({self._first.name} and {self._second.name} failed)"


class Answered:
    """Whose answers the objections of a request were about. Forgotten by a restart, the oldest when there are many:
    then it is taken that the first answered what it is asked by default."""

    def __init__(self) -> None:
        self._who: OrderedDict[str, Sequence[Who]] = OrderedDict()

    def before(self, key: str, objections: int) -> tuple[Who, ...]:
        """Who gave each of the answers that were objected to, oldest first."""
        known = tuple(self._who.get(key, ()))[:objections]
        missing = range(len(known), objections)
        return (*known, *("first" if index < MAX_OBJECTIONS else "second" for index in missing))

    def note(self, key: str, before: Sequence[Who], who: Who) -> None:
        self._who[key] = (*before, who)
        self._who.move_to_end(key)
        while len(self._who) > MAX_REMEMBERED:
            self._who.popitem(last=False)


async def _within(seconds: float, answer: Awaitable[T]) -> T:
    """The answer, or ReasonerFailed when that time has passed; a TimeoutError of the reasoner's own stays one."""
    try:
        async with asyncio.timeout(seconds) as scope:
            return await answer
    except TimeoutError as error:
        if scope.expired():
            raise ReasonerFailed(f"timed out after {seconds:g} s") from error
        raise


def _reason(error: Exception) -> str:
    told = str(error) if isinstance(error, ReasonerFailed) else f"{type(error).__name__}: {error}"
    return clip(told.rstrip(": "), REASON_CHARS)

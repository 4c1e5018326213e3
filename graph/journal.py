"""The memory that makes one side effect happen once: what must hold before it begins, what is known once it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from graph.doing import Doing
from graph.errors import PermanentError
from graph.records import ActionResult, Risk


@dataclass(frozen=True)
class JournalRequest:
    """All that must hold before a side effect: checked in the one transaction that writes `started`."""

    idempotency_key: str
    incident_id: str
    holder: str
    """The worker and leg that claims to hold the lease."""
    touches: tuple[str, ...]
    action: str
    rendered: str
    deadline_seconds: float
    attempt: int
    plan_fingerprint: str
    approval_needed: bool
    baseline: Mapping[str, Any]
    now: datetime
    undo: bool = False
    risk: Risk = "disruptive"
    """That of the whole plan: what it needs of its group's budget is reserved before its first step."""
    actions: tuple[str, ...] = ()
    """All that the plan does: none of it is begun while one may not be. Empty: `action` alone."""


@dataclass(frozen=True)
class Started:
    """Ours to run, now and only now."""

    started_at: datetime


@dataclass(frozen=True)
class AlreadyStarted:
    """Somebody began this very step before. `result` is None where nobody wrote how it ended.

    `plan_fingerprint`: of which plan it was a step.
    """

    started_at: datetime
    deadline_at: datetime
    baseline: Mapping[str, Any]
    result: ActionResult | None
    plan_fingerprint: str = ""


@dataclass(frozen=True)
class Hold:
    """Not now: look again at `until`."""

    rule: str
    reason: str
    until: datetime


@dataclass(frozen=True)
class Refusal:
    """Not at all: `rule` is a stable word, `reason` a sentence."""

    rule: str
    reason: str


class LeaseLost(PermanentError):
    """Another worker holds this heal now: this one must stop at once and write nothing more."""


@dataclass(frozen=True)
class SentCommand:
    """One command, query or API call in the moment before it is sent. `target` is where: `selfheal@10.0.0.5:22`."""

    doing: Doing
    target: str
    command: str
    at: datetime


class CommandLog(Protocol):
    """Where every command goes that a heal sends to the outside, before it is sent: nothing is done off the record."""

    async def sent(self, command: SentCommand) -> None: ...


class Journal(Protocol):
    """What was begun and how it ended: the memory that makes one side effect happen once."""

    async def find(self, idempotency_key: str) -> AlreadyStarted | None:
        """What is known of a step that was begun before, or None."""

    async def start(self, request: JournalRequest) -> Started | AlreadyStarted | Hold | Refusal: ...

    async def restart(self, request: JournalRequest) -> Started | Hold | Refusal:
        """Begin again a step that a probe has proven without effect; same key, all checks anew."""

    async def finish(self, result: ActionResult) -> None: ...

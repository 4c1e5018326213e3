"""For whom and what for something is being done: carried along the call, so that whatever leaves us can be recorded.

A context variable rather than an argument, as it concerns no decision: sources, checks and actions must not have to
pass it on, and none can forget to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Purpose = Literal["evidence", "precondition", "baseline", "action", "probe", "verification"]


@dataclass(frozen=True)
class Doing:
    """What is being done just now. `step` is the idempotency key of the plan's step, where it is one's."""

    incident_id: str
    purpose: Purpose
    step: str = ""


_now: ContextVar[Doing | None] = ContextVar("doing", default=None)


def doing() -> Doing | None:
    """What is being done, or None outside of heals (`selfheal doctor`)."""
    return _now.get()


@contextmanager
def on_behalf_of(incident_id: str, purpose: Purpose, step: str = "") -> Iterator[None]:
    """Everything within is done for this incident, for this purpose."""
    token = _now.set(Doing(incident_id, purpose, step))
    try:
        yield
    finally:
        _now.reset(token)


@contextmanager
def for_purpose(purpose: Purpose, step: str = "") -> Iterator[None]:
    """Within what is done for an incident: what for, more exactly. Outside of heals it changes nothing."""
    now = _now.get()
    if now is None:
        yield
        return
    with on_behalf_of(now.incident_id, purpose, step or now.step):
        yield

"""Spans: what is being done just now, for whoever wants to measure it. Nobody does unless a factory is set.

The graph names what it does and stays free of any tracing library, as `graph.doing` stays free of the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Protocol

Attributes = dict[str, str | int | float | bool]


class Span(Protocol):
    """One thing under way."""

    def note(self, **attributes: str | int | float | bool) -> None:
        """What came of it, once that is known (`status`)."""


class _Unseen:
    def note(self, **attributes: str | int | float | bool) -> None:
        """Nobody looks."""


@contextmanager
def _unseen(name: str, attributes: Attributes) -> Iterator[Span]:
    yield _UNSEEN


Spans = Callable[[str, Attributes], AbstractContextManager[Span]]
"""Begins a span of this name, with attributes; an exception that leaves it is recorded and goes on."""

_UNSEEN = _Unseen()
_spans: Spans = _unseen
_around: ContextVar[Attributes | None] = ContextVar("around", default=None)


@contextmanager
def span(name: str, **attributes: str | int | float | bool) -> Iterator[Span]:
    """What is done within is one span, `selfheal.node diagnose`, with these attributes and those of the spans around
    it: for whom a source is asked need not be said again. Texts may be anything; who exports them redacts."""
    told = {**(_around.get() or {}), **attributes}
    token = _around.set(told)
    try:
        with _spans(name, told) as current:
            yield current
    finally:
        _around.reset(token)


def set_spans(spans: Spans | None) -> None:
    """Who makes spans from now on, in this process; None: nobody."""
    global _spans
    _spans = spans or _unseen

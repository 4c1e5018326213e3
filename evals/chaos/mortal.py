"""The real `selfheal`, with one thing added: it dies (or stops) by itself at the moment that a variable names.

`python -m evals.chaos.mortal serve --config …`. Without the variable it writes down which moments there are.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from agents import checkpoints
from evals.chaos.points import AT_VARIABLE, SIGNALS, TRACE_VARIABLE
from server import cli
from server.store import Store

Method = Callable[..., Awaitable[Any]]


class Fate:
    """Counts the events of this process, and strikes at the one that is due."""

    def __init__(self, at: str, trace: str) -> None:
        self._event, self._side, nth, self._how = (at.split(":") + [""] * 4)[:4] if at else ("", "", "0", "")
        self._nth = int(nth)
        self._trace = trace
        self._seen: dict[str, int] = {}

    def before(self, event: str) -> int:
        self._seen[event] = number = self._seen.get(event, 0) + 1
        self._strike(event, "before", number)
        return number

    def after(self, event: str, number: int, detail: str) -> None:
        if self._trace:
            with open(self._trace, "a") as file:
                file.write(f"{event}:{detail}\n" if detail else f"{event}\n")
        self._strike(event, "after", number)

    def _strike(self, event: str, side: str, number: int) -> None:
        if (event, side, number) == (self._event, self._side, self._nth):
            print(f"struck: {self._how} {side} {event} #{number}", flush=True)
            self._event = ""
            os.kill(os.getpid(), SIGNALS[self._how])  # type: ignore[index]


def watched(
    fate: Fate, event: str, method: Method, detail: Callable[..., str], counts: Callable[[Any], bool]
) -> Method:
    """The method, with its beginning and its end told to fate. What `counts` says nothing to is no event."""

    @functools.wraps(method)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if event in ALWAYS:
            number = fate.before(event)
            result = await method(self, *args, **kwargs)
        else:
            result = await method(self, *args, **kwargs)
            if not counts(result):
                return result
            number = fate.before(event)
        fate.after(event, number, detail(*args, **kwargs))
        return result

    return call


ALWAYS = ("accept", "start", "restart", "finish", "tell", "approved", "end", "checkpoint", "writes")


def nothing(*_args: Any, **_kwargs: Any) -> str:
    return ""


def node_of(entry: Any) -> str:
    return str(entry.node)


def source_of(_config: Any, _checkpoint: Any, metadata: Any, *_rest: Any) -> str:
    return f"step {metadata.get('step')}"


def arm(fate: Fate) -> None:
    """Have every durable write of a heal in this process told to fate."""
    for name, event, detail in (
        ("accept", "accept", nothing),
        ("claim", "claim", nothing),
        ("start", "start", nothing),
        ("restart", "restart", nothing),
        ("finish", "finish", nothing),
        ("tell", "tell", node_of),
        ("approved", "approved", nothing),
        ("end_leg", "end", nothing),
    ):
        setattr(Store, name, watched(fate, event, getattr(Store, name), detail, bool))
    fenced: Any = checkpoints._Fenced
    fenced.aput = watched(fate, "checkpoint", fenced.aput, source_of, bool)
    fenced.aput_writes = watched(fate, "writes", fenced.aput_writes, nothing, bool)


if __name__ == "__main__":
    arm(Fate(os.environ.pop(AT_VARIABLE, ""), os.environ.get(TRACE_VARIABLE, "")))
    cli.run(sys.argv[1:])

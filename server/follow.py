"""Follows heals live in a terminal: each node with what it found, as it happens, and asks where a human is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from server.client import ServerRefused
from server.store import Conflict
from server.story import plain, timeline_line

ENDED = ("escalated", "declined", "taken_over", "closed")
WORDS = {
    "queued": "waiting for a free worker",
    "running": "at work",
    "waiting_approval": "waiting for a human",
}

Record = Mapping[str, Any]
Ask = Callable[[Record], dict[str, Any] | None]
"""Asks a human about the plan of a record: a decision's body, or None where it is left for later."""


class Feed(Protocol):
    """Where a heal is followed: at a server, or in this process."""

    async def events(self, reference: str, seen: str) -> dict[str, Any]: ...

    async def record(self, reference: str) -> dict[str, Any]: ...

    async def decide(self, reference: str, body: Record) -> None:
        """Raises ServerRefused or Conflict."""


async def follow(feed: Feed, reference: str, progress: Progress, ask: Ask | None) -> dict[str, Any]:
    """Show what happens until the heal ends, or a human is asked and there is none. Returns the last record."""
    seen = ""
    while True:
        told = await feed.events(reference, seen)
        seen = told["token"]
        progress.show(told)
        if told["phase"] in ENDED:
            break
        if told["phase"] == "waiting_approval":
            record = await feed.record(reference)
            if record["phase"] != "waiting_approval":
                continue
            decision = await _asked(record, progress, ask)
            if decision is None:
                break
            try:
                await feed.decide(reference, decision)
            except (ServerRefused, Conflict) as error:
                progress.say(f"not taken: {error}")
    return await feed.record(reference)


async def _asked(record: Record, progress: Progress, ask: Ask | None) -> dict[str, Any] | None:
    if ask is None:
        return None
    with progress.resting():
        return await asyncio.to_thread(ask, record)


class Progress:
    """Prints timeline entries as they come; one that changed (a step that was waiting) is printed again.

    On a terminal a last line spins and says what is going on; elsewhere there are only the lines.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start: datetime | None = None
        self._told: dict[object, str] = {}
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        self._spin()
        return self

    def __exit__(self, *_: object) -> None:
        self._still()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """While a human is asked, nothing moves."""
        self._still()
        try:
            yield
        finally:
            self._spin()

    def show(self, told: Record) -> None:
        """Tell what is new."""
        if self._start is None and told.get("received_at"):
            self._start = datetime.fromisoformat(str(told["received_at"]))
        self._tell(told.get("timeline") or ())
        if self._live is not None:
            self._live.update(Spinner("dots", Text(_doing(told), "dim")))

    def say(self, sentence: str) -> None:
        self._console.print(Text(plain(sentence, 1000)), soft_wrap=True)

    def _spin(self) -> None:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=8, transient=True)
            self._live.start()

    def _still(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _tell(self, timeline: Sequence[Record]) -> None:
        for entry in timeline:
            sentence = str(entry.get("sentence"))
            if self._told.get(entry.get("id")) != sentence:
                self._told[entry.get("id")] = sentence
                self._console.print(timeline_line(entry, self._start), soft_wrap=True)


def _doing(told: Record) -> str:
    phase = str(told.get("phase") or "")
    words = WORDS.get(phase, phase.replace("_", " "))
    reason = plain(told.get("wait_reason") or "", 120)
    wake = told.get("wake_at")
    if phase == "waiting" and wake:
        left = max(0.0, (datetime.fromisoformat(str(wake)) - datetime.now(UTC)).total_seconds())
        words += f" ({left:.0f} s)"
    return f"{words}: {reason}" if reason else words

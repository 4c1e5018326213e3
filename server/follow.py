"""Follows heals live in a terminal: each node with what it found, as it happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from server.story import plain, timeline_line

WORDS = {
    "queued": "waiting for a free worker",
    "running": "at work",
    "waiting": "waiting",
    "waiting_approval": "waiting for a human",
    "escalated": "escalated",
    "declined": "declined",
    "closed": "closed",
}


class Progress:
    """Prints timeline entries as they come; one that changed (a step that was waiting) is printed again.

    On a terminal a last line spins and says what is going on; elsewhere there are only the lines.
    """

    def __init__(self, console: Console, start: datetime | None = None) -> None:
        self._console = console
        self._start = start
        self._told: dict[str, str] = {}
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, record: Mapping[str, Any]) -> None:
        """Tell what is new in a record (or an answer of `events`)."""
        if self._start is None and record.get("received_at"):
            self._start = datetime.fromisoformat(str(record["received_at"]))
        self._tell(record.get("timeline") or ())
        if self._live is not None:
            self._live.update(Spinner("dots", Text(_doing(record), "dim")))

    def _tell(self, timeline: Sequence[Mapping[str, Any]]) -> None:
        for entry in timeline:
            key, sentence = str(entry.get("key") or entry.get("at")), str(entry.get("sentence"))
            if self._told.get(key) != sentence:
                self._told[key] = sentence
                self._console.print(timeline_line(entry, self._start), soft_wrap=True)


def _doing(record: Mapping[str, Any]) -> str:
    phase = str(record.get("phase") or "")
    words = WORDS.get(phase, phase.replace("_", " "))
    reason = plain(record.get("wait_reason") or "", 120)
    wake = record.get("wake_at")
    if phase == "waiting" and wake:
        left = max(0, (datetime.fromisoformat(str(wake)) - datetime.now(UTC)).total_seconds())
        words += f" ({left:.0f} s)"
    return f"{words}: {reason}" if reason else words

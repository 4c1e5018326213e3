"""Puts on record what is about to leave us: commands to hosts, queries to databases, calls to providers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from graph.doing import doing
from graph.ports import CommandLog, SentCommand


class Recorder:
    """Writes to the log before a command is sent. What is done outside of heals (`selfheal doctor`) is not recorded.

    Raises what the log raises: what can't be put on record is not sent.
    """

    def __init__(self, log: CommandLog | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._log = log
        self._now = now

    async def sent(self, target: str, command: str) -> None:
        """`command` goes to `target` now, byte for byte as given."""
        what_for = doing()
        if self._log is not None and what_for is not None:
            await self._log.sent(SentCommand(what_for, target, command, self._now()))

"""Checkpoints of the embedded default: one SQLite file, pruned when a heal rests so that state stays small."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

_OLDER = "thread_id = ? AND checkpoint_id < (SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ?)"


class SqlitePruner:
    """Deletes all but the latest checkpoint of a thread; LangGraph's SQLite saver has no pruning of its own."""

    def __init__(self, saver: AsyncSqliteSaver) -> None:
        self._saver = saver

    async def prune(self, thread_id: str) -> None:
        async with self._saver.lock:
            await self._saver.conn.execute(f"DELETE FROM writes WHERE {_OLDER}", (thread_id, thread_id))
            await self._saver.conn.execute(f"DELETE FROM checkpoints WHERE {_OLDER}", (thread_id, thread_id))
            await self._saver.conn.commit()


@asynccontextmanager
async def sqlite_checkpoints(path: Path) -> AsyncIterator[tuple[AsyncSqliteSaver, SqlitePruner]]:
    """The saver and its pruner, bound to the running event loop."""
    async with aiosqlite.connect(path) as connection:
        await connection.execute("PRAGMA journal_mode=WAL")
        await connection.execute("PRAGMA synchronous=NORMAL")
        await connection.execute("PRAGMA busy_timeout=5000")
        saver = AsyncSqliteSaver(connection)
        await saver.setup()
        yield saver, SqlitePruner(saver)

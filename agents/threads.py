"""The threads there are checkpoints of, and letting go of them: those of heals that are over are of no more use."""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

_LISTED = "SELECT DISTINCT thread_id FROM checkpoints WHERE thread_id > {0} ORDER BY thread_id LIMIT {0}"


class Threads:
    """The threads of one saver, SQLite's or PostgreSQL's. LangGraph itself lists checkpoints only, each read whole."""

    def __init__(self, saver: BaseCheckpointSaver[str]) -> None:
        self._saver: Any = saver

    async def after(self, thread_id: str, limit: int) -> list[str]:
        """The next threads in the order of their ids."""
        if isinstance(self._saver, AsyncSqliteSaver):
            async with self._saver.lock, self._saver.conn.execute(_LISTED.format("?"), (thread_id, limit)) as cursor:
                return [row[0] for row in await cursor.fetchall()]
        async with self._saver._cursor() as cursor:
            await cursor.execute(_LISTED.format("%s"), (thread_id, limit))
            return [row["thread_id"] for row in await cursor.fetchall()]

    async def forget(self, thread_id: str) -> None:
        await self._saver.adelete_thread(thread_id)

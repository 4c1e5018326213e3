"""The threads there are checkpoints of, and letting go of them: those of heals that are over are of no more use."""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from agents.sqlite_saver import LISTED, ThreadedSqliteSaver


class Threads:
    """The threads of one saver, SQLite's or PostgreSQL's. LangGraph itself lists checkpoints only, each read whole."""

    def __init__(self, saver: BaseCheckpointSaver[str]) -> None:
        self._saver: Any = saver

    async def after(self, thread_id: str, limit: int) -> list[str]:
        """The next threads in the order of their ids."""
        if isinstance(self._saver, ThreadedSqliteSaver):
            return await self._saver.threads(thread_id, limit)
        async with self._saver._cursor() as cursor:
            await cursor.execute(LISTED.replace("?", "%s"), (thread_id, limit))
            return [row["thread_id"] for row in await cursor.fetchall()]

    async def forget(self, thread_id: str) -> None:
        await self._saver.adelete_thread(thread_id)

"""LangGraph's own SQLite saver, each of its calls made whole in one thread of its own.

Its asynchronous sibling hands every statement, commit and closed cursor to a thread and waits for it: a super-step
costs seven changes of threads there, and one here.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.sqlite import SqliteSaver

from agents.wal import NET, WalCopier

P = ParamSpec("P")
T = TypeVar("T")

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA busy_timeout=5000",
    NET,
    "PRAGMA cache_size=-512",
)
_OLDER = "thread_id = ? AND checkpoint_id < (SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ?)"
LISTED = "SELECT DISTINCT thread_id FROM checkpoints WHERE thread_id > ? ORDER BY thread_id LIMIT ?"


class ThreadedSqliteSaver(SqliteSaver):
    """A saver for graphs that run in an event loop. `open` it, and `close` it."""

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor, copier: WalCopier) -> None:
        super().__init__(connection)
        self._thread = thread
        self._copier = copier

    @classmethod
    async def open(cls, path: Path) -> Self:
        """In this file, which is made where it is not there."""

        def connected() -> sqlite3.Connection:
            connection = sqlite3.connect(path, check_same_thread=False)
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            return connection

        thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        made = cls(await asyncio.get_running_loop().run_in_executor(thread, connected), thread, WalCopier(path))
        await made._there(made.setup)
        return made

    async def close(self) -> None:
        """Once what is under way is written."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await self._there(self.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        def listed() -> list[CheckpointTuple]:
            return list(self.list(config, filter=filter, before=before, limit=limit))

        for found in await self._there(listed):
            yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return await self._there(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await self._there(self.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        await self._there(self.delete_thread, thread_id)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        return await self._there(partial(self.get_delta_channel_history, config=config, channels=channels))

    async def prune_thread(self, thread_id: str) -> None:
        """Delete all but the latest checkpoint of a thread; LangGraph's saver has no pruning of its own."""

        def pruned() -> None:
            with self.cursor() as cursor:
                cursor.execute(f"DELETE FROM writes WHERE {_OLDER}", (thread_id, thread_id))
                cursor.execute(f"DELETE FROM checkpoints WHERE {_OLDER}", (thread_id, thread_id))

        await self._there(pruned)

    async def threads(self, after: str, limit: int) -> list[str]:
        """The threads that have checkpoints, in the order of their ids."""

        def listed() -> list[str]:
            with self.cursor(transaction=False) as cursor:
                return [row[0] for row in cursor.execute(LISTED, (after, limit))]

        return await self._there(listed)

    def _close(self) -> None:
        self._copier.close()
        self.conn.close()

    async def _there(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def whole() -> T:
            try:
                return call(*args, **kwargs)
            finally:
                self._copier.wrote(self.conn)

        return await asyncio.get_running_loop().run_in_executor(self._thread, whole)

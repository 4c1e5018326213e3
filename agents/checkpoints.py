"""Where heals' states are kept: one SQLite file beside the store, or the store's PostgreSQL database.

Pruned when a heal rests, so that state stays small, and fenced: who has lost the lease of a heal writes nothing to its
thread, as LangGraph itself has no lock on threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP, BaseCheckpointSaver

from agents.agent import Pruner
from agents.sqlite_saver import ThreadedSqliteSaver

Fence = Callable[[str, str], None]
"""Given an incident and the holder of its heal; raises LeaseLost where that is no longer its holder."""

POOL = 4
CONNECT_SECONDS = 5.0

NULL_TASK_ID = "00000000-0000-0000-0000-000000000000"
"""LangGraph's, of writes that come from no node."""


def no_fence(incident_id: str, holder: str) -> None:
    """For who is alone."""


@dataclass(frozen=True)
class Checkpoints:
    """A saver and its pruner, bound to the running event loop."""

    saver: BaseCheckpointSaver[Any]
    pruner: Pruner


class _Fenced:
    """Asks the fence before anything is written. Stands before the saver's class."""

    fence: Fence = staticmethod(no_fence)

    async def aput(self, config: RunnableConfig, *what: Any) -> RunnableConfig:
        self.fence(*_whose(config))
        put: RunnableConfig = await super().aput(config, *what)  # type: ignore[misc]
        return put

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self.fence(*_whose(config))
        # What a node gave is in the checkpoint that follows at once, as each super-step is one node's: kept here too,
        # it would be written twice. Interrupts, answers to them, errors and what is put in from outside are not.
        if task_id == NULL_TASK_ID or any(channel in WRITES_IDX_MAP for channel, _ in writes):
            await super().aput_writes(config, writes, task_id, task_path)  # type: ignore[misc]


def _whose(config: RunnableConfig) -> tuple[str, str]:
    return config["configurable"]["thread_id"], config["configurable"].get("holder", "")


class _FencedSqliteSaver(_Fenced, ThreadedSqliteSaver):
    pass


@asynccontextmanager
async def sqlite_checkpoints(path: Path, fence: Fence = no_fence) -> AsyncIterator[Checkpoints]:
    """In a file of their own."""
    saver = await _FencedSqliteSaver.open(path)
    saver.fence = fence
    try:
        yield Checkpoints(saver, saver)
    finally:
        await saver.close()


@asynccontextmanager
async def postgres_checkpoints(url: str, fence: Fence = no_fence) -> AsyncIterator[Checkpoints]:
    """In the store's own database. Pooled: a restart of PostgreSQL costs the heals under way a step, not more."""
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg import AsyncConnection
    from psycopg.rows import DictRow, dict_row
    from psycopg_pool import AsyncConnectionPool

    class FencedPostgresSaver(_Fenced, AsyncPostgresSaver):
        pass

    class PostgresPruner:
        async def prune_thread(self, thread_id: str) -> None:
            await saver.aprune([thread_id])

    async def usable(connection: AsyncConnection[DictRow]) -> None:
        await AsyncConnectionPool.check_connection(connection)

    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row, "connect_timeout": 5}
    async with AsyncConnectionPool[AsyncConnection[DictRow]](
        url, min_size=1, max_size=POOL, kwargs=options, check=usable, timeout=CONNECT_SECONDS, open=False
    ) as pool:
        saver = FencedPostgresSaver(pool)
        saver.fence = fence
        async with pool.connection() as connection:
            # Several processes may start at once, and the saver's own set-up does not expect it. Not waited for in the
            # database: its indexes are made concurrently, which waits for every statement that is under way.
            while not await _locked(connection):  # noqa: ASYNC110 - nobody here could set an event
                await asyncio.sleep(0.1)
            try:
                await saver.setup()
            finally:
                await connection.execute("SELECT pg_advisory_unlock(hashtext('selfheal checkpoints'))")
        yield Checkpoints(saver, PostgresPruner())


async def _locked(connection: Any) -> bool:
    cursor = await connection.execute("SELECT pg_try_advisory_lock(hashtext('selfheal checkpoints')) AS mine")
    return bool((await cursor.fetchone())["mine"])

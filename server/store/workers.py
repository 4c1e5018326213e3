"""The processes on one database: each says that it is alive, and they share out what only one should do at a time.

No process leads: a chore belongs to whoever takes it first, for as long as they keep it up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select

from server.store.engine import Database
from server.store.rows import iso, stamp, upsert
from server.store.worker_tables import duties, workers

ROLES = ("serve", "web", "worker")
"""`serve` does both; `web` and `worker` one each."""
DEAD_AFTER_SECONDS = 10.0
FORGOTTEN_AFTER_SECONDS = 3600.0


@dataclass(frozen=True)
class Worker:
    """One process. `role`: see ROLES; `heal` is one that heals a single alert in the foreground."""

    name: str
    role: str
    host: str
    pid: int
    version: str


class Workers:
    """The part of the store that is about processes."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._db = database
        self._now = now

    async def beat(self, worker: Worker) -> None:
        """Say that this process is alive; takes the database's time anew."""
        await self._db.write(lambda c: self._beat(c, worker))

    async def leave(self, name: str) -> None:
        """Say that this process ends, and lay down its duties."""

        def work(connection: Connection) -> None:
            connection.execute(delete(workers).where(workers.c.name == name))
            connection.execute(delete(duties).where(duties.c.holder == name))

        await self._db.write(work)

    async def forget_all(self) -> None:
        """At the start of the only process on this database: there are no others, nor is anything theirs."""
        await self._db.write(lambda c: (c.execute(delete(workers)), c.execute(delete(duties))))

    async def alive(self) -> list[dict[str, Any]]:
        """`{"name", "role", "host", "pid", "version", "started_at", "seen_at", "alive"}`, oldest first."""
        now = stamp(self._now())
        rows = await self._db.read(lambda c: c.execute(select(workers).order_by(workers.c.started_at)).mappings().all())
        return [
            {
                **row,
                "started_at": iso(row["started_at"]),
                "seen_at": iso(row["seen_at"]),
                "alive": row["seen_at"] > now - DEAD_AFTER_SECONDS,
            }
            for row in rows
        ]

    async def others_heal(self, name: str) -> bool:
        """Whether another process that heals is alive."""
        return any(item["alive"] and item["role"] != "web" and item["name"] != name for item in await self.alive())

    async def on_duty(self, duty: str, name: str, seconds: float) -> bool:
        """Take or keep a chore for so long. False where another process has it."""
        now = stamp(self._now())
        found = await self._db.read(lambda c: c.execute(select(duties).where(duties.c.name == duty)).first())
        if found is not None and found.holder != name and found.until > now:
            return False
        if found is not None and found.holder == name and found.until > now + seconds / 2:
            return True
        return await self._db.write(lambda c: _take(c, duty, name, stamp(self._now()), seconds))

    def _beat(self, connection: Connection, worker: Worker) -> None:
        if self._db.clock is not None:
            self._db.clock.look(connection)
        now = stamp(self._now())
        started = connection.execute(select(workers.c.started_at).where(workers.c.name == worker.name)).scalar()
        values = {"role": worker.role, "host": worker.host, "pid": worker.pid, "version": worker.version}
        row = {"name": worker.name, **values, "started_at": started or now, "seen_at": now}
        upsert(connection, workers, row, ("name",))
        connection.execute(delete(workers).where(workers.c.seen_at < now - FORGOTTEN_AFTER_SECONDS))


def alive_by_role(connection: Connection, now: float) -> dict[str, int]:
    """How many processes are alive, by role."""
    alive = select(workers.c.role, func.count()).where(workers.c.seen_at > now - DEAD_AFTER_SECONDS)
    return {role: number for role, number in connection.execute(alive.group_by(workers.c.role)).all()}


def _take(connection: Connection, duty: str, name: str, now: float, seconds: float) -> bool:
    found = connection.execute(select(duties).where(duties.c.name == duty)).first()
    if found is not None and found.holder != name and found.until > now:
        return False
    upsert(connection, duties, {"name": duty, "holder": name, "until": now + seconds}, ("name",))
    return True

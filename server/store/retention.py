"""The part of the store that is about what closed incidents leave behind: what is due, and doing it a little at a time.

Everything is looked at again in the transaction that does it, so that to do it twice, or in two processes, is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, func, select

from graph.rules.retention import Cutoffs
from server.store import compacting, expiring, measuring
from server.store.auditing import record
from server.store.compacting import Compacted
from server.store.engine import Database
from server.store.retention_tables import compactions, deleted_heals, evidence_packs, runs
from server.store.rows import iso, stamp, upsert
from server.store.schema import audit, evidence_raw, incidents
from server.store.telling_tables import plots
from server.store.who import Who

LAST = "last"
TEXTS_AT_ONCE = 200
PROMPTS_SINCE = timedelta(hours=1)


class Retention:
    """Ages go by an incident's last change, once it is closed."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._db = database
        self._now = now

    def time(self) -> datetime:
        """The store's clock."""
        return self._now()

    # -- what was done ----------------------------------------------------------------------------------

    async def done(self, by: Who | str, what: dict[str, Any], *, asked: bool = False) -> None:
        """Write what came of it; in the audit log too where a human asked for it."""
        now = self._now()

        def work(connection: Connection) -> None:
            actor = Who.of(by)
            values = {"name": LAST, "by": actor.name, "at": stamp(now), "done": what}
            upsert(connection, runs, values, ("name",))
            if asked:
                record(connection, actor, "retention_run", None, now, **what)

        await self._db.write(work)

    # -- what is due -------------------------------------------------------------------------------------

    async def closed_among(self, thread_ids: Sequence[str], before: datetime) -> list[str]:
        """Of these threads, those of incidents that are over for so long, or deleted. Others' threads are none."""
        over = select(incidents.c.id).where(
            incidents.c.id.in_(thread_ids),
            incidents.c.phase == "closed",
            incidents.c.recheck == 0,
            incidents.c.updated_at <= stamp(before),
        )
        deleted = select(deleted_heals.c.incident_id).where(deleted_heals.c.incident_id.in_(thread_ids))
        return await self._db.read(
            lambda c: [*c.execute(over).scalars(), *c.execute(deleted).scalars()],
        )

    async def to_compact(self, before: datetime, after: float, limit: int) -> list[tuple[str, float]]:
        """Ids of incidents to compact and when they ended, of those that ended at `after` (seconds) or later."""
        due = (incidents.c.updated_at >= after, *_to_compact(before))
        query = select(incidents.c.id, incidents.c.updated_at).where(*due).order_by(incidents.c.updated_at)
        rows = await self._db.read(lambda c: c.execute(query.limit(limit)).all())
        return [(row.id, row.updated_at) for row in rows]

    async def to_expire(self, before: datetime, limit: int) -> list[str]:
        query = select(compactions.c.incident_id).where(*_to_expire(before)).limit(limit)
        return await self._db.read(lambda c: list(c.execute(query).scalars()))

    async def to_delete(self, before: datetime, limit: int) -> list[str]:
        query = select(incidents.c.id).where(*_to_delete(before)).order_by(incidents.c.updated_at).limit(limit)
        return await self._db.read(lambda c: list(c.execute(query).scalars()))

    async def due(self, cutoffs: Cutoffs) -> dict[str, int]:
        """How many of what would be done now."""

        def read(connection: Connection) -> dict[str, int]:
            def number(table: Any, which: Sequence[ColumnElement[bool]]) -> int:
                return int(connection.execute(select(func.count()).select_from(table).where(*which)).scalar_one())

            evidence, gone = cutoffs.evidence, cutoffs.incidents
            return {
                "compacted": number(incidents, _to_compact(cutoffs.compact)),
                "evidence_expired": number(compactions, _to_expire(evidence)) if evidence else 0,
                "incidents_deleted": number(incidents, _to_delete(gone)) if gone else 0,
            }

        return await self._db.read(read)

    # -- doing it ----------------------------------------------------------------------------------------

    async def gather(self, incident_id: str) -> Compacted | None:
        """Read and compress an incident; None where it is not closed any more."""
        return await self._db.read(lambda c: compacting.gathered(c, incident_id))

    async def settle(self, found: Compacted) -> int | None:
        """Compact it: the bytes that are left beside its evidence. None where it has changed since it was read."""
        now = self._now()
        return await self._db.write(lambda c: compacting.settle(c, found, now))

    async def give_up(self, incident_id: str, problem: str) -> None:
        """It can't be compacted as it is."""
        now = self._now()
        await self._db.write(lambda c: compacting.given_up(c, incident_id, problem, now))

    async def expire(self, ids: Sequence[str], before: datetime) -> int:
        now = self._now()
        return await self._db.write(lambda c: sum(expiring.expire(c, item, before, now) for item in ids))

    async def forget(self, ids: Sequence[str], before: datetime) -> int:
        now = self._now()
        return len(await self._db.write(lambda c: expiring.forget(c, list(ids), before, now)))

    async def clear_notices(self, before: datetime, limit: int) -> int:
        return await self._db.write(lambda c: expiring.clear_notices(c, before, limit))

    async def clear_texts(self) -> int:
        """Commands and prompts that nothing refers to any more."""
        since, gone = self._now() - PROMPTS_SINCE, 0
        for unused, clear in (
            (expiring.unused_commands, expiring.clear_commands),
            (expiring.unused_prompts, lambda c, digests: expiring.clear_prompts(c, digests, since)),
        ):
            found = await self._db.read(unused)
            for index in range(0, len(found), TEXTS_AT_ONCE):
                some = found[index : index + TEXTS_AT_ONCE]
                gone += await self._db.write(lambda c, clear=clear, some=some: clear(c, some))  # type: ignore[misc]
        return gone

    # -- how it stands -----------------------------------------------------------------------------------

    async def report(self) -> dict[str, Any]:
        """What is kept, and how much room it takes."""
        return await self._db.read(_report)

    async def bytes_of(self, incident_id: str) -> dict[str, dict[str, int]]:
        """The bytes in an incident's rows by table: `beside` its evidence, and of its `evidence`."""
        return await self._db.read(
            lambda c: {
                "beside": measuring.by_table(c, incident_id),
                "evidence": measuring.by_table(c, incident_id, evidence=True),
            }
        )


def _to_compact(before: datetime) -> tuple[ColumnElement[bool], ...]:
    as_it_is = (compactions.c.incident_id == incidents.c.id, compactions.c.closed_at == incidents.c.updated_at)
    return (
        incidents.c.phase == "closed",
        incidents.c.recheck == 0,
        incidents.c.updated_at <= stamp(before),
        ~exists().where(*as_it_is),
    )


def _to_expire(before: datetime) -> tuple[ColumnElement[bool], ...]:
    over = (incidents.c.phase == "closed", incidents.c.updated_at <= stamp(before))
    ended = select(incidents.c.id).where(incidents.c.id == compactions.c.incident_id, *over)
    return (compactions.c.evidence == 1, compactions.c.closed_at <= stamp(before), ended.exists())


def _to_delete(before: datetime) -> tuple[ColumnElement[bool], ...]:
    newest = select(func.max(incidents.c.number)).correlate(None).scalar_subquery()
    over = (incidents.c.phase == "closed", incidents.c.updated_at <= stamp(before))
    return (*over, incidents.c.recheck == 0, incidents.c.number < newest)


def _report(connection: Connection) -> dict[str, Any]:
    def one(*what: Any, where: Sequence[Any] = ()) -> Any:
        return connection.execute(select(*what).where(*where)).one()

    count = func.count()
    well = compactions.c.problem == ""
    compacted, mean, most = one(count, func.avg(compactions.c.bytes), func.max(compactions.c.bytes), where=[well])
    packs, packed, whole = one(
        count, func.sum(func.length(evidence_packs.c.body)), func.sum(evidence_packs.c.whole_bytes)
    )
    raws, raw = one(count, func.sum(func.length(evidence_raw.c.raw)))
    last = connection.execute(select(runs).where(runs.c.name == LAST)).first()
    return {
        "incidents": one(count.label("n"), where=[incidents.c.id.is_not(None)]).n,
        "closed": one(count.label("n"), where=[incidents.c.phase == "closed"]).n,
        "compacted": {
            "incidents": compacted,
            "bytes_mean": None if mean is None else round(float(mean)),
            "bytes_most": most,
            "could_not_be": one(count.label("n"), where=[~well]).n,
        },
        "evidence": {
            "packed_incidents": packs,
            "packed_bytes": int(packed or 0),
            "packed_answers_bytes": int(whole or 0),
            "whole_answers": raws,
            "whole_bytes": int(raw or 0),
            "plots": connection.execute(select(count).select_from(plots)).scalar_one(),
        },
        "deleted_incidents": connection.execute(select(count).select_from(deleted_heals)).scalar_one(),
        "audit_entries": connection.execute(select(count).select_from(audit)).scalar_one(),
        "database": _database(connection),
        "last": None if last is None else {"by": last.by, "at": iso(last.at), "done": last.done},
    }


def _database(connection: Connection) -> dict[str, int]:
    """Bytes on the disk, and how many of them are free for what comes next."""
    if connection.dialect.name == "postgresql":
        return {"bytes": connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()}
    size, pages, free = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("page_size", "page_count", "freelist_count")
    )
    return {"bytes": size * pages, "free_bytes": size * free}

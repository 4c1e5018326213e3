"""Sessions, one-time tokens and the counts of wrong sign-ins, each change with its entry in the audit log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from server.access.limits import QUIET_SECONDS, Count, counted, wait_seconds
from server.store.access_tables import one_time_tokens, sessions, sign_in_failures
from server.store.auditing import record
from server.store.engine import Database
from server.store.rows import add, moment, stamp, upsert
from server.store.who import Who

KEPT_SECONDS = 30 * 86_400.0
"""For how long a used or expired one-time token is remembered."""


@dataclass(frozen=True)
class Session:
    """Somebody signed in. `digest`: SHA-256 of the id that only their browser has; `role`: as it was then."""

    digest: str
    name: str
    via: str
    role: str
    grant: Mapping[str, Any]
    address: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Attempt:
    """One attempt to sign in, counted in advance. `wait_seconds` > 0: it must not be looked at."""

    wait_seconds: float
    marks: Mapping[str, float]
    """By key, the lock that this attempt brought if it was wrong."""

    @property
    def locks_for(self) -> float:
        return max(self.marks.values(), default=0.0)


class SigningIn:
    """What the store knows of people coming and going."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._db = database
        self._now = now

    @property
    def now(self) -> datetime:
        return self._now()

    # -- attempts ---------------------------------------------------------------------------------------

    async def attempt(self, free: Mapping[str, int]) -> Attempt:
        """Count an attempt under each key, with the failures it is free to have. Take it back with `forgive`."""
        now = stamp(self._now())
        return await self._db.write(lambda c: _attempt(c, free, now))

    async def forgive(self, attempt: Attempt, clear: str | None = None) -> None:
        """It was right: take it back, and forget all failures under the key `clear`."""
        await self._db.write(lambda c: _forgive(c, attempt, clear))

    async def failed(self, who: Who, reason: str, **detail: Any) -> None:
        """Put a failed sign-in in the audit log."""
        now = self._now()
        await self._db.write(lambda c: record(c, who, "sign_in_failed", None, now, reason=reason, **detail))

    # -- sessions ---------------------------------------------------------------------------------------

    async def open_session(self, session: Session, who: Who, replaces: str | None = None, **detail: Any) -> None:
        """Sign in; the session of the digest `replaces` is over."""
        now = self._now()

        def work(connection: Connection) -> None:
            gone = [sessions.c.expires_at <= stamp(now)]
            connection.execute(delete(sessions).where(*gone))
            if replaces is not None:
                connection.execute(delete(sessions).where(sessions.c.digest == replaces))
            connection.execute(insert(sessions).values(**_values(session)))
            record(connection, who, "sign_in", None, now, role=session.role, **detail)

        await self._db.write(work)

    async def session(self, digest: str) -> Session | None:
        """The session, where its time is not over."""
        now = stamp(self._now())
        query = select(sessions).where(sessions.c.digest == digest, sessions.c.expires_at > now)
        row = await self._db.read(lambda c: c.execute(query).first())
        return None if row is None else _session(row)

    async def seen(self, digest: str) -> None:
        """Somebody uses the session."""
        now = stamp(self._now())
        await self._db.write(
            lambda c: c.execute(update(sessions).where(sessions.c.digest == digest).values(last_seen_at=now))
        )

    async def close_session(self, digest: str, who: Who) -> None:
        """Sign out."""
        now = self._now()

        def work(connection: Connection) -> None:
            if connection.execute(delete(sessions).where(sessions.c.digest == digest)).rowcount:
                record(connection, who, "sign_out", None, now)

        await self._db.write(work)

    # -- one-time tokens --------------------------------------------------------------------------------

    async def offer_one_time(self, digest: str, until: datetime, idle_since: datetime) -> bool:
        """Make a one-time token, and none before it is good any more. False where somebody is signed in anyway."""
        now = self._now()

        def work(connection: Connection) -> bool:
            in_use = sessions.c.expires_at > stamp(now), sessions.c.last_seen_at > stamp(idle_since)
            if connection.execute(select(sessions.c.digest).where(*in_use)).first() is not None:
                return False
            old = one_time_tokens.c.made_at < stamp(now) - KEPT_SECONDS
            connection.execute(delete(one_time_tokens).where(one_time_tokens.c.used_at.is_(None) | old))
            add(connection, one_time_tokens, digest=digest, made_at=stamp(now), expires_at=stamp(until))
            record(connection, "self-heal", "one_time_token", None, now, until=until.isoformat())
            return True

        return await self._db.write(work)

    async def use_one_time(self, digest: str) -> bool:
        """Use it up. False where it is unknown, used or too old."""
        now = stamp(self._now())
        good = one_time_tokens.c.used_at.is_(None), one_time_tokens.c.expires_at > now
        use = update(one_time_tokens).where(one_time_tokens.c.digest == digest, *good).values(used_at=now)
        return await self._db.write(lambda c: c.execute(use).rowcount == 1)


def _attempt(connection: Connection, free: Mapping[str, int], now: float) -> Attempt:
    counts = {key: _count(connection, key) for key in free}
    wait = max((wait_seconds(count, now) for count in counts.values()), default=0.0)
    if wait > 0:
        return Attempt(wait, {})
    connection.execute(
        delete(sign_in_failures).where(
            sign_in_failures.c.last_at < now - 2 * QUIET_SECONDS, sign_in_failures.c.until < now - 2 * QUIET_SECONDS
        )
    )
    after = {key: counted(counts[key], free[key], now) for key in free}
    for key, count in after.items():
        values = {"key": key, "failures": count.failures, "last_at": count.last_at, "until": count.until}
        upsert(connection, sign_in_failures, values, ("key",))
    return Attempt(0.0, {key: max(0.0, count.until - now) for key, count in after.items()})


def _forgive(connection: Connection, attempt: Attempt, clear: str | None) -> None:
    for key, lock in attempt.marks.items():
        of_key = update(sign_in_failures).where(sign_in_failures.c.key == key)
        connection.execute(of_key.values(failures=sign_in_failures.c.failures - 1))
        if lock:
            connection.execute(of_key.values(until=0.0))
    if clear is not None:
        connection.execute(delete(sign_in_failures).where(sign_in_failures.c.key == clear))


def _count(connection: Connection, key: str) -> Count:
    row = connection.execute(select(sign_in_failures).where(sign_in_failures.c.key == key)).first()
    return Count() if row is None else Count(row.failures, row.last_at, row.until)


def _values(session: Session) -> dict[str, Any]:
    return {
        "digest": session.digest,
        "name": session.name,
        "via": session.via,
        "role": session.role,
        "grant": dict(session.grant),
        "address": session.address[:100],
        "created_at": stamp(session.created_at),
        "last_seen_at": stamp(session.last_seen_at),
        "expires_at": stamp(session.expires_at),
    }


def _session(row: Any) -> Session:
    return Session(
        digest=row.digest,
        name=row.name,
        via=row.via,
        role=row.role,
        grant=row.grant,
        address=row.address,
        created_at=moment(row.created_at),
        last_seen_at=moment(row.last_seen_at),
        expires_at=moment(row.expires_at),
    )

"""How people come in: by password, by the one-time token of the first start, or by what a provider says of them.

Each attempt is counted by name and address before it is looked at, and each ends in the audit log.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from server.access.actor import Role
from server.access.directory import FIRST, Directory, password_mark
from server.access.limits import FREE_BY_ADDRESS, FREE_BY_NAME, address_key, name_key
from server.access.roles import reserved
from server.access.secrets import Passwords, TooBusy, digest
from server.access.settings import AccessSettings
from server.store.signing_in import Attempt, Session, SigningIn
from server.store.who import Who

ONE_TIME_HOURS = 24
UNKNOWN = "unknown"
"""Who the log names where a sign-in named nobody there is: what was typed may be a password in the wrong field."""


class Refused(Exception):
    """No session. `status` is HTTP's; `retry_after_seconds` where trying again later may help."""

    def __init__(self, status: int, said: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(said)
        self.status = status
        self.said = said
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class From:
    """Where a sign-in comes from: the address, and the session its browser had before."""

    address: str
    session_digest: str | None = None


class SignIn:
    """Opens sessions. All raise Refused, and StoreError where the store is not usable."""

    def __init__(self, settings: AccessSettings, directory: Directory, store: SigningIn) -> None:
        self._settings = settings
        self._directory = directory
        self._store = store
        self._passwords = Passwords(settings.users)

    def close(self) -> None:
        self._passwords.close()

    async def by_password(self, name: str, password: str, came: From) -> str:
        """The id of the new session."""
        user = self._settings.user(name)
        who = Who(user.name if user else UNKNOWN, "password", came.address)
        attempt = await self._attempt(came, name)
        try:
            right = await self._passwords.right(name, password)
        except TooBusy as error:
            await self._store.forgive(attempt)
            raise Refused(503, "too many sign in at once: try again in a moment", 5) from error
        if not right or user is None:
            await self._failed(who, "wrong name or password", attempt)
            raise Refused(401, "wrong name or password")
        await self._store.forgive(attempt, clear=name_key(name))
        return await self._open(who, user.role, {"password": password_mark(user)}, came)

    async def by_one_time_token(self, token: str, came: From) -> str:
        """The id of the new session; the token is used up."""
        who = Who(FIRST, "one-time", came.address)
        attempt = await self._attempt(came)
        if self._settings.configured or not await self._store.use_one_time(digest(token)):
            await self._failed(who, "unknown, used or expired one-time token", attempt)
            remedy = "restart `selfheal serve` for another, or sign in with a name"
            raise Refused(401, f"this token is not, or no longer, good: {remedy}")
        await self._store.forgive(attempt)
        return await self._open(who, "admin", {}, came)

    async def by_provider(self, claims: Mapping[str, Any], came: From) -> str:
        """The id of the new session, for what a verified ID token says."""
        oidc = self._settings.oidc
        assert oidc is not None, "only asked where a provider is declared"
        name, values = _text(claims.get(oidc.name_claim)), _values(claims.get(oidc.roles_claim))
        who = Who(name or UNKNOWN, "oidc", came.address)
        subject = {"issuer": oidc.issuer, "subject": _text(claims.get("sub"))}
        if not name:
            await self._store.failed(who, f"the claim {oidc.name_claim} is missing", **subject)
            raise Refused(403, f"the provider does not tell your name (claim {oidc.name_claim}): ask an admin")
        if reserved(name) or self._directory.refuses_name(name):
            await self._store.failed(Who(UNKNOWN, "oidc", came.address), f"the name {name} is taken", **subject)
            raise Refused(403, f"the name {name} belongs to somebody else here: ask an admin")
        role = oidc.role_for(values)
        if role is None:
            await self._store.failed(who, "no claim gives a role", **subject)
            raise Refused(403, f"{name} is known, but nothing in {oidc.roles_claim} gives a role here: ask an admin")
        return await self._open(who, role, {"issuer": oidc.issuer, "values": values}, came, subject=subject["subject"])

    async def provider_attempt(self, came: From) -> Attempt:
        """Count a return from the provider."""
        return await self._attempt(came)

    async def provider_failed(self, reason: str, came: From, attempt: Attempt) -> None:
        await self._failed(Who(UNKNOWN, "oidc", came.address), reason, attempt)

    async def forgive(self, attempt: Attempt) -> None:
        await self._store.forgive(attempt)

    async def offer(self) -> str | None:
        """A new one-time token where nobody is configured and nobody is signed in; else None."""
        if self._settings.configured:
            return None
        token, now = secrets.token_urlsafe(32), self._store.now
        idle_since = now - timedelta(hours=self._settings.idle_hours)
        until = now + timedelta(hours=ONE_TIME_HOURS)
        return token if await self._store.offer_one_time(digest(token), until, idle_since) else None

    async def _attempt(self, came: From, name: str | None = None) -> Attempt:
        free = {address_key(came.address): FREE_BY_ADDRESS}
        if name is not None:
            free[name_key(name)] = FREE_BY_NAME
        attempt = await self._store.attempt(free)
        if attempt.wait_seconds > 0:
            seconds = int(attempt.wait_seconds) + 1
            raise Refused(429, f"too many wrong sign-ins: try again in {seconds} seconds", seconds)
        return attempt

    async def _failed(self, who: Who, reason: str, attempt: Attempt) -> None:
        locked = {"locked_seconds": round(attempt.locks_for)} if attempt.locks_for else {}
        await self._store.failed(who, reason, **locked)

    async def _open(self, who: Who, role: Role, grant: Mapping[str, Any], came: From, **detail: Any) -> str:
        session_id, now = secrets.token_urlsafe(32), self._store.now
        session = Session(
            digest=digest(session_id),
            name=who.name,
            via=who.via,
            role=role,
            grant=grant,
            address=came.address,
            created_at=now,
            last_seen_at=now,
            expires_at=now + timedelta(hours=self._settings.session_hours),
        )
        await self._store.open_session(session, who, came.session_digest, **detail)
        return session_id


def _text(claim: Any) -> str:
    """A claim as one line of bounded length, or nothing."""
    return claim.strip()[:200] if isinstance(claim, str) and claim.isprintable() else ""


def _values(claim: Any) -> list[str]:
    if isinstance(claim, str):
        return [claim[:500]]
    return [item[:500] for item in claim[:500] if isinstance(item, str)] if isinstance(claim, list) else []

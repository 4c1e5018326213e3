"""Who is who, by the settings of now. Pure: tokens and sessions in, actors and roles out."""

from __future__ import annotations

from datetime import datetime, timedelta

from server.access.actor import SHARED, Actor, Role
from server.access.secrets import digest, is_personal, same, token_hash
from server.access.settings import AccessSettings, User
from server.auth import Tokens
from server.store.signing_in import Session

WEBHOOK = "webhook"
FIRST = "first-admin"
"""Who signs in by the one-time token of the first start."""


class Directory:
    """The people and tokens of one server."""

    def __init__(self, settings: AccessSettings, tokens: Tokens) -> None:
        self._settings = settings
        self._tokens = tokens

    def by_token(self, token: str, address: str) -> Actor | None:
        """Whose token it is. Every token there is gets compared, in constant time, whichever it turns out to be."""
        found: Actor | None = None
        kept = token_hash(token)
        personal = is_personal(token)
        for user in self._settings.users:
            if user.token_hash and same(kept, user.token_hash.get_secret_value()) and personal:
                found = Actor(user.name, user.role, "token", address)
        if same(token, self._tokens.webhook):
            found = Actor(WEBHOOK, "viewer", WEBHOOK, address)
        if same(token, self._tokens.operator):
            found = Actor(SHARED, "admin", "token", address)
        return found

    def role_of(self, session: Session, now: datetime) -> Role | None:
        """The role a session has now, or None where it is over: unused, or its ground has gone from the settings."""
        if now - session.last_seen_at > timedelta(hours=self._settings.idle_hours):
            return None
        if session.via == "password":
            user = self._settings.user(session.name)
            return user.role if user and session.grant.get("password") == password_mark(user) else None
        if session.via == "oidc":
            oidc = self._settings.oidc
            if oidc is None or session.grant.get("issuer") != oidc.issuer:
                return None
            return oidc.role_for([str(value) for value in session.grant.get("values", ())])
        if session.via == "one-time":
            return None if self._settings.configured else "admin"
        return None

    def refuses_name(self, name: str) -> bool:
        """Whether a provider's user may not bear that name, because the log would take them for somebody of ours."""
        taken = {user.name.casefold() for user in self._settings.users} | {FIRST}
        return name.casefold() in taken


def password_mark(user: User) -> str:
    """Changes when the password does, which ends the sessions it opened."""
    return digest(user.password_hash.get_secret_value())[:16] if user.password_hash else ""

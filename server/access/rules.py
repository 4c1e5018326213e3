"""What an actor may do by path and method alone: a second lock in front of what the routes themselves ask for. Pure."""

from __future__ import annotations

from server.access.actor import Actor
from server.access.directory import WEBHOOK

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PROBES = frozenset({"/healthz", "/readyz"})
LOGIN, LOGOUT = "/login", "/logout"
OIDC_START, OIDC_CALLBACK = "/login/oidc", "/login/oidc/callback"
WEBHOOKS = "/webhooks/"
STATIC = "/static/"


def is_open(path: str, method: str) -> bool:
    """Whether anybody may ask for it: probes, the way in, and what is in every copy of the package."""
    if path == LOGIN:
        return method in ("GET", "HEAD", "POST")
    if path in PROBES:
        return True
    return method in ("GET", "HEAD") and (path in (OIDC_START, OIDC_CALLBACK) or path.startswith(STATIC))


def knows(actor: Actor, path: str) -> bool:
    """Whether the actor's token is one for this path at all."""
    return actor.via != WEBHOOK or path.startswith(WEBHOOKS)


def refusal(actor: Actor, path: str, method: str) -> str | None:
    """Why the actor may not, or None."""
    if actor.via == WEBHOOK or path == LOGOUT:
        return None
    if path.startswith(WEBHOOKS) and not actor.may("admin"):
        return f"{actor.name} is {actor.role}; alerts are taken from the webhook's token, or an admin"
    if method not in SAFE_METHODS and not actor.may("approver"):
        return f"{actor.name} is {actor.role}; this needs approver"
    return None

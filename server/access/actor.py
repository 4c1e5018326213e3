"""Who a request comes from, and what that allows. Set by the middleware before any route is looked up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from server.access.roles import ROLES, SHARED, Role
from server.errors import ApiError
from server.store.who import Who

__all__ = ["ROLES", "SHARED", "Actor", "Role", "actor_of", "needs"]


@dataclass(frozen=True)
class Actor:
    """One who is known to the server. `via`: how (`token`, `session`, `oidc` …); `address`: from where."""

    name: str
    role: Role
    via: str = "token"
    address: str = ""

    def may(self, role: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)

    def who(self, by: str | None = None) -> Who:
        """For the record. Raises ApiError 422 where a `by` is given that is not the actor's own name."""
        if by and by != self.name and self.name != SHARED:
            remedy = "leave it out: who decides is known from the token or session"
            raise ApiError(422, f"by: you are {self.name}, not {by:.60}", "by", remedy)
        return Who(by or self.name, self.via, self.address)


def actor_of(request: Request) -> Actor:
    """The actor of a request that has passed the middleware. Raises ApiError 401 where it has not."""
    actor = getattr(request.state, "actor", None)
    if not isinstance(actor, Actor):
        raise ApiError(401, "nobody is signed in", "Authorization", "send a token, or sign in at /login")
    return actor


def needs(role: Role) -> Callable[[Request], Actor]:
    """A dependency of routes: the actor, where its role is at least this. Else 403."""

    def check(request: Request) -> Actor:
        actor = actor_of(request)
        if not actor.may(role):
            remedy = f"ask an admin for the role {role}"
            raise ApiError(403, f"{actor.name} is {actor.role}; this needs {role}", remedy=remedy)
        return actor

    return check


Viewer = Annotated[Actor, Depends(needs("viewer"))]
Approver = Annotated[Actor, Depends(needs("approver"))]
Admin = Annotated[Actor, Depends(needs("admin"))]
"""For the signatures of routes: the actor, who must be at least this."""

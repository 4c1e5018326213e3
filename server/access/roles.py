"""The roles there are. Apart from all that imports a web framework, as the settings name them."""

from __future__ import annotations

from typing import Literal, get_args

Role = Literal["viewer", "approver", "admin"]
"""What one may do: look; decide about repairs; and change what holds for all. Each includes those before it."""

ROLES: tuple[Role, ...] = get_args(Role)

SHARED = "operator"
"""The name of the operator's token: several people may hold it, so it may say for whom it speaks."""

RESERVED = frozenset({SHARED, "self-heal", "settings", "webhook", "unknown"})
"""Names the audit log uses for what is no single person: nobody else may bear them."""


def reserved(name: str) -> bool:
    return name.casefold() in RESERVED


def highest(roles: list[Role]) -> Role | None:
    return max(roles, key=ROLES.index, default=None)

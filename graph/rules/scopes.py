"""What a switch or a freeze window is about: everything, a kind, a group or one resource, as people write it."""

from __future__ import annotations

ALL = "all"
PREFIXES = ("kind", "group", "resource")


def scope_problem(scope: str) -> str | None:
    """Why this is no scope, with the remedy; or None."""
    prefix, colon, name = scope.partition(":")
    if scope == ALL or (prefix in PREFIXES and colon and name.strip() == name and name):
        return None
    return f"{scope!r:.60} is no scope: use all, kind:Instance, group:web or resource:Instance/inst-abc123"


def covers(scope: str, kind: str, group: str, resource_id: str) -> bool:
    """Whether a scope is about this resource."""
    prefix, _, name = scope.partition(":")
    if scope == ALL:
        return True
    return name == {"kind": kind, "group": group or "\0", "resource": f"{kind}/{resource_id}"}.get(prefix)


def in_words(scope: str) -> str:
    """`all repairs`, `repairs of kind Instance` …"""
    prefix, _, name = scope.partition(":")
    return "all repairs" if scope == ALL else f"repairs of {prefix} {name}"

"""Whether a scope is about anything declared: a misspelt freeze window would freeze nothing, and nobody would know."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from graph.records import Resource
from graph.rules.scopes import scope_problem
from server.settings_errors import known_instead


def unknown_scope(scope: str, kinds: Collection[str], resources: Iterable[Resource]) -> str | None:
    """Why the scope is about nothing we know, with the remedy; or None."""
    if problem := scope_problem(scope):
        return problem
    declared = list(resources)
    prefix, _, name = scope.partition(":")
    known: Collection[str] = {
        "kind": kinds,
        "group": sorted({resource.group for resource in declared if resource.group}),
        "resource": [resource.key for resource in declared],
    }.get(prefix, [name])
    return None if name in known else f"no {prefix} {name!r:.80} is declared{known_instead(name, known)}"

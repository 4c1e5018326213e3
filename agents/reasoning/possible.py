"""What params may be on this very resource: the units, mounts and pids that are declared or were seen, and what the
declared remedies would use. An action checks for itself; this keeps a model from inventing what it would turn down.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from graph.facts import Facts, FactValue
from graph.kind import Cause
from graph.records import Resource

MAX_VALUES = 24
LABELS: Mapping[str, tuple[str, ...]] = {
    "unit": ("unit",),
    "mount": ("mount",),
    "root": ("root", "path"),
    "path": ("path", "log"),
    "pid": ("pid",),
    "started": ("started",),
    "name": ("name", "process"),
    "slot": ("slot",),
    "primary": ("peer",),
    "replica": ("peer",),
    "source": ("peer",),
    "group_id": ("group",),
    "cidr": ("cidr",),
}
"""Params that name something there is, and the labels of facts that name it."""
ENDINGS: Mapping[str, tuple[str, ...]] = {
    "pid": ("pid",),
    "started": ("started",),
    "name": ("process", "name"),
    "slot": ("slot",),
    "primary": (".primary",),
    "source": (".primary",),
    "path": ("path", "log"),
    "unit": (".unit",),
}
"""And endings of the names of facts whose value is one."""

logger = logging.getLogger(__name__)

Values = Mapping[str, tuple[FactValue, ...]]


def possible_values(resource: Resource, facts: Facts, cause: Cause | None, target: str | None) -> Values:
    """Param → the values it may have here. A param that is not in it is bound by its type alone."""
    found: dict[str, list[FactValue]] = {}
    for param, value in (*_of_remedies(resource, facts, cause, target), *_declared(resource), *_seen(facts)):
        values = found.setdefault(param, [])
        if value not in values and len(values) < MAX_VALUES:
            values.append(value)
    return {param: tuple(values) for param, values in found.items()}


def _of_remedies(
    resource: Resource, facts: Facts, cause: Cause | None, target: str | None
) -> Iterable[tuple[str, FactValue]]:
    for remedy in cause.remedies if cause else ():
        try:
            steps = remedy.steps(resource, target, facts)
        except Exception:  # a kind may be a third party's; what was seen still counts
            logger.exception("the steps of remedy %s raised", remedy.name)
            continue
        for step in steps:
            named = ((name, value) for name, value in step.params.items() if _names_something(name))
            yield from ((name, value) for name, value in named if isinstance(value, str | int | float))


def _declared(resource: Resource) -> Iterable[tuple[str, FactValue]]:
    yield from (("unit", unit) for unit in resource.services)
    cleanup = resource.cleanup
    yield from (("root", root) for root in (*cleanup.log_roots, *cleanup.tmp_roots, *cleanup.core_roots))
    for volume in resource.volumes:
        yield "mount", volume.mount
    if resource.database is not None:
        for peer in resource.database.peers:
            yield from ((param, peer) for param in ("primary", "replica", "source"))


def _seen(facts: Facts) -> Iterable[tuple[str, FactValue]]:
    for fact in facts.items:
        for param, labels in LABELS.items():
            for label in labels:
                if label in fact.labels:
                    value = fact.labels[label]
                    yield param, int(value) if param in ("pid", "started") and value.isdigit() else value
        for param, endings in ENDINGS.items():
            if fact.name.endswith(endings) and not isinstance(fact.value, bool):
                yield param, fact.value


def _names_something(param: str) -> bool:
    return param in LABELS or param in ENDINGS

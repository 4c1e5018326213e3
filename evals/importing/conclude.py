"""From what series told one by one to the facts that take several: a disk's fullness from size and room, a crowd from
connections and their limit. Pure; as our own sources would conclude."""

from __future__ import annotations

from collections.abc import Mapping

from graph.facts import FactValue, fact_key
from graph.records import Resource

Values = Mapping[tuple[str, tuple[tuple[str, str], ...]], FactValue]
SPOKEN_LAG = ("mysql", "mariadb")
"""Engines that tell a lag only while both threads of a replica run (it is NULL, in CloudWatch -1, where one stands)."""


def conclude(values: Values, resource: Resource) -> dict[str, FactValue]:
    """The facts by key. What a rule told whole stays; what was a step on the way goes."""
    facts: dict[str, FactValue] = {
        fact_key(name, **dict(labels)): value for (name, labels), value in values.items() if not name.startswith("_")
    }
    facts |= _memory(values)
    facts |= _disks(values, resource)
    facts |= _crowd(facts)
    facts |= _slots(values)
    return facts | _replication(values, facts, resource)


def _memory(values: Values) -> dict[str, FactValue]:
    left, whole = _number(values, "_memory_available"), _number(values, "_memory_total")
    return {"metric.memory_used_percent": round(100 * (1 - left / whole), 1)} if left is not None and whole else {}


def _disks(values: Values, resource: Resource) -> dict[str, FactValue]:
    """As `df` has it; sizes only of those in trouble, as our disk source tells them."""
    limits, facts = resource.thresholds, dict[str, FactValue]()
    mounts = {dict(labels).get("mount", "/") for name, labels in values if name.startswith(("_disk", "_inodes"))}
    for mount in sorted(mounts):
        avail, size = _number(values, "_disk_avail", mount), _number(values, "_disk_size", mount)
        used = _number(values, "_disk_used", mount)
        if avail is not None and size and avail <= size:
            used = round(100 * (1 - avail / size), 1)
        inodes = _inodes_used(values, mount)
        if used is not None:
            facts[fact_key("disk.used_percent", mount=mount)] = used
            facts[fact_key("metric.disk_used_percent", mount=mount)] = used
        if inodes is not None:
            facts[fact_key("disk.inodes_used_percent", mount=mount)] = inodes
        if inodes is not None and inodes >= limits.inodes_used_percent:
            facts[fact_key("disk.over", mount=mount)] = "inodes"
        elif used is not None and used >= limits.disk_used_percent:
            facts[fact_key("disk.over", mount=mount)] = "bytes"
            known = {"disk.size_mib": size, "disk.avail_mib": avail}
            facts |= {fact_key(name, mount=mount): int(value) for name, value in known.items() if value is not None}
    return facts


def _inodes_used(values: Values, mount: str) -> float | None:
    whole, free = _number(values, "_inodes", mount), _number(values, "_inodes_free", mount)
    return round(100 * (1 - free / whole), 1) if whole and free is not None and free <= whole else None


def _crowd(facts: Mapping[str, FactValue]) -> dict[str, FactValue]:
    used, most = facts.get("db.connections_used"), facts.get("db.connections_max")
    if not isinstance(used, int) or not isinstance(most, int) or most <= 0:
        return {}
    return {"db.connections_percent": round(100 * used / most, 1)}


def _slots(values: Values) -> dict[str, FactValue]:
    """The slot that nobody uses and that keeps most."""
    idle = [dict(labels)["slot"] for (name, labels), value in values.items() if name == "_slot_active" and not value]
    kept = {dict(labels)["slot"]: value for (name, labels), value in values.items() if name == "_slot_bytes"}
    most = max((slot for slot in idle if slot in kept), key=lambda slot: float(kept[slot]), default=None)
    return {} if most is None else {"repl.dead_slot": most, "repl.dead_slot_bytes": kept[most]}


def _replication(values: Values, facts: Mapping[str, FactValue], resource: Resource) -> dict[str, FactValue]:
    """That it follows somebody, and how closely."""
    engine = resource.database.engine if resource.database else None
    ours, theirs = _number(values, "_lag"), _number(values, "_lag_mysql")
    lag = theirs if theirs is not None else ours
    told: dict[str, FactValue] = {}
    if values.get(("_not_replicating", ())):
        told["repl.receiving"] = False
    elif lag is not None:
        told["repl.lag_seconds"] = lag
        threads = any(name in facts for name in ("repl.receiver", "repl.applier"))
        if engine in SPOKEN_LAG and not threads:
            told |= {"repl.receiving": True, "repl.applying": True}
    if resource.database and resource.database.role == "replica" and (told or "repl.receiver" in facts):
        told["repl.follows"] = True
    return told


def _number(values: Values, name: str, mount: str | None = None) -> float | None:
    value = values.get((name, (("mount", mount),) if mount is not None else ()))
    return float(value) if isinstance(value, int | float) else None

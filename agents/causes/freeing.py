"""What can be done about a full disk, as steps of a plan made of what was seen of it.

For the causes of a full disk, and for that of a service that has one beneath it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from graph.facts import Fact, Facts
from graph.records import PlanStep, Resource
from tools.actions.volumes import next_size, volume_at

WHAT: Mapping[str, str] = {
    "rotated_logs": "rotated logs",
    "journal": "journal beyond what is to be kept",
    "package_cache": "downloaded packages",
    "tmp": "old temporary files",
    "cores": "core dumps",
}
_BY_ROOT: Mapping[str, str] = {"rotated_logs": "clean_logs", "tmp": "clean_tmp", "cores": "remove_core_dumps"}
_BY_STORE: Mapping[str, str] = {"journal": "vacuum_journal", "package_cache": "clean_package_cache"}
CLEANING = (*_BY_ROOT.values(), *_BY_STORE.values(), "rotate_logs")


@dataclass(frozen=True)
class Need:
    """A mount short of bytes: how many MiB must go until it is no longer. At least one, where only an alert says so."""

    mount: str
    over: Fact
    mib: float
    size_mib: float


def needs(facts: Facts, resource: Resource) -> Iterator[Need]:
    """Every mount that is short of bytes, by our limit or by that of an alert that still fires."""
    fires = any(True for _ in facts.where("alert.firing", True))
    for over in facts.all("disk.over"):
        if over.value != "bytes" and not (over.value == "alert" and fires):
            continue
        mount = over.labels["mount"]
        size, avail = number(facts, "disk.size_mib", mount), number(facts, "disk.avail_mib", mount)
        wanted = size * (100 - resource.thresholds.disk_used_percent) / 100
        yield Need(mount, over, max(wanted - avail, 1.0), size)


def number(facts: Facts, name: str, mount: str) -> float:
    """The fact's value as a number; 0 where it is not known."""
    value = facts.value(name, mount=mount)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def mib(facts: Iterable[Fact]) -> float:
    """The sum of facts that are sizes."""
    return sum(float(fact.value) for fact in facts if isinstance(fact.value, int | float))


def clean(facts: Iterable[Fact]) -> tuple[PlanStep, ...]:
    """A step for each of these `disk.reclaimable_…` facts, the largest first."""
    steps = []
    for fact in sorted(facts, key=lambda fact: -float(fact.value)):
        what, unit = fact.labels["what"], "MiB" if fact.name.endswith("_mib") else "files"
        why = f"{fact.value} {unit} of {WHAT.get(what, what)} on {fact.labels['mount']}"
        expect = f"{fact.labels['mount']} has room again"
        if action := _BY_ROOT.get(what):
            steps.append(PlanStep(action=action, params={"root": fact.labels["root"]}, why=why, expect=expect))
        elif action := _BY_STORE.get(what):
            steps.append(PlanStep(action=action, why=why, expect=expect))
    return tuple(steps)


def rotate(facts: Iterable[Fact]) -> tuple[PlanStep, ...]:
    """A step for each of these `disk.big_log_mib` facts, the largest first."""
    return tuple(
        PlanStep(
            action="rotate_logs",
            params={"path": fact.labels["path"]},
            why=f"{fact.labels['path']} has {fact.value} MiB and is not rotated",
            expect=f"{fact.labels['mount']} has room again",
        )
        for fact in sorted(facts, key=lambda fact: -float(fact.value))
    )


def restart_holder(resource: Resource, facts: Iterable[Fact]) -> tuple[PlanStep, ...]:
    """A step for the largest deleted file whose holder may be restarted; none where none may."""
    allowed = {unit.removesuffix(".service") for unit in (*resource.services, *resource.cleanup.restart_units)}
    for fact in sorted(facts, key=lambda fact: -float(fact.value)):
        unit = fact.labels["unit"].removesuffix(".service")
        if unit in allowed:
            holder = {"unit": unit, "pid": int(fact.labels["pid"]), "started": int(fact.labels["started"])}
            step = PlanStep(
                action="restart_holder",
                params={**holder, "name": fact.labels["name"]},
                why=f"{unit} holds {fact.value} MiB of deleted files open",
                expect=f"{fact.labels['mount']} has room again, and {unit} runs",
            )
            return (step,)
    return ()


def free(facts: Facts, mount: str) -> tuple[PlanStep, ...]:
    """Whatever nobody would miss on that mount, the largest first, logs that must be rotated last."""
    return (
        *clean(facts.all("disk.reclaimable_mib", mount=mount)),
        *rotate(facts.all("disk.big_log_mib", mount=mount)),
    )


def expand(resource: Resource, facts: Facts, mount: str) -> tuple[PlanStep, ...]:
    """Grow the declared volume there by a step; none where it is not declared, at its limit, or being changed."""
    volume, size_gib = volume_at(resource, mount), int(number(facts, "disk.volume_gib", mount))
    if volume is None or volume.volume_id is None or not size_gib:
        return ()
    wanted = next_size(volume, size_gib, number(facts, "disk.size_mib", mount))
    if wanted is None or facts.value("disk.volume_modifying", mount=mount) is True:
        return ()
    step = PlanStep(
        action="expand_volume",
        params={"mount": mount, "size_gib": wanted},
        why=f"{mount} is full of what must be kept, and may grow to {volume.max_gib:g} GiB",
        expect=f"{mount} has {wanted} GiB",
    )
    return (step,)


# -- a service with a full disk beneath it -----------------------------------------------------------------


def full_mounts(facts: Facts) -> tuple[Fact, ...]:
    """`disk.over` of the mounts on which nothing can be written: no byte, or no inode, is left."""
    return tuple(over for over in facts.all("disk.over") if _nothing_left(facts, over))


def _nothing_left(facts: Facts, over: Fact) -> bool:
    mount = over.labels["mount"]
    if over.value == "inodes":
        return number(facts, "disk.inodes_used_percent", mount) >= 99.9
    return number(facts, "disk.avail_mib", mount) < 1


def make_room(resource: Resource, facts: Facts) -> tuple[PlanStep, ...]:
    """Whatever nobody would miss on the mounts beyond their threshold; where that is nothing, the holder of a deleted
    file is restarted."""
    steps: list[PlanStep] = []
    for over in facts.all("disk.over"):
        mount = over.labels["mount"]
        if over.value == "inodes":
            steps += clean(facts.all("disk.reclaimable_files", mount=mount))
        else:
            held = facts.all("disk.deleted_open_mib", mount=mount)
            steps += free(facts, mount) or restart_holder(resource, held)
    return tuple(steps)


def make_it_larger(resource: Resource, facts: Facts) -> tuple[PlanStep, ...]:
    """Grow every mount beyond its threshold that may grow."""
    mounts = [over.labels["mount"] for over in facts.where("disk.over", "bytes")]
    return tuple(step for mount in mounts for step in expand(resource, facts, mount))

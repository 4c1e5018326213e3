"""Why a disk is full: of all that is on it, what nobody would miss or a process holds, and whether that would do.

A cause's score tells two things: its share of all that was found, and whether removing it alone would be enough. What
is left when all of it together would not be enough is data, and data is never removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agents.causes.freeing import (
    CLEANING,
    WHAT,
    Need,
    clean,
    expand,
    free,
    full_mounts,
    mib,
    needs,
    number,
    restart_holder,
    rotate,
)
from graph.facts import Fact, Facts
from graph.kind import Cause, Match, Remedy
from graph.records import PlanStep, Resource

_LEAST = 0.65
_IF_ENOUGH = 0.1
_BY_SHARE = 0.2
_LESS_THAN_SLOT = 0.1
"""What holds a database's log is known then: a cause of its own, which can mend it."""
_LESS_PARTLY_SEEN = 0.45
"""What was not looked at may be what fills it: nobody knows then."""
_LESS_WITH_SERVICE = 0.15
_WAL_SHARE_OF_DISK = 0.25
"""A write-ahead log of less than that is as large as such logs are."""

Found = Callable[[Facts, Need], Sequence[Fact]]


# -- what speaks for a cause -------------------------------------------------------------------------------


def _of(what: str) -> Found:
    return lambda facts, need: list(facts.all("disk.reclaimable_mib", mount=need.mount, what=what))


def _big_logs(facts: Facts, need: Need) -> Sequence[Fact]:
    return list(facts.all("disk.big_log_mib", mount=need.mount))


def _deleted(facts: Facts, need: Need) -> Sequence[Fact]:
    return list(facts.all("disk.deleted_open_mib", mount=need.mount))


def _wal(facts: Facts, need: Need) -> Sequence[Fact]:
    found = list(facts.all("disk.wal_mib", mount=need.mount))
    return found if mib(found) >= need.size_mib * _WAL_SHARE_OF_DISK else []


_ALL: tuple[Found, ...] = (*(_of(what) for what in WHAT), _big_logs, _deleted, _wal)


def _signature(found: Found, words: str) -> Callable[[Facts, Resource], Match | None]:
    def signature(facts: Facts, resource: Resource) -> Match | None:
        matches = [match for need in needs(facts, resource) if (match := _judged(found, words, facts, need))]
        return max(matches, key=lambda match: match.score, default=None)

    return signature


def _judged(found: Found, words: str, facts: Facts, need: Need) -> Match | None:
    seen = sorted(found(facts, need), key=lambda fact: -float(fact.value))
    if not seen:
        return None
    size = mib(seen)
    share = size / max(sum(mib(other(facts, need)) for other in _ALL), need.mib)
    score = _LEAST + _IF_ENOUGH * min(size / need.mib, 1.0) + _BY_SHARE * share
    where = seen[0].labels.get("path") or seen[0].labels.get("unit") or seen[0].labels.get("root") or ""
    summary = f"{need.mount} is full, and {size:.0f} MiB of it are {words}" + (f" ({where})" if where else "")
    score -= _service_down(facts)
    if found is _wal and facts.first("repl.dead_slot"):
        score -= _LESS_THAN_SLOT
    return Match(round(score, 3), [need.over, *_fullness(facts, need.mount), *seen[:4]], summary, need.mount)


def inodes_exhausted(facts: Facts, resource: Resource) -> Match | None:
    for over in facts.where("disk.over", "inodes"):
        mount = over.labels["mount"]
        eaters = list(facts.all("disk.inode_eater", mount=mount))
        cites = [over, *facts.all("disk.inodes_used_percent", mount=mount), *eaters]
        most = f"; most are below {eaters[0].labels['path']} ({eaters[0].value})" if eaters else ""
        return Match(
            0.95 - _service_down(facts), cites, f"{mount} has no inodes left for files, whatever its room{most}", mount
        )
    return None


def data_growth(facts: Facts, resource: Resource) -> Match | None:
    """All that nobody would miss would not be enough: the rest is data."""
    for need in needs(facts, resource):
        if sum(mib(found(facts, need)) for found in _ALL) < need.mib:
            data = sorted(facts.all("disk.user_data_mib", mount=need.mount), key=lambda fact: -float(fact.value))
            most = f": {data[0].labels['path']} has {data[0].value} MiB" if data else ""
            cites = [need.over, *_fullness(facts, need.mount), *data]
            summary = f"{need.mount} is full of data that must be kept{most}"
            unseen = list(facts.where("disk.partly_seen", True, mount=need.mount))
            if unseen:
                summary += "; but not all of it could be looked at in time"
            score = 0.92 - _service_down(facts) - (_LESS_PARTLY_SEEN if unseen else 0)
            return Match(round(score, 3), [*cites, *unseen], summary, need.mount)
    return None


def _service_down(facts: Facts) -> float:
    """What to take off where a service fails for it: that cause mends the service besides."""
    failing = any(
        fact.value in ("failed", "starting") and facts.value("unit.result", unit=fact.labels["unit"]) != "success"
        for fact in facts.all("unit.state")
    )
    says_so = any(True for _ in facts.where("journal.no_space", True))
    return _LESS_WITH_SERVICE if says_so or (failing and full_mounts(facts)) else 0.0


def _fullness(facts: Facts, mount: str) -> Sequence[Fact]:
    return list(facts.all("disk.used_percent", mount=mount))


# -- what mends it -------------------------------------------------------------------------------------------


def _cleaning(what: str, action: str) -> Remedy:
    def steps(resource: Resource, mount: str | None, facts: Facts) -> tuple[PlanStep, ...]:
        return clean(facts.all("disk.reclaimable_mib", mount=mount or "", what=what))

    return Remedy(action, f"remove {WHAT[what]}", steps, (action,))


def _rotate(resource: Resource, mount: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    return rotate(facts.all("disk.big_log_mib", mount=mount or ""))


def _restart_holder(resource: Resource, mount: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    return restart_holder(resource, facts.all("disk.deleted_open_mib", mount=mount or ""))


def _free(resource: Resource, mount: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    return free(facts, mount or "")


def _free_inodes(resource: Resource, mount: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    return clean(facts.all("disk.reclaimable_files", mount=mount or ""))


def _expand(resource: Resource, mount: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    return expand(resource, facts, mount or "") if number(facts, "disk.size_mib", mount or "") else ()


def _free_where_nothing_restarts(resource: Resource, mount: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    """Removing other things does not mend this cause: only where who holds the file may not be restarted."""
    return () if _restart_holder(resource, mount, facts) else _free(resource, mount, facts)


ROTATE_LOGS = Remedy("rotate_logs", "pack and empty the logs that nobody rotates", _rotate, ("rotate_logs",))
RESTART_HOLDER = Remedy(
    "restart_holder", "restart the unit that holds the deleted file", _restart_holder, ("restart_holder",)
)
FREE_ALL = Remedy("free_all", "remove all that nobody would miss", _free, CLEANING)
FREE_INSTEAD = Remedy(
    "free_instead",
    "remove all that nobody would miss, where the holder may not be restarted",
    _free_where_nothing_restarts,
    CLEANING,
)
FREE_INODES = Remedy(
    "free_inodes",
    "remove old temporary files, rotated logs and core dumps",
    _free_inodes,
    ("clean_tmp", "clean_logs", "remove_core_dumps"),
)
EXPAND = Remedy("expand_volume", "grow the volume and its file system", _expand, ("expand_volume",), True)

_BY_HAND = "free space on the mount named in the diagnosis, or grow it"


def _cause(name: str, summary: str, found: Found, words: str, *first: Remedy) -> Cause:
    """A cause of a disk that is short of bytes: its own remedy, then all that can go, then growth."""
    return Cause(name, summary, "disk_full", _signature(found, words), (*first, FREE_ALL, EXPAND), _BY_HAND)


ACTIONS = (*CLEANING, "restart_holder", "expand_volume")
"""What a kind must permit for these causes to be mended, and for a service with a full disk beneath it."""

CAUSES: tuple[Cause, ...] = (
    _cause(
        "rotated_logs",
        "a disk is full of rotated logs",
        _of("rotated_logs"),
        "rotated logs",
        _cleaning("rotated_logs", "clean_logs"),
    ),
    _cause("log_growth", "a log that nobody rotates fills a disk", _big_logs, "logs that nobody rotates", ROTATE_LOGS),
    _cause(
        "journal_growth",
        "systemd's journal fills a disk",
        _of("journal"),
        "journal beyond what is to be kept",
        _cleaning("journal", "vacuum_journal"),
    ),
    _cause(
        "package_cache",
        "downloaded packages fill a disk",
        _of("package_cache"),
        "downloaded packages",
        _cleaning("package_cache", "clean_package_cache"),
    ),
    _cause(
        "tmp_files", "old temporary files fill a disk", _of("tmp"), "old temporary files", _cleaning("tmp", "clean_tmp")
    ),
    _cause("core_dumps", "core dumps fill a disk", _of("cores"), "core dumps", _cleaning("cores", "remove_core_dumps")),
    Cause(
        "deleted_open_file",
        "a deleted file that a process still holds open fills a disk",
        "disk_full",
        _signature(_deleted, "deleted files that a process still holds open"),
        (FREE_INSTEAD, RESTART_HOLDER, EXPAND),
        "restart the process named in the diagnosis: its unit is no declared service, nor in cleanup.restart_units",
    ),
    Cause(
        "inodes_exhausted",
        "a file system has no inodes left",
        "disk_full",
        inodes_exhausted,
        (FREE_INODES,),
        "remove what is not needed below the folder named in the diagnosis: inodes can not be added",
    ),
    Cause(
        "wal_growth",
        "a database's log is kept, for a replica or an archive that does not take it",
        "disk_full",
        _signature(_wal, "a database's log that it keeps"),
        (),
        "never remove these files by hand: find what holds them in the database (a dead replication slot, an archive "
        "command that fails), and drop or mend that",
    ),
    Cause(
        "data_growth",
        "a disk is full of data that must be kept",
        "disk_full",
        data_growth,
        (EXPAND,),
        "data is never removed: move or delete some, or let the volume grow (`volumes`: volume_id, max_gib)",
    ),
)

"""What fills a disk, as facts: what nobody would miss, what a process holds, and what is data. Pure parsing.

disk.reclaimable_mib{mount,what,root}   what: rotated_logs, tmp, cores, journal, package_cache
disk.reclaimable_files{mount,what,root} where inodes are what is short
disk.big_log_mib{mount,path}            a log that nobody rotates
disk.deleted_open_mib{mount,unit,pid,started,name}
disk.wal_mib{mount,path}                a database's write-ahead or binary log
disk.user_data_mib{mount,path}          the largest of all else
disk.inode_eater{mount,path}            entries of the folder that has most
disk.partly_seen{mount}                 the disk was too slow to tell all of the above in time
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence

from graph.facts import FactValue, fact_key
from graph.records import Resource
from tools.actions.big_logs import parse_big_logs
from tools.actions.sweeping import SWEEPS
from tools.evidence.disk_commands import roots_of
from tools.evidence.disk_usage import FileSystem, Usage

_LEAST_MIB = 4
_LEAST_FILES = 100
_MOST_DATA = 2
_MOST_PATH = 120
_SYSTEM = ("/usr", "/boot", "/etc", "/bin", "/sbin", "/lib", "/lib64", "/dev", "/proc", "/sys", "/run", "/lost+found")
_CONCENTRATED = 0.7
"""A folder is told by the one below it that holds this much of it."""


def facts_of_trouble(
    output: str, usage: Usage, trouble: Sequence[FileSystem], resource: Resource
) -> dict[str, FactValue]:
    """From `trouble_command`."""
    devices, facts = dict(_devices(output)), dict[str, FactValue]()
    short_of_inodes = {fs.mount for fs in trouble if fs.over_inodes(resource.thresholds)}
    for tag, rest in _tagged(output):
        if tag == "C":
            facts |= _reclaimable(rest, usage, short_of_inodes, resource)
        elif tag == "L":
            facts |= _big_log(rest, usage)
        elif tag == "D":
            facts |= _deleted(rest, devices)
        elif tag == "W":
            facts |= _wal(rest, usage)
    told = {rest.partition("\t")[0] for tag, rest in _tagged(output) if tag == "C"}
    for fs in trouble:
        if _counted(resource, usage, fs.mount) - told:
            facts[fact_key("disk.partly_seen", mount=fs.mount)] = True
        facts |= _user_data(output, fs.mount, resource)
        if fs.mount in short_of_inodes:
            facts |= _inode_eater(output, fs.mount)
    return facts


def _counted(resource: Resource, usage: Usage, mount: str) -> set[str]:
    """The roots on that mount of which an answer must be there, where there was the time to give one."""
    roots = {root for sweep in SWEEPS.values() for root in sweep.roots(resource)}
    return {root for root in roots if usage.mount_of(root) == mount}


def _tagged(output: str) -> Iterator[tuple[str, str]]:
    for row in output.splitlines():
        tag, _, rest = row.partition(" ")
        if len(tag) == 1:
            yield tag, rest


def _devices(output: str) -> Iterator[tuple[str, str]]:
    """Device number → mount."""
    for tag, rest in _tagged(output):
        if tag == "M":
            device, _, mount = rest.partition(" ")
            yield device, mount


def _reclaimable(rest: str, usage: Usage, short_of_inodes: set[str], resource: Resource) -> dict[str, FactValue]:
    root, _, told = rest.partition("\t")
    words, mount = told.split(), usage.mount_of(root)
    if mount is None or len(words) != 3 or not (words[1].isdigit() and words[2].isdigit()):
        return {}
    what, files, mib = words[0], int(words[1]), int(words[2]) // 1024
    if what == "journal":
        mib -= resource.cleanup.journal_keep_mib
    if what == "package_cache" and not resource.cleanup.package_cache:
        return {}
    facts: dict[str, FactValue] = {}
    labels = {"mount": mount, "what": what, "root": root}
    if mib >= _LEAST_MIB:
        facts[fact_key("disk.reclaimable_mib", **labels)] = mib
    if mount in short_of_inodes and files >= _LEAST_FILES:
        facts[fact_key("disk.reclaimable_files", **labels)] = files
    return facts


def _big_log(rest: str, usage: Usage) -> dict[str, FactValue]:
    root, _, listed = rest.partition("\t")
    mount = usage.mount_of(root)
    return {
        fact_key("disk.big_log_mib", mount=mount, path=log.path): log.kib // 1024
        for log in parse_big_logs(listed)
        if mount is not None and len(log.path) <= _MOST_PATH * 2
    }


def _deleted(rest: str, devices: dict[str, str]) -> dict[str, FactValue]:
    fields = rest.split("\t", 5)
    if len(fields) != 6 or fields[0] not in devices or not all(field.isdigit() for field in fields[1:4]):
        return {}
    device, blocks, pid, started, unit, name = fields
    mib = int(blocks) // 2048
    labels = {"mount": devices[device], "pid": pid, "started": started, "unit": unit, "name": name[:64]}
    return {fact_key("disk.deleted_open_mib", **labels): mib} if mib >= _LEAST_MIB else {}


def _wal(rest: str, usage: Usage) -> dict[str, FactValue]:
    kib, _, path = rest.partition("\t")
    roots = [root for root in usage.roots if path == root or path.startswith(f"{root}/")]
    if not roots or not kib.isdigit() or int(kib) < _LEAST_MIB * 1024:
        return {}
    mount = usage.roots[max(roots, key=len)]
    return {fact_key("disk.wal_mib", mount=mount, path=path[:_MOST_PATH]): int(kib) // 1024}


def _user_data(output: str, mount: str, resource: Resource) -> dict[str, FactValue]:
    """The largest folders that are neither the system's nor ours to clean."""
    ours = roots_of(resource)
    found = [
        (path, size)
        for path, size in _folders(output, "U", mount)
        if not _below(path, (*_SYSTEM, *ours)) and not any(_below(root, (path,)) for root in (*ours, "/usr", mount))
    ]
    told: dict[str, FactValue] = {}
    for path, kib in _narrowed(found)[:_MOST_DATA]:
        if kib >= _LEAST_MIB * 1024:
            told[fact_key("disk.user_data_mib", mount=mount, path=path[:_MOST_PATH])] = kib // 1024
    return told


def _inode_eater(output: str, mount: str) -> dict[str, FactValue]:
    found = [(path, entries) for path, entries in _folders(output, "I", mount) if not _below(path, _SYSTEM)]
    return {
        fact_key("disk.inode_eater", mount=mount, path=path[:_MOST_PATH]): entries
        for path, entries in _narrowed(found)[:1]
    }


def _folders(output: str, tag: str, mount: str) -> list[tuple[str, int]]:
    found = []
    for kind, rest in _tagged(output):
        if kind == tag and rest.startswith(f"{mount}\t"):
            size, _, path = rest[len(mount) + 1 :].partition("\t")
            if size.isdigit() and path.startswith("/"):
                found.append((path, int(size)))
    return found


def _narrowed(found: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Largest first; each as deep as it can be told without losing most of it, and none twice."""
    sizes = dict(found)
    told: dict[str, int] = {}
    for path, size in sorted(found, key=lambda item: (-item[1], len(item[0]))):
        if any(_below(path, (other,)) or _below(other, (path,)) for other in told):
            continue
        while child := _largest_child(path, sizes):
            if sizes[child] < sizes[path] * _CONCENTRATED:
                break
            path, size = child, sizes[child]
        told[path] = size
    return list(told.items())


def _largest_child(path: str, sizes: dict[str, int]) -> str | None:
    children = [other for other in sizes if other != path and posixpath.dirname(other) == path]
    return max(children, key=lambda other: sizes[other], default=None)


def _below(path: str, folders: Iterable[str]) -> bool:
    """Whether the path is one of these folders, or within one."""
    return any(path == folder or path.startswith(f"{folder.rstrip('/')}/") for folder in folders)

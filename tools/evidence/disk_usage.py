"""What `df` tells: file systems, how full they are, and which are in trouble. Pure parsing, tried on real output."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from graph.records import Resource
from graph.resources import Thresholds

_ROW = re.compile(
    r"F (?P<source>.+?)\s+(?P<kind>\S+)\s+(?P<size>\d+)\s+(?P<used>\d+)\s+(?P<avail>\d+)\s+(?P<inodes>\d+|-)\s+"
    r"(?P<iused>\d+|-) (?P<mount>/.*)"
)
_NOT_DISKS = ("tmpfs", "devtmpfs", "ramfs", "squashfs", "iso9660", "efivarfs", "nsfs", "fuse.lxcfs", "autofs")
_NO_PLACE = ("/run/", "/proc/", "/sys/", "/dev/")
_LEAST_BYTES = 1 << 20
RATHER_FULL = 60.0
"""Percent from which on an alert's own, lower limit is believed."""


@dataclass(frozen=True)
class FileSystem:
    """One mounted file system; sizes in bytes. `avail` is what is left for all but root."""

    mount: str
    source: str
    kind: str
    size: int
    used: int
    avail: int
    inodes: int = 0
    inodes_used: int = 0

    @property
    def used_percent(self) -> float:
        """As `df` has it: of what all but root may use."""
        return round(100 * self.used / max(self.used + self.avail, 1), 1)

    @property
    def inodes_used_percent(self) -> float:
        """0 where the file system has no fixed number of them."""
        return round(100 * self.inodes_used / self.inodes, 1) if self.inodes else 0.0

    def over_bytes(self, limits: Thresholds) -> bool:
        """Also as rules have it that count what only root may use as used."""
        of_all = 100 * (1 - self.avail / max(self.size, 1))
        return max(self.used_percent, of_all) >= limits.disk_used_percent

    def over_inodes(self, limits: Thresholds) -> bool:
        return self.inodes_used_percent >= limits.inodes_used_percent


@dataclass(frozen=True)
class Usage:
    """All file systems worth looking at, and which of the resource's roots is on which."""

    file_systems: tuple[FileSystem, ...] = ()
    roots: Mapping[str, str] = field(default_factory=dict)

    def mount_of(self, root: str) -> str | None:
        """Where the root is mounted; None where there is no such folder."""
        return self.roots.get(root)

    def in_trouble(self, limits: Thresholds, named: Collection[str] = ()) -> tuple[FileSystem, ...]:
        """Beyond a threshold, or rather full and named by an alert; the fullest first."""
        found = [
            fs
            for fs in self.file_systems
            if fs.over_bytes(limits)
            or fs.over_inodes(limits)
            or (fs.mount in named and max(fs.used_percent, fs.inodes_used_percent) >= RATHER_FULL)
        ]
        return tuple(
            sorted(found, key=lambda fs: (fs.mount not in named, -max(fs.used_percent, fs.inodes_used_percent)))
        )


def parse_usage(output: str, resource: Resource) -> Usage:
    """From `usage_command`. What is no disk counts only where a declared volume or root is on it."""
    roots: dict[str, str] = {}
    rows: list[FileSystem] = []
    for row in output.splitlines():
        if row.startswith("R "):
            mount, _, root = row[2:].partition("\t")
            if mount.startswith("/"):
                roots[root] = mount
        elif match := _ROW.fullmatch(row):
            rows.append(_file_system(match))
    wanted = {volume.mount for volume in resource.volumes} | set(resource.cleanup.tmp_roots) & set(roots.values())
    kept = [fs for fs in rows if fs.mount in wanted or _is_disk(fs)]
    return Usage(tuple(_each_once(kept)), roots)


def _is_disk(fs: FileSystem) -> bool:
    lasting = fs.source != "none" and fs.kind not in _NOT_DISKS and not fs.mount.startswith(_NO_PLACE)
    return lasting and fs.size >= _LEAST_BYTES


def _file_system(match: re.Match[str]) -> FileSystem:
    def number(name: str) -> int:
        return int(match[name]) if match[name].isdigit() else 0

    return FileSystem(
        mount=match["mount"],
        source=match["source"],
        kind=match["kind"],
        size=number("size"),
        used=number("used"),
        avail=number("avail"),
        inodes=number("inodes"),
        inodes_used=number("iused"),
    )


def _each_once(rows: list[FileSystem]) -> list[FileSystem]:
    """One per device: a disk that is mounted at several places is one disk."""
    found: dict[str, FileSystem] = {}
    for fs in rows:
        key = fs.source if fs.source.startswith("/dev/") else fs.mount
        if key not in found or len(fs.mount) < len(found[key].mount):
            found[key] = fs
    return list(found.values())

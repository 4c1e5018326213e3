"""Big logs that nobody rotates: how they are found, and what of a path is safe to name to a command run as root.

Names come as NUL-ended records turned into lines, so that a newline in a name can't make a record of its own.
"""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import dataclass

from graph.records import Resource
from tools.actions.sweeping import ROTATED, escaped
from tools.services.units import sudo

LEAST_MIB = 8
"""Smaller logs are not worth a rotation."""

_TESTS = (
    "-xdev", "-type", "f", "-size", f"+{LEAST_MIB * 1024}k", "-regextype", "posix-extended", "!", "-regex", ROTATED,
    "!", "-name", "*.journal*", "!", "-name", "lastlog", "!", "-name", "wtmp", "!", "-name", "btmp",
)  # fmt: skip
PRINTED = "%b %p\\0"


@dataclass(frozen=True)
class BigLog:
    """One log and what it takes on the disk."""

    path: str
    kib: int


def find_big_logs(resource: Resource, most: int = 200) -> str:
    """Shell that lists the biggest logs below `r`, a line each: blocks of 512 bytes, and the path."""
    found = f'{sudo(resource)}find -P "$r" {shlex.join(_TESTS)} -printf {shlex.quote(PRINTED)} 2>/dev/null'
    return f"{found} | tr '\\n\\0' '?\\n' | sort -rn | head -n {most}"


def parse_big_logs(output: str) -> list[BigLog]:
    """What `find_big_logs` has listed, biggest first."""
    found = []
    for row in output.splitlines():
        blocks, _, path = row.partition(" ")
        if blocks.isdigit() and path.startswith("/"):
            found.append(BigLog(path, int(blocks) // 2))
    return found


def root_of(resource: Resource, path: str) -> str | None:
    """The declared log root that the path lies below by its own words; None where it does, or may, not."""
    if "\0" in path or "\n" in path or posixpath.normpath(path) != path:
        return None
    return next((root for root in resource.cleanup.log_roots if path.startswith(f"{root}/")), None)


def folders_between(root: str, path: str) -> tuple[str, ...]:
    """Every folder in which somebody could put a link in place of another that leads to the path: from the root down
    to the one before the path's own. The path's own folder is none of them, as its last part is never followed."""
    folders = []
    folder = posixpath.dirname(path)
    while folder != root:
        folder = posixpath.dirname(folder)
        folders.append(folder)
    return tuple(reversed(folders))


def sudoers(resource: Resource) -> tuple[str, ...]:
    """Commands for sudoers (1.9.10 or newer): reading, packing and emptying files below the declared log roots. Names
    are plain there, without blanks: others are refused by sudo."""
    allowed = []
    for root in resource.cleanup.log_roots:
        name = escaped(root) + r"(/[A-Za-z0-9_@%+=,-][A-Za-z0-9_@%+=,.-]*)+"
        tests = escaped(" ".join(_TESTS))
        allowed += [
            f"/usr/bin/find ^-P {escaped(root)} {tests} -printf {escaped(PRINTED)}$",
            f"/usr/bin/dd ^if={name} iflag=nofollow,skip_bytes skip=[0-9]+ bs=1M status=none$",
            f"/usr/bin/dd ^of={name} oflag=nofollow conv=excl bs=1M iflag=fullblock status=none$",
            f"/usr/bin/dd ^if=/dev/null of={name} oflag=nofollow status=none$",
        ]
    return tuple(allowed)

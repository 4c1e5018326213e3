"""How large a declared volume may become: asked by causes too, so it needs no client of anything."""

from __future__ import annotations

import math

from graph.records import Resource
from graph.resources import Volume

NEAR = 0.85
"""A file system is a little smaller than its disk, for what it keeps for itself."""


def volume_at(resource: Resource, mount: str) -> Volume | None:
    """The declared volume at that mount."""
    return next((volume for volume in resource.volumes if volume.mount == mount), None)


def next_size(volume: Volume, size_gib: int, file_system_mib: float) -> int | None:
    """The size one repair would give it: the disk's own where its file system has not taken all of it yet, else a step
    more, within what is declared. None where it may not grow."""
    if behind(file_system_mib, size_gib):
        return size_gib if size_gib <= volume.max_gib else None
    wanted = min(math.floor(size_gib + volume.step_gib), math.floor(volume.max_gib))
    return wanted if wanted > size_gib else None


def behind(file_system_mib: float, size_gib: int) -> bool:
    """Whether a file system is so much smaller than its disk that it can't have been told of the disk's size."""
    return file_system_mib < size_gib * 1024 * NEAR

"""A data disk of a host: XFS on an image of its own, which the lab's cloud can make larger while the host uses it."""

from __future__ import annotations

import os
from pathlib import Path

from evals.lab.cleaning import DATA_MOUNT
from evals.lab.machine_commands import call

SIZE_GIB = 1
STEP_GIB = 1
MAX_GIB = 4


class DataDisk:
    """`folder/data.img` (sparse), mounted at `folder/data` and from there into the host."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / "data.img"
        self.mounted = folder / "data"

    def create(self) -> None:
        """Make and mount it. Raises LabError."""
        self.mounted.mkdir(parents=True, exist_ok=True)
        self.image.touch()
        os.truncate(self.image, SIZE_GIB << 30)
        call(["mkfs.xfs", "-q", "-f", str(self.image)], timeout=30)
        # mount's own loop device goes when the mount goes
        call(["mount", "-o", "loop,noatime", str(self.image), str(self.mounted)])

    @property
    def device(self) -> str:
        """`/dev/loop7`: named alike outside and in the host."""
        return call(["findmnt", "-n", "-o", "SOURCE", str(self.mounted)]).strip()

    def binds(self) -> tuple[str, ...]:
        """Options for nspawn: the file system and its device, without which a host can't grow it."""
        return f"--bind={self.mounted}:{DATA_MOUNT}", f"--bind={self.device}"

    def grow(self, size_gib: int) -> None:
        """Make the disk larger, as its provider does: what is on it does not notice by itself. Raises LabError."""
        if size_gib << 30 > self.image.stat().st_size:
            os.truncate(self.image, size_gib << 30)
            call(["losetup", "--set-capacity", self.device])

    def fill_disk(self) -> None:
        """Grow the file system to the disk's size, from outside. Raises LabError."""
        call(["xfs_growfs", str(self.mounted)], timeout=30)

"""The lab's data disk: real XFS, and as large as its cloud says once the host has been told."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from evals.lab.data_disk import SIZE_GIB, DataDisk
from evals.lab.machine_commands import call
from evals.lab.stage import LabError


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[DataDisk]:
    if os.geteuid() != 0 or shutil.which("mkfs.xfs") is None:
        pytest.skip("a data disk needs root and xfsprogs")
    made = DataDisk(tmp_path)
    try:
        made.create()
    except LabError as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    yield made
    call(["umount", "--lazy", str(made.mounted)])


def gib(disk: DataDisk) -> float:
    return shutil.disk_usage(disk.mounted).total / (1 << 30)


def test_a_disk_that_grew_has_room_once_its_file_system_was_told(disk: DataDisk) -> None:
    before = gib(disk)
    disk.grow(SIZE_GIB + 1)
    assert gib(disk) == before
    disk.fill_disk()
    assert gib(disk) > before + 0.9


def test_a_disk_never_shrinks(disk: DataDisk) -> None:
    disk.grow(SIZE_GIB + 1)
    disk.grow(SIZE_GIB)
    assert disk.image.stat().st_size == (SIZE_GIB + 1) << 30


def test_the_host_gets_the_file_system_and_its_device(disk: DataDisk) -> None:
    assert disk.binds() == (f"--bind={disk.mounted}:/srv/data", f"--bind={disk.device}")
    assert disk.device.startswith("/dev/loop")

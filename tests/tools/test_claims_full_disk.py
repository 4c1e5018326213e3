"""A disk that is full to its last byte takes no claim, and must still see each key act once."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from graph.fakes import FakeClock
from graph.records import Resource
from tools.actions.action import ActionContext
from tools.actions.claimed import claim_of, run_claimed
from tools.actions.claims import marker_name
from tools.clients.transports import TransportHosts

KEY = "0193a1b2-0000-7000-8000-00000000002a:1:0"
HERE = Resource(id="here", kind="Instance", address="127.0.0.1", transport="local")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a small file system, of ext4 on a loop device or in memory, for one test."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    made: list[Path] = []

    def mount(name: str, *how: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        done = subprocess.run(["mount", *how, str(folder)], capture_output=True, text=True, timeout=20)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        made.append(folder)
        return folder

    yield mount
    for folder in reversed(made):
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=20)


@pytest.fixture
def disk(mounted: Callable[..., Path], tmp_path: Path) -> Path:
    """A disk of its own, 8 MiB of ext4, nothing kept back for root."""
    image = tmp_path / "image"
    image.touch()
    os.truncate(image, 8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-N", "128", str(image)], check=True, timeout=20)
    return mounted("disk", "-o", "loop", str(image))


@pytest.fixture
async def context(disk: Path, mounted: Callable[..., Path]) -> AsyncIterator[ActionContext]:
    memory = mounted("memory", "-t", "tmpfs", "tmpfs")
    hosts = TransportHosts()
    yield ActionContext(hosts, FakeClock(), marker_root=str(disk / "marks"), marker_memory=(str(memory),))
    await hosts.close()


def fill(disk: Path) -> Path:
    """To the last byte; the file that does it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    assert os.statvfs(disk).f_bavail == 0
    return filler


def use_inodes_up(disk: Path) -> list[Path]:
    made = []
    while os.statvfs(disk).f_favail:
        made.append(disk / f"item-{len(made)}")
        made[-1].touch()
    return made


def forget(context: ActionContext) -> None:
    """As a boot does with what is in memory."""
    for folder in Path(context.memory[0]).iterdir():
        shutil.rmtree(folder)


def give_away(context: ActionContext) -> Path:
    [ours] = Path(context.memory[0]).iterdir()
    os.chown(ours, 65534, 65534)
    return ours


@pytest.mark.parametrize("before", ["never claimed before", "claimed before"])
async def test_what_frees_a_full_disk_is_run_and_its_end_known(context: ActionContext, disk: Path, before: str) -> None:
    if before == "claimed before":
        await run_claimed(context, HERE, "earlier", "true", 10)
    filler = fill(disk)
    output = await run_claimed(context, HERE, KEY, f"rm '{filler}' && echo freed", 10)
    assert (output.status, output.output) == ("succeeded", "freed")
    claim = await claim_of(context, HERE, KEY)
    assert (claim.status, claim.exit_status, claim.output) == ("ended", 0, "freed")


async def test_a_command_that_frees_nothing_leaves_its_exit_status_all_the_same(
    context: ActionContext, disk: Path
) -> None:
    fill(disk)
    output = await run_claimed(context, HERE, KEY, "echo no luck; exit 3", 10)
    assert (output.status, output.output) == ("failed", "exit status 3: no luck")
    assert (await claim_of(context, HERE, KEY)).exit_status == 3


async def test_a_disk_without_inodes_is_no_hindrance_either(context: ActionContext, disk: Path) -> None:
    made = use_inodes_up(disk)
    output = await run_claimed(context, HERE, KEY, f"rm '{made[0]}'; echo freed", 10)
    assert (output.status, output.output) == ("succeeded", "freed")


async def test_a_key_claimed_on_a_full_disk_is_not_run_again_once_there_is_room(
    context: ActionContext, disk: Path, tmp_path: Path
) -> None:
    filler = fill(disk)
    command = f"echo once >> '{tmp_path}/effects'; rm -f '{filler}'"
    first = await run_claimed(context, HERE, KEY, command, 10)
    again = await run_claimed(context, HERE, KEY, command, 10)
    assert (first.status, again.status) == ("succeeded", "unknown")
    assert (tmp_path / "effects").read_text() == "once\n"


async def test_a_key_claimed_with_room_is_not_run_again_on_a_full_disk(
    context: ActionContext, disk: Path, tmp_path: Path
) -> None:
    command = f"echo once >> '{tmp_path}/effects'"
    await run_claimed(context, HERE, KEY, command, 10)
    fill(disk)
    assert (await run_claimed(context, HERE, KEY, command, 10)).status == "unknown"
    assert (tmp_path / "effects").read_text() == "once\n"


async def test_workers_that_race_while_the_disk_gets_room_act_once(
    context: ActionContext, disk: Path, tmp_path: Path
) -> None:
    for turn in range(5):
        filler = fill(disk)
        command = f"echo {turn} >> '{tmp_path}/effects'; rm -f '{filler}'; sleep 0.3"
        racing = [run_claimed(context, HERE, f"{KEY}-{turn}", command, 10) for _ in range(3)]
        await asyncio.gather(*racing)
        late = await run_claimed(context, HERE, f"{KEY}-{turn}", command, 10)
        assert late.status == "unknown"
    assert (tmp_path / "effects").read_text() == "0\n1\n2\n3\n4\n"


async def test_a_boot_takes_what_is_in_memory_and_the_claim_is_still_not_free(
    context: ActionContext, disk: Path, tmp_path: Path
) -> None:
    await run_claimed(context, HERE, "earlier", "true", 10)
    filler = fill(disk)
    command = f"echo once >> '{tmp_path}/effects'"
    await run_claimed(context, HERE, KEY, command, 10)
    forget(context)
    filler.unlink()
    claim = await claim_of(context, HERE, KEY)
    again = await run_claimed(context, HERE, KEY, command, 10)
    assert (claim.status, again.status) == ("unfinished", "unknown")
    assert (tmp_path / "effects").read_text() == "once\n"


async def test_what_ended_before_a_boot_is_known_after_it_where_the_disk_had_room(
    context: ActionContext, disk: Path
) -> None:
    await run_claimed(context, HERE, KEY, "echo done; exit 4", 10)
    forget(context)
    claim = await claim_of(context, HERE, KEY)
    assert (claim.status, claim.exit_status, claim.output) == ("ended", 4, "done")


async def test_a_place_in_memory_that_somebody_else_made_is_not_used(
    context: ActionContext, disk: Path, tmp_path: Path
) -> None:
    await run_claimed(context, HERE, "earlier", "true", 10)
    ours = give_away(context)
    output = await run_claimed(context, HERE, KEY, "echo done", 10)
    assert (output.status, list(ours.glob(f"{marker_name(KEY)}*"))) == ("succeeded", [])
    fill(disk)
    refused = await run_claimed(context, HERE, f"{KEY}-2", f"touch '{tmp_path}/effect'", 10)
    assert (refused.status, "nothing was run" in refused.output) == ("failed", True)
    assert not (tmp_path / "effect").exists()

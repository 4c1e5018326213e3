"""Cleaning and rotating on a real file system: what may go goes, and nothing else does, whatever it is called."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.instance import INSTANCE
from graph.fakes import FakeClock
from graph.ports import ActionOutput, InvalidStep
from graph.records import PlanStep, Resource
from graph.resources import Cleanup
from tools.actions import ActionContext
from tools.actions.catalogue import Catalogue
from tools.actions.claims import marker_name
from tools.clients.transports import TransportHosts

KEY = "0193a1b2-0000-7000-8000-00000000002a:1:0"
MIB = 1 << 20


class World:
    """This machine as a host, with folders of the test's own as its roots."""

    def __init__(self, folder: Path) -> None:
        self.logs, self.tmp, self.cores = (folder / name for name in ("logs", "tmp", "cores"))
        self.outside = folder / "outside"
        for made in (self.logs, self.tmp, self.cores, self.outside):
            made.mkdir()
        self.hosts = TransportHosts()
        self.marks = folder / "marks"
        context = ActionContext(self.hosts, FakeClock(), marker_root=str(self.marks))
        self.catalogue = Catalogue(context)
        self.resource = self.declared()

    def declared(self, **cleanup: Any) -> Resource:
        values: dict[str, Any] = {
            "log_roots": (str(self.logs),),
            "tmp_roots": (str(self.tmp),),
            "core_roots": (str(self.cores),),
            "min_age_minutes": 0,
        }
        given = Cleanup(**(values | cleanup))
        return Resource(id="here", kind="Instance", address="127.0.0.1", transport="local", cleanup=given)

    async def step(self, action: str, resource: Resource | None = None, **params: Any) -> PlanStep:
        draft = PlanStep(action=action, params=params)
        return await self.catalogue.complete(resource or self.resource, INSTANCE, draft)

    async def objection(self, action: str, resource: Resource | None = None, **params: Any) -> str | None:
        step = await self.step(action, resource, **params)
        return await self.catalogue.precondition(resource or self.resource, step)

    async def run(self, action: str, resource: Resource | None = None, **params: Any) -> ActionOutput:
        step = await self.step(action, resource, **params)
        clock = FakeClock()
        return await self.catalogue.run(resource or self.resource, step, KEY, clock.now())


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.hosts.close()


def write(path: Path, size: int = 100_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(1024) * (size // 1024 + 1))
    return path


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}


# -- which files go ----------------------------------------------------------------------------------------


async def test_rotated_logs_go_and_all_else_stays(world: World) -> None:
    rotated = [
        "syslog.1", "syslog.2.gz", "app/access.log.10.gz", "messages-20240101", "messages-20240101.gz", "deep/er/x.old",
        "app-2024-01-01.log", "old.log.gz", "a b.log.1", "it's.log.1", 'quo"te.log.3', "new\nline.log.2", "$(id).log.1",
        "-rf.log.1", "*.log.1",
    ]  # fmt: skip
    kept = ["syslog", "app/access.log", "backup.tar.gz", "dump.sql.gz", "orders.db", "journal/x.journal", "v1.2/readme"]
    for name in (*rotated, *kept):
        write(world.logs / name)
    output = await world.run("clean_logs", root=str(world.logs))
    assert output.status == "succeeded"
    assert f"removed {len(rotated)} files" in output.output
    assert left(world.logs) == set(kept)


async def test_core_dumps_go_by_their_names(world: World) -> None:
    for name in ("core", "core.1234", "core.shop.0.abc.zst", "_usr_bin_shop.0.crash", "core_data/orders", "score.txt"):
        write(world.cores / name)
    assert (await world.run("remove_core_dumps", root=str(world.cores))).status == "succeeded"
    assert left(world.cores) == {"core_data/orders", "score.txt"}


async def test_temporary_files_go_but_for_locks_and_what_is_no_plain_file(world: World) -> None:
    for name in ("upload-1", ".hidden", "dir/two\nlines", "app.pid", "app.lock", ".X0-lock"):
        write(world.tmp / name)
    os.mkfifo(world.tmp / "pipe")
    assert (await world.run("clean_tmp", root=str(world.tmp))).status == "succeeded"
    assert left(world.tmp) == {"app.pid", "app.lock", ".X0-lock", "pipe"}


async def test_young_files_stay_also_those_that_only_say_they_are_old(world: World) -> None:
    old = time.time() - 86400
    os.utime(write(world.logs / "unpacked.log.1"), (old, old))
    resource = world.declared(min_age_minutes=60)
    assert "nothing to remove" in str(await world.objection("clean_logs", resource, root=str(world.logs)))
    await world.run("clean_logs", resource, root=str(world.logs))
    assert left(world.logs) == {"unpacked.log.1"}


async def test_a_file_that_somebody_has_open_stays(world: World) -> None:
    for name in ("open.log.1", "closed.log.1"):
        write(world.logs / name)
    with (world.logs / "open.log.1").open("ab"):
        output = await world.run("clean_logs", root=str(world.logs))
    assert output.status == "succeeded"
    assert left(world.logs) == {"open.log.1"}


# -- links ---------------------------------------------------------------------------------------------------


async def test_links_are_neither_followed_nor_removed(world: World) -> None:
    write(world.outside / "precious.log.1")
    write(world.logs / "mine.log.1")
    (world.logs / "link.log.1").symlink_to(world.outside / "precious.log.1")
    (world.logs / "folder").symlink_to(world.outside)
    assert (await world.run("clean_logs", root=str(world.logs))).status == "succeeded"
    assert left(world.outside) == {"precious.log.1"}
    assert left(world.logs) == {"link.log.1", "folder"}


@pytest.mark.parametrize("where", ["itself", "above"])
async def test_a_root_that_is_reached_by_a_link_is_refused(world: World, where: str) -> None:
    write(world.outside / "below" / "precious.log.1")
    link = world.logs.parent / "linked"
    link.symlink_to(world.outside / "below" if where == "itself" else world.outside)
    root = str(link if where == "itself" else link / "below")
    resource = world.declared(log_roots=(root,))
    assert "no real folder" in str(await world.objection("clean_logs", resource, root=root))
    output = await world.run("clean_logs", resource, root=root)
    assert (output.status, "refused" in output.output) == ("failed", True)
    assert left(world.outside) == {"below/precious.log.1"}


@pytest.mark.parametrize(
    "root", ["/etc", "/var", "{logs}/..", "{logs}/../outside", "{outside}", "", "/", "{logs}\n/etc"]
)
@pytest.mark.parametrize("action", ["clean_logs", "clean_tmp", "remove_core_dumps"])
async def test_a_folder_that_is_not_declared_is_refused(world: World, action: str, root: str) -> None:
    named = root.format(logs=world.logs, outside=world.outside)
    with pytest.raises(InvalidStep) as caught:
        await world.step(action, root=named)
    assert caught.value.field == "params.root"


@pytest.mark.parametrize("root", ["/", "/etc", "/var", "/home", "/srv", "relative", "/var/log/../../etc", "/a\n/b"])
def test_a_configuration_can_not_declare_just_any_folder(root: str) -> None:
    with pytest.raises(ValueError, match=r"must be an absolute folder|holds more than"):
        Cleanup(log_roots=(root,))


async def test_the_command_is_the_same_each_time_it_is_rendered(world: World) -> None:
    rendered = {(await world.step("clean_logs", root=str(world.logs))).rendered for _ in range(3)}
    assert len(rendered) == 1
    assert str(world.logs) in rendered.pop()


# -- what became of it ---------------------------------------------------------------------------------------


async def test_a_cleaning_whose_end_is_lost_is_proven_by_what_is_left(world: World) -> None:
    write(world.logs / "a.log.1")
    step = await world.step("clean_logs", root=str(world.logs))
    baseline = await world.catalogue.baseline(world.resource, step)
    assert (await world.catalogue.probe(world.resource, step, KEY, baseline)).effect == "no_effect"
    (world.marks / marker_name(KEY)).mkdir(parents=True)
    assert (await world.catalogue.probe(world.resource, step, KEY, baseline)).effect == "unknown"
    (world.logs / "a.log.1").unlink()
    assert (await world.catalogue.probe(world.resource, step, KEY, baseline)).effect == "took_effect"


# -- rotating ------------------------------------------------------------------------------------------------


async def test_a_big_log_is_packed_beside_itself_and_emptied_under_its_writer(world: World) -> None:
    log = world.logs / "app" / "orders.log"
    content = write(log, 12 * MIB).read_bytes()
    with log.open("ab") as writer:
        output = await world.run("rotate_logs", path=str(log))
        assert output.status == "succeeded", output.output
        writer.write(b"and on\n")
    assert log.read_bytes() == b"and on\n"
    [packed] = [path for path in log.parent.iterdir() if path != log]
    assert gzip.decompress(packed.read_bytes()) == content
    assert packed.name.startswith("orders.log-2") and packed.suffix == ".gz"


async def test_what_was_packed_is_a_rotated_log(world: World) -> None:
    log = write(world.logs / "orders.log", 12 * MIB)
    await world.run("rotate_logs", path=str(log))
    for marker in world.marks.iterdir():
        marker.rename(world.marks / "earlier")
    assert (await world.run("clean_logs", root=str(world.logs))).status == "succeeded"
    assert left(world.logs) == {"orders.log"}


@pytest.mark.parametrize("name", ["a b.log", "it's.log", 'quo"te.log', "$(id).log", "-n.log", "*.log"])
async def test_a_log_of_an_odd_name_is_rotated(world: World, name: str) -> None:
    log = write(world.logs / name, 9 * MIB)
    other = write(world.logs / "another.log", 9 * MIB)
    output = await world.run("rotate_logs", path=str(log))
    assert output.status == "succeeded", output.output
    assert (log.stat().st_size, other.stat().st_size > 0) == (0, True)


@pytest.mark.parametrize(
    "path",
    [
        "{outside}/x.log", "{logs}/../outside/x.log", "{logs}", "{logs}/", "{logs}//x.log", "{logs}/./x.log", "x.log",
        "{logs}/a\nb",
    ],
)  # fmt: skip
async def test_a_path_that_is_not_plainly_below_a_log_root_is_refused(world: World, path: str) -> None:
    with pytest.raises(InvalidStep) as caught:
        await world.step("rotate_logs", path=path.format(logs=world.logs, outside=world.outside))
    assert caught.value.field == "params.path"


async def test_a_link_in_the_place_of_a_log_is_not_emptied(world: World) -> None:
    precious = write(world.outside / "precious", 9 * MIB)
    (world.logs / "x.log").symlink_to(precious)
    (world.logs / "folder").symlink_to(world.outside)
    for path in (world.logs / "x.log", world.logs / "folder" / "precious"):
        assert await world.objection("rotate_logs", path=str(path))
        with contextlib.suppress(FileNotFoundError):
            (world.marks / marker_name(KEY)).rename(world.marks / "earlier")
        assert (await world.run("rotate_logs", path=str(path))).status == "failed"
    assert precious.stat().st_size >= 9 * MIB


async def test_a_log_below_a_folder_that_others_may_change_is_refused(world: World) -> None:
    log = write(world.logs / "shared" / "app" / "x.log", 9 * MIB)
    (world.logs / "shared").chmod(0o777)
    assert "others than root may change" in str(await world.objection("rotate_logs", path=str(log)))
    (world.logs / "shared").chmod(0o755)
    assert await world.objection("rotate_logs", path=str(log)) is None


async def test_a_small_log_or_one_that_is_gone_is_left_alone(world: World) -> None:
    assert await world.objection("rotate_logs", path=str(write(world.logs / "small.log"))) is not None
    assert await world.objection("rotate_logs", path=str(world.logs / "gone.log")) is not None


# -- on a disk without room ---------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder, image = tmp_path / "disk", tmp_path / "image"
    folder.mkdir()
    image.touch()
    os.truncate(image, 80 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True, timeout=20)
    done = subprocess.run(["mount", "-o", "loop", str(image), str(folder)], capture_output=True, text=True, timeout=20)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=20)


def until_full(log: Path) -> int:
    """Lines until the disk takes no more; returns how long the log is."""
    with contextlib.suppress(OSError), log.open("wb", buffering=0) as writer:
        number = 0
        while True:
            writer.write(b"".join(b"%015d\n" % (number + each) for each in range(1 << 14)))
            number += 1 << 14
    assert shutil.disk_usage(log.parent).free < MIB
    return log.stat().st_size


def packed_below(folder: Path) -> Path:
    [packed] = folder.glob("*.gz")
    return packed


async def test_a_log_for_which_the_disk_has_no_room_keeps_its_newest_part(world: World, disk: Path) -> None:
    log = disk / "orders.log"
    size = until_full(log)
    resource = world.declared(log_roots=(str(disk),))
    output = await world.run("rotate_logs", resource, path=str(log))
    assert output.status == "succeeded", output.output
    assert f"emptied {log} of {size} bytes; the newest {32 * MIB} are in" in output.output
    kept = gzip.decompress(packed_below(disk).read_bytes())
    assert (len(kept), log.stat().st_size) == (32 * MIB, 0)
    assert kept.startswith(b"%015d\n" % ((size - 32 * MIB) // 16))

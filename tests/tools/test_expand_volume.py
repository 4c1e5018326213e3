"""Growing a volume: only what is declared, only so far, by what is found; and a real file system that gets larger."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.instance import INSTANCE
from graph.fakes import FakeClock
from graph.ports import InvalidStep
from graph.records import PlanStep, ProviderAccess, Resource, SshAccess
from graph.resources import Volume
from tools.actions import ActionContext
from tools.actions.catalogue import Catalogue
from tools.actions.claims import marker_name
from tools.actions.volumes import next_size
from tools.clients.memory import MemoryHosts
from tools.clients.providers.memory import MemoryInstance, MemoryProvider
from tools.clients.providers.provider import ProviderError, VolumeStatus
from tools.clients.transports import TransportHosts

KEY = "0193a1b2-0000-7000-8000-00000000002a:1:0"
GIB = 1 << 20
"""In KiB, as the host tells it."""
DATA = Volume(mount="/srv/data", max_gib=4, step_gib=1, volume_id="vol-1")
RESOURCE = Resource(
    id="inst-1",
    kind="Instance",
    address="10.0.0.5",
    ssh=SshAccess(user="ops", key_file="k", known_hosts="h"),
    provider=ProviderAccess(name="memory", instance_id="i-1"),
    volumes=(DATA, Volume(mount="/", max_gib=50)),
)


class World:
    """One instance with one volume, and a host that tells the size of its file system."""

    def __init__(self, size_gib: int = 2, kib: int = int(1.98 * GIB)) -> None:
        self.clock = FakeClock()
        self.provider = MemoryProvider({"i-1": MemoryInstance()}, now=self.clock.now)
        self.provider.volumes["vol-1"] = VolumeStatus("vol-1", size_gib, attached_to="i-1")
        self.hosts = MemoryHosts()
        self.told(kib)
        context = ActionContext(self.hosts, self.clock, {"memory": self.provider}, marker_root="/m")
        self.catalogue = Catalogue(context)

    def told(self, kib: int, claim: str = "ended 0") -> None:
        self.hosts.answers_to = {
            "xfs_growfs": f"grown\nselfheal-claim: {claim}\n",
            "selfheal-claim": f"\nselfheal-claim: {claim}\n",
            "df -Pk": f"{kib}\n",
        }

    def volume(self, **changes: Any) -> None:
        self.provider.volumes["vol-1"] = replace(self.provider.volumes["vol-1"], **changes)

    async def step(self, size_gib: int = 3, mount: str = "/srv/data", resource: Resource = RESOURCE) -> PlanStep:
        draft = PlanStep(action="expand_volume", params={"mount": mount, "size_gib": size_gib})
        return await self.catalogue.complete(resource, INSTANCE, draft)


@pytest.fixture
def world() -> World:
    return World()


async def test_the_call_and_the_command_are_rendered_as_they_will_be(world: World) -> None:
    step = await world.step()
    assert step.risk == "destructive"
    assert "grow_volume" in step.rendered and "vol-1" in step.rendered and "3" in step.rendered
    assert "ops@10.0.0.5:22$ m=/srv/data; " in step.rendered
    assert "sudo -n xfs_growfs" in step.rendered


@pytest.mark.parametrize(
    ("mount", "size_gib", "field", "says"),
    [
        ("/srv/data", 5, "params.size_gib", "4 GiB at most"),
        ("/", 3, "params.mount", "declared: /srv/data"),
        ("/srv/data/..", 3, "params.mount", "declared: /srv/data"),
        ("/srv/data", 0, "params.size_gib", "greater than or equal to 1"),
    ],
)
async def test_no_other_volume_and_no_larger_size_is_allowed(
    world: World, mount: str, size_gib: int, field: str, says: str
) -> None:
    with pytest.raises(InvalidStep) as caught:
        await world.step(size_gib, mount)
    assert caught.value.field == field
    assert says in caught.value.message


async def test_without_a_provider_nothing_grows(world: World) -> None:
    with pytest.raises(InvalidStep, match="has no provider"):
        await world.step(resource=RESOURCE.model_copy(update={"provider": ProviderAccess()}))


@pytest.mark.parametrize(
    ("changes", "size_gib", "says"),
    [
        ({}, 3, None),
        ({"modifying": True, "state": "optimizing 40 %"}, 3, "still being changed (optimizing 40 %)"),
        ({"attached_to": "i-2"}, 3, "belongs to i-2"),
        ({"size_gib": 3}, 3, None),
        ({"size_gib": 4}, 3, "more than was meant"),
        ({}, 4, "more than a step"),
        ({}, 2, "already"),
    ],
)
async def test_what_is_found_now_decides_whether_it_may_grow(
    world: World, changes: dict[str, Any], size_gib: int, says: str | None
) -> None:
    world.volume(**changes)
    objection = await world.catalogue.precondition(RESOURCE, await world.step(size_gib))
    assert objection is None if says is None else says in str(objection)


async def test_a_mount_without_a_file_system_is_not_grown(world: World) -> None:
    step = await world.step()
    world.hosts.answers_to = {}
    assert "no file system" in str(await world.catalogue.precondition(RESOURCE, step))


async def test_it_grows_at_the_provider_first_and_on_the_host_then(world: World) -> None:
    step = await world.step()
    output = await world.catalogue.run(RESOURCE, step, KEY, world.clock.now())
    assert output.status == "succeeded", output.output
    assert world.provider.volumes["vol-1"].size_gib == 3
    assert [call for call in world.provider.calls if call == "grow_volume"] == ["grow_volume"]
    assert "xfs_growfs" in world.hosts.commands()[-1]


async def test_a_run_that_died_after_the_provider_had_grown_it_only_does_the_rest(world: World) -> None:
    step = await world.step()
    baseline = await world.catalogue.baseline(RESOURCE, step)
    world.volume(size_gib=3)
    world.told(int(1.98 * GIB), claim="absent")
    probe = await world.catalogue.probe(RESOURCE, step, KEY, baseline)
    assert (probe.effect, "does what is left" in probe.observed) == ("no_effect", True)
    world.told(int(1.98 * GIB))
    output = await world.catalogue.run(RESOURCE, step, KEY, world.clock.now())
    assert output.status == "succeeded"
    assert "grow_volume" not in world.provider.calls


async def test_both_sizes_prove_that_it_took_effect(world: World) -> None:
    step = await world.step()
    baseline = await world.catalogue.baseline(RESOURCE, step)
    world.volume(size_gib=3)
    world.told(int(2.97 * GIB), claim="unfinished")
    assert (await world.catalogue.probe(RESOURCE, step, KEY, baseline)).effect == "took_effect"


async def test_a_host_that_was_told_and_has_not_grown_is_not_told_again(world: World) -> None:
    step = await world.step()
    baseline = await world.catalogue.baseline(RESOURCE, step)
    world.volume(size_gib=3)
    world.told(int(1.98 * GIB), claim="unfinished")
    assert (await world.catalogue.probe(RESOURCE, step, KEY, baseline)).effect == "unknown"


async def test_a_refusal_of_the_provider_is_a_failure_and_the_host_is_not_asked(world: World) -> None:
    step = await world.step()
    world.provider.errors["grow_volume"] = [ProviderError("VolumeModificationRateExceeded", temporary=False)]
    output = await world.catalogue.run(RESOURCE, step, KEY, world.clock.now())
    assert (output.status, "RateExceeded" in output.output) == ("failed", True)
    assert not any("xfs_growfs" in command for command in world.hosts.commands())


async def test_a_worker_that_wakes_up_after_the_deadline_asks_for_nothing(world: World) -> None:
    step, started = await world.step(), world.clock.now()
    await world.clock.sleep(500)
    assert (await world.catalogue.run(RESOURCE, step, KEY, started)).status == "failed"
    assert "grow_volume" not in world.provider.calls


@pytest.mark.parametrize(
    ("size_gib", "file_system_mib", "wanted"),
    [
        (2, 2027, 3),
        (3, 3040, 4),
        (4, 4050, None),
        (3, 2027, 3),  # the disk has grown, its file system has not been told
        (5, 2027, None),
    ],
)
def test_the_next_size_is_a_step_within_what_is_declared(
    size_gib: int, file_system_mib: float, wanted: int | None
) -> None:
    assert next_size(DATA, size_gib, file_system_mib) == wanted


# -- a real disk -------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Path, str]]:
    """Image, mount and device of a real XFS disk of 1 GiB (sparse)."""
    if os.geteuid() != 0 or shutil.which("mkfs.xfs") is None or shutil.which("xfs_growfs") is None:
        pytest.skip("a disk to grow needs root and xfsprogs")
    image, mount = tmp_path / "image", tmp_path / "data"
    mount.mkdir()
    image.touch()
    os.truncate(image, 1 << 30)
    subprocess.run(["mkfs.xfs", "-q", str(image)], check=True, timeout=30)
    made = subprocess.run(["losetup", "--find", "--show", str(image)], capture_output=True, text=True, timeout=20)
    if made.returncode:
        pytest.skip(f"no loop device here: {made.stderr.strip()}")
    device = made.stdout.strip()
    try:
        subprocess.run(["mount", device, str(mount)], check=True, timeout=20)
        yield image, mount, device
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=False, timeout=20)
        subprocess.run(["losetup", "-d", device], check=False, timeout=20)


@pytest.fixture
async def hosts() -> AsyncIterator[TransportHosts]:
    made = TransportHosts()
    yield made
    await made.close()


def growing(image: Path, device: str) -> Callable[[Any, Resource], None]:
    """The provider's order reaches the real disk."""

    def act(call: Any, resource: Resource) -> None:
        if call == "grow_volume":
            os.truncate(image, 2 << 30)
            subprocess.run(["losetup", "-c", device], check=True, timeout=20)

    return act


async def test_a_real_file_system_grows_while_it_is_in_use(
    disk: tuple[Path, Path, str], hosts: TransportHosts, tmp_path: Path
) -> None:
    image, mount, device = disk
    (mount / "orders.db").write_text("kept")
    clock = FakeClock()
    provider = MemoryProvider({"i-1": MemoryInstance()}, now=clock.now, acts=growing(image, device))
    provider.volumes["vol-1"] = VolumeStatus("vol-1", 1, attached_to="i-1")
    catalogue = Catalogue(ActionContext(hosts, clock, {"memory": provider}, marker_root=str(tmp_path / "marks")))
    volume = Volume(mount=str(mount), max_gib=3, step_gib=1, volume_id="vol-1")
    local = RESOURCE.model_copy(update={"transport": "local", "volumes": (volume,)})
    draft = PlanStep(action="expand_volume", params={"mount": str(mount), "size_gib": 2})
    step = await catalogue.complete(local, INSTANCE, draft)
    assert await catalogue.precondition(local, step) is None
    baseline = await catalogue.baseline(local, step)
    output = await catalogue.run(local, step, KEY, clock.now())
    assert output.status == "succeeded", output.output
    assert shutil.disk_usage(mount).total > 1.9 * (1 << 30)
    assert (mount / "orders.db").read_text() == "kept"
    (tmp_path / "marks" / marker_name(KEY) / "rc").unlink()
    assert (await catalogue.probe(local, step, KEY, baseline)).effect == "took_effect"
    assert "already" in str(await catalogue.precondition(local, step))

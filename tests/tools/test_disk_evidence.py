"""What is told of disks: from answers recorded on real hosts, and from this machine with a small disk of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from graph.facts import fact_key
from graph.fakes import FakeClock
from graph.ports import Finding
from graph.records import Alert, Incident, Resource, SshAccess
from graph.resources import Cleanup, Thresholds, Volume
from tests.tools.test_evidence import SeenHealth
from tools.clients.host import HostUnreachable
from tools.clients.memory import Answer, MemoryHosts
from tools.clients.providers.memory import MemoryInstance, MemoryProvider
from tools.clients.providers.provider import VolumeStatus
from tools.clients.transports import TransportHosts
from tools.disk_sudoers import disk_sudoers
from tools.evidence import EvidenceContext
from tools.evidence.disk import DiskSource
from tools.health_disk import disk_observations

RECORDED = Path(__file__).parent / "recorded"
HOLDER = {"unit": "courier.service", "pid": "357", "started": "391957", "name": "python3"}
NOW = datetime(2026, 11, 26, tzinfo=UTC)
HOST = Resource(
    id="inst-1",
    kind="Instance",
    address="10.0.0.5",
    ssh=SshAccess(user="ops", key_file="k", known_hosts="h"),
    cleanup=Cleanup(journal_keep_mib=8),
)


def recorded(name: str) -> dict[str, Answer]:
    usage, _, closer = (RECORDED / f"disk_{name}.txt").read_text().partition("-- closer\n")
    return {r"^df -B1": usage, r"^t0=": closer}


def context(answers: dict[str, Answer], **more: Any) -> EvidenceContext:
    made = EvidenceContext(hosts=MemoryHosts(answers), clock=FakeClock(NOW), health=SeenHealth(()))
    return replace(made, **more)


async def gathered(given: EvidenceContext, resource: Resource = HOST, mountpoint: str = "/") -> Finding:
    alert = Alert(status="firing", labels={"alertname": "DiskFull", "mountpoint": mountpoint})
    incident = Incident(
        id="0190", number=1, resource_kind="Instance", resource_id="inst-1", issue_types=("disk_full",),
        alerts=(alert,), received_at=NOW, resource=resource,
    )  # fmt: skip
    return await DiskSource(given).gather(incident)


async def test_disks_that_are_well_cost_one_look() -> None:
    given = context(recorded("well"))
    found = await gathered(given)
    assert isinstance(given.hosts, MemoryHosts)
    assert len(given.hosts.commands()) == 1
    assert dict(found.facts) == {'disk.used_percent{mount="/"}': 39.1, 'disk.used_percent{mount="/tmp"}': 0.0}
    assert found.text == "otherwise / 39.1 %, /tmp 0 %"


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        (
            "log_growth",
            {
                'disk.over{mount="/"}': "bytes",
                'disk.used_percent{mount="/"}': 100.0,
                'disk.avail_mib{mount="/"}': 0,
                'disk.file_system{mount="/"}': "ext4",
                'disk.big_log_mib{mount="/",path="/var/log/courier/requests.log"}': 357,
                'disk.big_log_mib{mount="/",path="/var/log/odd/it\'s \\"odd\\".log"}': 9,
            },
        ),
        (
            "rotated_logs",
            {'disk.reclaimable_mib{mount="/",root="/var/log",what="rotated_logs"}': 366},
        ),
        (
            "deleted_open",
            {fact_key("disk.deleted_open_mib", mount="/", **HOLDER): 359},
        ),
        (
            "inodes",
            {
                'disk.over{mount="/"}': "inodes",
                'disk.inodes_used_percent{mount="/"}': 100.0,
                'disk.reclaimable_files{mount="/",root="/var/tmp",what="tmp"}': 22929,
                'disk.inode_eater{mount="/",path="/var/tmp/sessions"}': 22976,
            },
        ),
    ],
)
async def test_what_fills_a_real_host_is_told(name: str, facts: dict[str, Any]) -> None:
    found = await gathered(context(recorded(name)))
    assert {key: found.facts.get(key) for key in facts} == facts
    assert len(found.facts) <= 14
    assert len(str(dict(found.facts))) < 1500


async def test_the_host_is_never_asked_more_than_twice_and_each_time_with_a_bound() -> None:
    given = context(recorded("inodes"))
    await gathered(given)
    assert isinstance(given.hosts, MemoryHosts)
    usage, closer = given.hosts.commands()
    assert "timeout" not in usage and "du " not in usage
    assert "S='nice -n 19 timeout 5'" in closer


async def test_what_a_slow_disk_did_not_tell_in_time_is_said() -> None:
    answers = recorded("log_growth")
    cut = {pattern: str(answer).replace("C /var/tmp\ttmp 0 0\n", "") for pattern, answer in answers.items()}
    whole, partly = await gathered(context(answers)), await gathered(context(dict(cut)))
    assert 'disk.partly_seen{mount="/"}' not in whole.facts
    assert partly.facts['disk.partly_seen{mount="/"}'] is True


async def test_a_host_that_does_not_tell_is_no_host_that_is_well() -> None:
    found = await gathered(context({"": ""}))
    assert found.status == "no_data"
    with pytest.raises(HostUnreachable):
        await gathered(context({"": HostUnreachable("gone", "timeout")}))


async def test_an_alert_with_a_lower_limit_is_believed_but_not_of_a_disk_that_is_half_empty() -> None:
    row = "F /dev/sdb1 xfs 1000000000 {used} {avail} 1000 10 /srv/data\n"
    rather = await gathered(context({"": row.format(used=800_000_000, avail=200_000_000)}), mountpoint="/srv/data")
    half = await gathered(context({"": row.format(used=500_000_000, avail=500_000_000)}), mountpoint="/srv/data")
    assert rather.facts['disk.over{mount="/srv/data"}'] == "alert"
    assert 'disk.over{mount="/srv/data"}' not in half.facts


async def test_the_provider_tells_how_large_a_declared_volume_is() -> None:
    provider = MemoryProvider({"i-1": MemoryInstance()})
    provider.volumes["vol-1"] = VolumeStatus("vol-1", 20, modifying=True)
    resource = Resource.model_validate(
        HOST.model_dump()
        | {
            "provider": {"name": "memory", "instance_id": "i-1"},
            "volumes": [Volume(mount="/", max_gib=40, volume_id="vol-1")],
        }
    )
    found = await gathered(context(recorded("rotated_logs"), providers={"memory": provider}), resource)
    assert found.facts['disk.volume_gib{mount="/"}'] == 20
    assert found.facts['disk.volume_modifying{mount="/"}'] is True


# -- a disk of its own -------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder, image = tmp_path / "disk", tmp_path / "image"
    folder.mkdir()
    image.touch()
    os.truncate(image, 96 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True, timeout=20)
    done = subprocess.run(["mount", "-o", "loop", str(image), str(folder)], capture_output=True, text=True, timeout=20)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=20)


@pytest.fixture
async def hosts() -> AsyncIterator[TransportHosts]:
    made = TransportHosts()
    yield made
    await made.close()


def full(disk: Path) -> Resource:
    """With a bit of everything on it, and names that try to be more than names."""
    for name, size in (
        ("logs/app.log", 20), ("logs/app.log.1", 10), ("logs/two\nC x\ttmp 1 999999999.log", 9), ("tmp/upload", 8),
        ("cores/core.1", 5), ("orders/table.db", 20), ("pg/15/main/pg_wal/0001", 4),
    ):  # fmt: skip
        path = disk / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(1 << 20) * size)
    cleanup = Cleanup(
        log_roots=(f"{disk}/logs",), tmp_roots=(f"{disk}/tmp",), core_roots=(f"{disk}/cores",), min_age_minutes=0
    )
    limits = Thresholds(disk_used_percent=85)
    return Resource(id="h", kind="Instance", address="127.0.0.1", transport="local", cleanup=cleanup, thresholds=limits)


async def test_each_thing_that_fills_a_disk_is_told_apart(disk: Path, hosts: TransportHosts) -> None:
    resource = full(disk)
    held = (disk / "held").open("wb")
    held.write(b"x" * (6 << 20))
    held.flush()
    (disk / "held").unlink()
    found = await gathered(context({}, hosts=hosts), resource, str(disk))
    held.close()
    facts = {key.partition("{")[0] + key.partition("what=")[2]: value for key, value in found.facts.items()}
    assert found.facts[f'disk.over{{mount="{disk}"}}'] == "bytes"
    assert facts['disk.reclaimable_mib"rotated_logs"}'] == 10
    assert facts['disk.reclaimable_mib"tmp"}'] == 8
    assert facts['disk.reclaimable_mib"cores"}'] == 5
    assert found.facts[f'disk.big_log_mib{{mount="{disk}",path="{disk}/logs/app.log"}}'] == 20
    assert found.facts[f'disk.user_data_mib{{mount="{disk}",path="{disk}/orders"}}'] == 20
    assert any(key.startswith("disk.deleted_open_mib") and value == 6 for key, value in found.facts.items())
    forged = {key: value for key, value in found.facts.items() if f'mount="{disk}"' in key and "_mib" in key}
    assert all(float(value) <= 96 for value in forged.values()), forged


async def test_health_says_of_each_disk_whether_it_has_room(disk: Path, hosts: TransportHosts) -> None:
    resource = full(disk)
    before = {item.criterion: item for item in await disk_observations(hosts, resource)}
    for path in (disk / "logs").iterdir():
        path.unlink()
    after = {item.criterion: item for item in await disk_observations(hosts, resource)}
    assert (before[f"disk {disk}"].status, after[f"disk {disk}"].status) == ("pending", "pass")
    assert "MiB free" in after[f"disk {disk}"].observed


@pytest.mark.parametrize(("how", "status"), [("timeout", "pending"), ("auth", "unknown")])
async def test_health_of_a_host_that_is_silent_is_not_known(how: Any, status: str) -> None:
    [seen] = await disk_observations(MemoryHosts({"": HostUnreachable("no", how)}), HOST)
    assert (seen.criterion, seen.status) == ("disk", status)


# -- what sudoers must allow -------------------------------------------------------------------------------


def test_sudoers_name_the_declared_roots_and_no_command_that_could_do_more() -> None:
    lines = disk_sudoers(HOST.model_copy(update={"volumes": (Volume(mount="/srv/data", max_gib=5),)}))
    assert any("/var/log" in line and "-delete" in line for line in lines)
    for line in lines:
        command, _, arguments = line.partition(" ")
        assert command.startswith("/usr/")
        assert arguments == "clean" or (arguments.startswith("^") and arguments.endswith("$")), line
        assert "-exec" not in line and ".*/" not in line.replace("\\.\\*/", "")

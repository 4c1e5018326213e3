"""A real host, hung, rebooted, stopped and started through its cloud, reached over SSH with strict key checking."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import paramiko
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from evals.lab.cgroups import leftover_labels
from evals.lab.detect import lab_refusal
from evals.lab.hosts import LabStage
from evals.lab.network import namespace_path
from evals.lab.power import ssh_greets
from evals.lab.probing import wait_until
from evals.lab.stage import LabError, StageOptions
from evals.lab.sweep import loops_below, mounts_below

REFUSAL = lab_refusal()
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(400),
    pytest.mark.skipif(REFUSAL is not None, reason=f"no lab here: {REFUSAL}"),
]


def _options(folder: Path) -> StageOptions:
    token = folder / "token"
    token.write_text("not asked for here")
    return StageOptions(work=folder / "stage", webhook_url="http://127.0.0.1:9/hook", webhook_token_file=token)


def _left(work: Path) -> dict[str, object]:
    left = {
        "mounts": mounts_below(work),
        "loops": loops_below(work),
        "cgroups": leftover_labels(),
        "network": namespace_path().exists(),
        "files": sorted(p.name for p in work.iterdir()) if work.exists() else [],
    }
    return {what: found for what, found in left.items() if found}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabStage]:
    stage = LabStage(_options(tmp_path_factory.mktemp("lab")))
    stage.up()
    try:
        yield stage
    finally:
        stage.down()


@pytest.fixture(autouse=True)
def inside(request: pytest.FixtureRequest) -> Iterator[None]:
    if "stage" not in request.fixturenames:
        yield
        return
    stage: LabStage = request.getfixturevalue("stage")
    stage.recover(stage.hosts[0])
    stage.enter()
    yield
    stage.leave()


@pytest.fixture
def ec2(stage: LabStage) -> Any:
    provider = stage.resources()[0]["provider"]
    keys = stage.environment()
    return boto3.client(
        "ec2",
        region_name=provider["region"],
        endpoint_url=provider["endpoint_url"],
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        config=Config(proxies={}, retries={"max_attempts": 1}, read_timeout=20),
    )


def _ssh(stage: LabStage, command: str) -> str:
    access = stage.resources()[0]["ssh"]
    client = paramiko.SSHClient()
    client.load_host_keys(access["known_hosts"])
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    try:
        client.connect(
            stage.hosts[0].address, access["port"], access["user"], key_filename=access["key_file"], timeout=5,
            banner_timeout=5, auth_timeout=5, channel_timeout=5, allow_agent=False, look_for_keys=False,
        )  # fmt: skip
        return client.exec_command(command, timeout=10)[1].read().decode().strip()
    finally:
        client.close()


def _instance(stage: LabStage) -> str:
    return str(stage.resources()[0]["provider"]["instance_id"])


def _state(ec2: Any, instance: str) -> str:
    return str(ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["State"]["Name"])


def _check(ec2: Any, instance: str) -> str:
    statuses = ec2.describe_instance_status(InstanceIds=[instance], IncludeAllInstances=True)["InstanceStatuses"]
    return str(statuses[0]["InstanceStatus"]["Status"])


def _until(wanted: str, ask: Callable[[], str]) -> None:
    def missing() -> str | None:
        found = ask()
        return None if found == wanted else f"it says {found}"

    wait_until(missing, 30, f"the cloud says {wanted}")


def test_a_host_lets_its_user_in_with_narrow_sudo(stage: LabStage) -> None:
    assert _ssh(stage, "whoami; systemctl is-active shopd") == "selfheal\nactive"
    assert _ssh(stage, "sudo -n systemctl restart shopd && echo restarted") == "restarted"
    assert _ssh(stage, "sudo -n cat /etc/shadow 2>&1; sudo -n sh -c id 2>&1").count("password is required") == 2


def test_a_host_sees_its_own_memory_and_not_the_machines(stage: LabStage) -> None:
    assert _ssh(stage, "grep MemTotal /proc/meminfo").split()[1] == str(256 * 1024)


def test_a_hung_host_is_impaired_and_comes_back_after_a_reboot_through_the_cloud(stage: LabStage, ec2: Any) -> None:
    host, instance = stage.hosts[0], _instance(stage)
    before = _ssh(stage, "cat /proc/sys/kernel/random/boot_id")
    assert _check(ec2, instance) == "ok"
    stage.machine(host).freeze()
    assert not ssh_greets(host.address, timeout=1.0)
    assert not stage.healthy(host)
    with pytest.raises(LabError, match="did not end within"):
        stage.run(host, "systemctl is-system-running", timeout=1)
    assert (_state(ec2, instance), _check(ec2, instance)) == ("running", "impaired")
    ec2.reboot_instances(InstanceIds=[instance])
    stage.power(host).settle()
    stage.wait_ready(host)
    assert _ssh(stage, "cat /proc/sys/kernel/random/boot_id") != before
    assert _check(ec2, instance) == "ok"


def test_a_healthy_host_reboots_in_order_and_keeps_its_journal(stage: LabStage, ec2: Any) -> None:
    host = stage.hosts[0]
    _ssh(stage, "logger -t story before the reboot; sleep 0.2")
    leader = stage.machine(host).leader()
    ec2.reboot_instances(InstanceIds=[_instance(stage)])
    stage.power(host).settle()
    stage.wait_ready(host)
    assert stage.machine(host).leader() != leader
    assert "before the reboot" in _ssh(stage, "journalctl -q -t story -o cat")
    assert "Rebooting." in ec2.get_console_output(InstanceId=_instance(stage))["Output"]


def test_a_host_that_reboots_itself_comes_back(stage: LabStage) -> None:
    host = stage.hosts[0]
    leader = stage.machine(host).leader()
    stage.run(host, "systemctl --no-block reboot")
    wait_until(
        lambda: None if stage.machine(host).leader() not in (None, leader) else "same boot", 20, "the host rebooted"
    )
    stage.wait_ready(host)


@pytest.mark.parametrize("force", [False, True])
def test_a_host_is_stopped_and_started_through_the_cloud(stage: LabStage, ec2: Any, force: bool) -> None:
    host, instance = stage.hosts[0], _instance(stage)
    ec2.stop_instances(InstanceIds=[instance], Force=force)
    _until("stopped", lambda: _state(ec2, instance))
    assert not stage.machine(host).powered
    assert _check(ec2, instance) == "not-applicable"
    with pytest.raises(ClientError, match="IncorrectInstanceState"):
        ec2.reboot_instances(InstanceIds=[instance])
    ec2.start_instances(InstanceIds=[instance])
    _until("running", lambda: _state(ec2, instance))
    stage.wait_ready(host)
    assert _ssh(stage, "true && echo in") == "in"


def test_a_host_that_powers_itself_off_is_stopped_in_the_cloud_too(stage: LabStage, ec2: Any) -> None:
    host, instance = stage.hosts[0], _instance(stage)
    stage.run(host, "systemctl --no-block poweroff")
    _until("stopped", lambda: _state(ec2, instance))
    found = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["stopped"]}])
    described = found["Reservations"][0]["Instances"][0]
    assert described["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    ec2.start_instances(InstanceIds=[instance])
    stage.power(host).settle()
    stage.wait_ready(host)


def test_the_cloud_terminates_nothing(stage: LabStage, ec2: Any) -> None:
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.terminate_instances(InstanceIds=[_instance(stage)])
    assert stage.healthy(stage.hosts[0])


def test_an_unknown_instance_is_refused_as_ec2_does(ec2: Any) -> None:
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        ec2.reboot_instances(InstanceIds=["i-0123456789abcdef0"])


def test_a_pulled_cable_makes_a_host_unreachable_until_it_is_plugged_in(stage: LabStage) -> None:
    host = stage.hosts[0]
    stage.machine(host).plug(up=False)
    assert not ssh_greets(host.address, timeout=1.0)
    stage.machine(host).plug(up=True)
    stage.wait_ready(host)


def test_a_second_lab_on_the_machine_is_refused_by_name(stage: LabStage, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=f"another lab is up on this machine .process {os.getpid()}"):
        LabStage(_options(tmp_path)).up()
    assert stage.healthy(stage.hosts[0])


# the module's stage must be down for these two: they come last, and take it down first
def test_down_leaves_nothing_and_may_be_called_twice(stage: LabStage) -> None:
    stage.machine(stage.hosts[0]).freeze()
    stage.down()
    stage.down()
    assert _left(stage.work) == {}


PROGRAM = """
import os, sys
from pathlib import Path
from evals.lab.hosts import LabStage
from evals.lab.stage import StageOptions
work, token = map(Path, sys.argv[1:])
stage = LabStage(StageOptions(work=work, webhook_url="http://127.0.0.1:9/hook", webhook_token_file=token))
stage.up()
stage.machine(stage.hosts[0]).freeze()
os.kill(os.getpid(), 9)
"""


def test_a_killed_run_is_swept_though_its_host_hangs(tmp_path: Path) -> None:
    if namespace_path().exists():
        pytest.skip("the module's own lab is still up: run the whole file")
    options = _options(tmp_path)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(options.work), str(options.webhook_token_file)],
        cwd=Path(__file__).parents[2], timeout=120,
    )  # fmt: skip
    assert ran.returncode == -9
    deadline = time.monotonic() + 30
    while (left := _left(options.work)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == {}

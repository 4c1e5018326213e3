"""The local setting, for real: alerts go out when the service breaks, and nothing is left when it ends."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from evals.lab import leftovers
from evals.lab.faults import fault, faults
from evals.lab.local import LocalStage, local_missing
from evals.lab.probing import ask
from evals.lab.stage import LabError, StageHost, StageOptions
from tests.evals.receiver import Receiver

pytestmark = pytest.mark.skipif(
    bool(local_missing()), reason=f"the local setting needs what is not on PATH: {local_missing()}"
)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[LocalStage]:
    # a long and awkward path, as temporary folders have
    root = tmp_path_factory.mktemp("an ordinary folder, of somebody's")
    (root / "token").write_text("hook-secret")
    stage = LocalStage(StageOptions(root / "work", receiver.url, root / "token"))
    stage.up()
    try:
        yield stage
        marks = [str(stage.work), str(stage.work / "monitoring")]
    finally:
        stage.down()
    assert not any(leftovers._marked(mark) for mark in marks)
    assert list(stage.work.iterdir()) == []


@pytest.fixture
def host(stage: LocalStage, receiver: Receiver) -> StageHost:
    receiver.posts.clear()
    return stage.hosts[0]


def test_a_stage_that_is_up_answers_and_describes_its_host_completely(stage: LocalStage, host: StageHost) -> None:
    [entry] = stage.resources()

    assert stage.healthy(host)
    assert ask(entry["health"][0]["http"], timeout=20) == (200, "ok\n")
    manager = entry["service_manager"]
    told = subprocess.run([manager["command"], "-c", manager["config"], "status", "shopd"], capture_output=True)
    assert b"RUNNING" in told.stdout, told.stderr
    assert ("ssh" in entry) != (entry.get("transport") == "local")


def test_its_host_is_reached_over_ssh_with_strict_host_keys(stage: LocalStage) -> None:
    [entry] = stage.resources()
    if "ssh" not in entry:
        pytest.skip("no sshd is to be had here; the stage chose the local transport")
    access = entry["ssh"]
    with paramiko.SSHClient() as client:
        client.load_host_keys(access["known_hosts"])
        client.connect(
            entry["address"], access["port"], access["user"], key_filename=access["key_file"],
            timeout=5, allow_agent=False, look_for_keys=False,
        )  # fmt: skip
        assert client.exec_command("id -u", timeout=5)[1].read().decode().strip() == str(os.getuid())


@pytest.mark.parametrize("name", [found.name for found in faults("local")])
def test_a_fault_is_alerted_with_the_token_and_resolves_when_it_is_undone(
    stage: LocalStage, host: StageHost, receiver: Receiver, name: str
) -> None:
    broken = fault(name)
    broken.inject(stage, host)
    assert not stage.healthy(host)
    post, alert = receiver.wait_for("firing", broken.alertname)
    broken.restore(stage, host)

    assert stage.healthy(host)
    assert post.authorization == "Bearer hook-secret"
    assert post.body["version"] == "4"
    assert post.body["groupLabels"] == {"resource_kind": "Instance", "resource_id": "inst-abc123"}
    assert alert["labels"]["issue_type"] == "service_down"
    assert alert["generatorURL"].startswith(stage.prometheus_url)
    receiver.wait_for("resolved", broken.alertname)


def test_what_the_manager_and_the_service_say_tells_the_faults_apart(stage: LocalStage, host: StageHost) -> None:
    told = {}
    for found in faults("local"):
        found.inject(stage, host)
        told[found.name] = stage.run(
            host, "supervisorctl status; supervisorctl maintail; supervisorctl tail shopd"
        ).stdout
        found.restore(stage, host)

    assert "FATAL" in told["service_killed"]
    assert "terminated by SIGKILL; not expected" in told["service_killed"]
    assert "STOPPED" in told["service_stopped"]
    assert "FATAL" in told["bad_config"]
    assert f"config error in {stage.config_path} line 3 " in told["bad_config"]


def test_a_command_that_hangs_is_cut_off_with_all_it_started(stage: LocalStage, host: StageHost) -> None:
    with pytest.raises(LabError, match=r"did not end within 0\.5 s"):
        stage.run(host, "sleep 71 & sleep 72", timeout=0.5)

    assert stage.run(host, "echo one; echo two >&2; exit 3").returncode == 3


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    stage = LocalStage(StageOptions(tmp_path, "http://127.0.0.1:9/", tmp_path / "token"))

    with pytest.raises(LabError, match="is not empty and not a stage's own"):
        stage.up()
    stage.down()

    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_folder_supervisord_cannot_be_told_of_is_refused_and_left_clean(tmp_path: Path) -> None:
    (tmp_path / "100%").mkdir()
    stage = LocalStage(StageOptions(tmp_path / "100%", "http://127.0.0.1:9/", tmp_path / "token"))

    with pytest.raises(LabError, match="with a % in it"):
        stage.up()

    assert list((tmp_path / "100%").iterdir()) == []


def test_more_than_one_host_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="use the lab"):
        LocalStage(StageOptions(tmp_path, "http://127.0.0.1:9/", tmp_path / "token", hosts=2))

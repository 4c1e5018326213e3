"""The whole chain on a booted systemd host: its service and the host itself broken for real, and healed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evals.lab.faults import fault
from evals.lab.healer import Healer
from evals.lab.stage import Stage
from tests.acceptance.stages import ended, stage_up

pytestmark = [pytest.mark.acceptance, pytest.mark.lab, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Healer]]:
    with stage_up("lab", tmp_path_factory.mktemp("lab")) as (stage, healer):
        healer.start()
        yield stage, healer


@pytest.mark.parametrize(
    ("name", "actions"),
    [
        ("service_killed", ["restart_service"]),
        ("service_stopped", ["start_service"]),
        ("bad_config", []),
        ("service_oom_killed", ["restart_service"]),
        ("host_hung", ["soft_reboot"]),
        ("host_stopped", ["start_instance"]),
    ],
)
def test_a_fault_is_taken_for_what_it_is_and_ends_as_it_should(
    up: tuple[Stage, Healer], name: str, actions: list[str]
) -> None:
    stage, healer = up
    host, what = stage.hosts[0], fault(name)
    before = max((item["number"] for item in healer.incidents()), default=0)
    try:
        what.inject(stage, host)
        record = healer.wait_incident(ended, 200, after=before)
    finally:
        if what.expected_outcome != "mitigated" or not stage.healthy(host):
            what.restore(stage, host)
    assert record["diagnosis"]["suspected_cause"] == what.expected_cause, record["diagnosis"]
    assert record["outcome"]["status"] == what.expected_outcome, record["outcome"]
    assert [action["action"] for action in record["actions"]] == actions
    assert all(action["status"] == "succeeded" for action in record["actions"])
    assert stage.healthy(host)
    healer.wait_incident(lambda item: item["phase"] == "closed", 60, after=before)

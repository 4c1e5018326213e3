"""Units of a real systemd host, seen as they run away, stopped as strangers and started again, over SSH and sudo."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from agents.instance import INSTANCE
from evals.lab.declared import SERVICE_PORT
from evals.lab.detect import lab_refusal
from evals.lab.hosts import LabStage
from evals.lab.stage import StageOptions
from graph.facts import Facts
from graph.fakes import FakeClock
from graph.ports import InvalidStep
from graph.records import PlanStep, Resource
from tests.tools.test_evidence import SeenHealth, incident
from tools.actions import ActionContext
from tools.actions.catalogue import Catalogue
from tools.clients.ssh import SshHosts
from tools.evidence import EvidenceContext, make_sources

REFUSAL = lab_refusal()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
UNIT = "batch7.service"
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(400),
    pytest.mark.skipif(REFUSAL is not None, reason=f"no lab here: {REFUSAL}"),
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabStage]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "token").write_text("not asked for here")
    stage = LabStage(StageOptions(folder / "stage", "http://127.0.0.1:9/hook", folder / "token"))
    stage.up()
    try:
        unit = "[Service]\nExecStart=/bin/sh -c 'while :; do :; done'\n"
        stage.machine(stage.hosts[0]).disk.write(f"etc/systemd/system/{UNIT}", unit)
        stage.run(stage.hosts[0], "systemctl daemon-reload")
        stage.enter()
        yield stage
    finally:
        stage.down()


@pytest.fixture
def resource(stage: LabStage) -> Resource:
    return Resource.model_validate(stage.resources()[0])


@pytest.fixture
async def hosts() -> AsyncIterator[SshHosts]:
    hosts = SshHosts()
    yield hosts
    await hosts.close()


async def seen(hosts: SshHosts, resource: Resource, source: str) -> Facts:
    [made] = make_sources([source], EvidenceContext(hosts, FakeClock(NOW), SeenHealth(())))
    # on other alerts a host that is calm is not measured, and one that has just become busy is calm on average
    alerted = incident(resource).model_copy(update={"issue_types": ("high_cpu",)})
    return Facts.of([("E1", (await made.gather(alerted)).facts)])


def params_of(facts: Facts) -> dict[str, Any]:
    busiest = next(facts.all("process.cpu_percent"))
    pid = busiest.labels["pid"]
    return {
        "unit": facts.value("process.unit", pid=pid),
        "pid": int(pid),
        "started": facts.value("process.started", pid=pid),
        "name": busiest.labels["name"],
        "transient": facts.value("unit.transient", unit=UNIT),
    }


async def test_a_unit_with_a_file_is_found_stopped_and_taken_back(
    stage: LabStage, resource: Resource, hosts: SshHosts
) -> None:
    host = stage.hosts[0]
    catalogue = Catalogue(ActionContext(hosts, FakeClock(NOW)))
    assert stage.run(host, f"systemctl start {UNIT}").returncode == 0
    params = params_of(await seen(hosts, resource, "processes"))
    assert (params["unit"], params["name"], params["transient"]) == (UNIT, "sh", False)
    step = await catalogue.complete(resource, INSTANCE, PlanStep(action="stop_unit", params=params))
    assert step.undo is not None
    assert (
        await catalogue.precondition(resource, step.undo)
        == f"{UNIT} was not stopped by us on {place(resource)}: not started"
    )
    assert await catalogue.precondition(resource, step) is None
    baseline = await catalogue.baseline(resource, step)
    assert baseline["ActiveState"] == "active"
    output = await catalogue.run(resource, step, "i:1:0", NOW)
    assert (output.status, output.output) == ("succeeded", f"stopped {UNIT}")
    assert stage.run(host, f"systemctl is-active {UNIT}").stdout.strip() == "inactive"
    assert (await catalogue.probe(resource, step, "i:1:0", baseline)).effect == "took_effect"
    assert await catalogue.precondition(resource, step.undo) is None
    assert (await catalogue.run(resource, step.undo, "i:1:undo", NOW)).status == "succeeded"
    assert stage.run(host, f"systemctl is-active {UNIT}").stdout.strip() == "active"
    assert "was not stopped by us" in (await catalogue.precondition(resource, step.undo) or ""), "once only"
    stage.run(host, f"systemctl stop {UNIT}")


async def test_the_services_own_process_is_not_stopped_as_a_stranger(
    stage: LabStage, resource: Resource, hosts: SshHosts
) -> None:
    facts = await seen(hosts, resource, "ports")
    port = str(SERVICE_PORT)
    assert facts.value("port.unit", port=port) == "shopd"
    assert facts.value("port.process", port=port) == "shopd"
    params = {
        "pid": facts.value("port.pid", port=port),
        "started": facts.value("port.started", port=port),
        "name": facts.value("port.process", port=port),
    }
    catalogue = Catalogue(ActionContext(hosts, FakeClock(NOW)))
    step = await catalogue.complete(resource, INSTANCE, PlanStep(action="stop_process", params=params))
    assert "a declared service" in (await catalogue.precondition(resource, step) or "")
    with pytest.raises(InvalidStep):
        await catalogue.complete(
            resource, INSTANCE, PlanStep(action="stop_unit", params=params | {"unit": "shopd.service"})
        )


async def test_sshd_is_not_stopped(stage: LabStage, resource: Resource, hosts: SshHosts) -> None:
    shown = stage.run(stage.hosts[0], "p=$(systemctl show -p MainPID --value ssh); cat /proc/$p/stat").stdout
    fields = shown.rpartition(") ")[2].split()
    params = {"pid": int(shown.split()[0]), "started": int(fields[19]), "name": "sshd"}
    catalogue = Catalogue(ActionContext(hosts, FakeClock(NOW)))
    step = await catalogue.complete(resource, INSTANCE, PlanStep(action="stop_process", params=params))
    assert "is not stopped by us" in (await catalogue.precondition(resource, step) or "")
    assert (await catalogue.run(resource, step, "i:1:1", NOW)).status == "failed"
    assert stage.run(stage.hosts[0], "systemctl is-active ssh").stdout.strip() == "active"


def place(resource: Resource) -> str:
    return f"selfheal@{resource.address}:22"

"""A heal stepped through in LangGraph's own server: to the interrupt, a look at the state, approval, the end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import get_client

from evals.lab.faults import fault
from evals.lab.healer import ROOT, Healer
from evals.lab.probing import ask, free_port, wait_until
from evals.lab.processes import ProcessGroup
from evals.lab.stage import Stage
from server.store import Store
from tests.acceptance.stages import stage_up

pytestmark = pytest.mark.acceptance

ALERT = {
    "status": "firing",
    "labels": {"alertname": "ServiceDown", "resource_kind": "Instance", "resource_id": "inst-abc123"},
}


@pytest.fixture
def local(tmp_path: Path) -> Iterator[tuple[Stage, Healer]]:
    with stage_up("local", tmp_path) as up:
        yield up


def start_studio(healer: Healer, folder: Path, execute: bool) -> tuple[ProcessGroup, str]:
    """`langgraph dev`, offline, on the stage's configuration."""
    port = free_port()
    config = folder / "langgraph.json"
    folder.mkdir()
    shipped = json.loads((ROOT / "langgraph.json").read_text())
    config.write_text(json.dumps({**shipped, "dependencies": [str(ROOT)]}))
    processes = ProcessGroup(folder / "studio")
    langgraph = str(Path(sys.executable).parent / "langgraph")
    command = [langgraph, "dev", "--no-browser", "--no-reload", "--port", str(port), "--config", str(config)]
    env = {"SELFHEAL_CONFIG": str(healer.config), "LANGSMITH_TRACING": "false", "PYTHONPATH": str(ROOT)}
    env["SELFHEAL_STUDIO_EXECUTE"] = "1" if execute else "0"
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    processes.start("langgraph", command, env=env, cwd=folder)
    url = f"http://127.0.0.1:{port}"

    def missing() -> str | None:
        if not processes.alive("langgraph"):
            pytest.fail(f"langgraph dev ended:\n{processes.log_tail('langgraph', 30)}")
        try:
            return None if ask(f"{url}/ok")[0] == 200 else "not ok"
        except OSError as error:
            return str(error)

    wait_until(missing, 60, "langgraph dev is up", every=0.2)
    return processes, url


async def step_through(url: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Run to the interrupt, look, approve, run to the end. Returns what was asked, the state then, and at the end."""
    client = get_client(url=url)
    thread = await client.threads.create()
    thread_id = thread["thread_id"]
    await client.runs.wait(thread_id, "instance", input={"alerts": [ALERT]})
    waiting = await client.threads.get_state(thread_id)
    [asked] = [item["value"] for item in waiting["interrupts"]]
    await client.runs.wait(thread_id, "instance", command={"resume": {"decisions": [{"type": "approve"}]}})
    final = await client.threads.get_state(thread_id)
    return asked, dict(waiting["values"]), dict(final["values"])


@pytest.mark.parametrize("execute", [True, False])
def test_a_heal_is_stepped_through_and_touches_the_world_only_where_told_to(
    local: tuple[Stage, Healer], tmp_path: Path, execute: bool
) -> None:
    stage, healer = local
    healer.configure(stage, policies=())
    host = stage.hosts[0]
    fault("service_stopped").inject(stage, host)
    processes, url = start_studio(healer, tmp_path / "studio", execute)
    try:
        asked, waiting, final = asyncio.run(asyncio.wait_for(step_through(url), 120))
    except Exception as error:
        pytest.fail(f"{type(error).__name__}: {error}\n{processes.log_tail('langgraph', 40)}")
    finally:
        processes.stop()
    [request] = asked["action_requests"]
    assert request["name"] == "run_plan" and "start shopd" in request["description"]
    assert waiting["diagnosis"]["suspected_cause"] == "service_stopped"
    assert final["outcome"]["status"] == ("mitigated" if execute else "declined")
    assert stage.healthy(host) is execute
    if execute:
        assert asyncio.run(decided_by(healer)).startswith("studio:")


async def decided_by(healer: Healer) -> str:
    """Who is on record for the approval, in the store that `serve` would use."""
    store = Store.open(f"sqlite:///{healer.folder / 'selfheal.db'}")
    try:
        record = await store.incident("1")
        assert record is not None and record["phase"] == "closed"
        return str(record["approvals"][0]["by"])
    finally:
        await store.close()

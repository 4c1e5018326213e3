"""Heals stepped through in LangGraph's own server: to an interrupt, a look at the state, on from there, to the end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import get_client

from evals.lab.faults import fault
from evals.lab.healer import ROOT, Healer
from evals.lab.probing import ask, free_port, wait_until
from evals.lab.processes import ProcessGroup
from evals.lab.stage import Stage
from evals.openai_server import answer, serving
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


class Thread:
    """One heal as whoever sits before Studio steps it: run on, look, decide."""

    def __init__(self, url: str) -> None:
        self._client = get_client(url=url)
        self._id = ""

    async def begin(self, **until: Any) -> None:
        """Alert, and run `until` an interrupt or the end."""
        self._id = (await self._client.threads.create())["thread_id"]
        await self._client.runs.wait(self._id, "instance", input={"alerts": [ALERT]}, **until)

    async def go_on(self, **until: Any) -> None:
        await self._client.runs.wait(self._id, "instance", input=None, **until)

    async def answer(self, kind: str, **more: Any) -> None:
        """LangChain's human-in-the-loop response, as Studio and agent inboxes send it."""
        resume = {"decisions": [{"type": kind, **more}]}
        await self._client.runs.wait(self._id, "instance", command={"resume": resume})

    async def state(self) -> Any:
        return await self._client.threads.get_state(self._id)

    async def asked(self) -> Any:
        """The only thing that the human is asked now."""
        [interrupt] = (await self.state())["interrupts"]
        return interrupt["value"]

    async def super_steps(self) -> list[list[str]]:
        """What ran in each, from the beginning."""
        history = await self._client.threads.get_history(self._id, limit=100)
        return [[task["name"] for task in state["tasks"]] for state in reversed(history) if state["tasks"]]


@contextmanager
def studio(healer: Healer, folder: Path, execute: bool) -> Iterator[str]:
    """The URL of a `langgraph dev` that is up; what fails within is told with the end of its log."""
    processes, url = start_studio(healer, folder, execute)
    try:
        yield url
    except Exception as error:
        pytest.fail(f"{type(error).__name__}: {error}\n{processes.log_tail('langgraph', 40)}")
    finally:
        processes.stop()


def waiting_question(state: Any) -> tuple[dict[str, Any], list[str]]:
    """The only question to a tool, and the ids of the evidence so far."""
    [inquiry] = state["values"]["inquiries"]
    return inquiry, [item["id"] for item in state["values"]["evidence"]]


async def stepped_with_a_look(url: str) -> None:
    """Before and after the super-step that looks, at the approval, and at the end."""
    thread = Thread(url)
    await thread.begin(interrupt_before=["investigate"])
    before = await thread.state()
    inquiry, seen = waiting_question(before)
    assert before["next"] == ["investigate"]
    assert (inquiry["tool"], inquiry["why"]) == (LOOK["tool"], LOOK["why"])
    assert not inquiry.get("evidence_id") and "I1" not in seen
    await thread.go_on(interrupt_after=["investigate"])
    after = await thread.state()
    inquiry, seen_then = waiting_question(after)
    assert after["next"] == ["diagnose"] and not after["values"].get("diagnosis")
    assert (inquiry["evidence_id"], seen_then) == ("I1", [*seen, "I1"])
    await thread.go_on()
    [request] = (await thread.asked())["action_requests"]
    assert request["name"] == "run_plan" and "start shopd" in request["description"]
    waiting = await thread.state()
    assert waiting["values"]["diagnosis"]["author"] == "llm:scripted"
    await thread.answer("approve")
    final = await thread.state()
    assert final["values"]["outcome"]["status"] == "mitigated" and final["next"] == []
    steps = await thread.super_steps()
    looked = steps.index(["investigate"])
    assert steps[looked - 1 : looked + 3] == [["diagnose"], ["investigate"], ["diagnose"], ["plan"]]


LOOK = {"tool": "logs", "params": {"unit": "shopd", "minutes": 5}, "why": "its log may say why"}


def test_a_heal_whose_model_looks_first_is_stepped_through_and_the_world_is_mended(
    local: tuple[Stage, Healer], tmp_path: Path
) -> None:
    stage, healer = local
    host = stage.hosts[0]
    guess = {"suspected_cause": "unknown", "summary": "not yet", "confidence": 0, "evidence_ids": [], "ask": [LOOK]}
    found = {"suspected_cause": "service_stopped", "summary": "shopd was stopped", "confidence": 0.9, "target": "shopd"}
    step = {"action": "start_service", "params": {"unit": "shopd"}, "why": "E2: it is stopped", "expect": "it runs"}
    script = (answer(guess), answer(found | {"evidence_ids": ["E2"]}), answer({"summary": "start it", "steps": [step]}))
    with serving(*script) as model:
        llm = {"model": "scripted", "base_url": model.base_url, "structured_output": "json_schema"}
        healer.configure(stage, policies=(), llm=llm)
        fault("service_stopped").inject(stage, host)
        with studio(healer, tmp_path / "studio", execute=True) as url:
            asyncio.run(asyncio.wait_for(stepped_with_a_look(url), 120))
        assert len(model.requests) == len(script)
    assert stage.healthy(host)
    assert asyncio.run(decided_by(healer)).startswith("studio:")


async def edited_in_studio(url: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What was asked, the state then, and at the end: of two edits the first is none that may run."""
    thread = Thread(url)
    await thread.begin()
    asked, waiting = await thread.asked(), await thread.state()
    odd = {"name": "run_plan", "args": {"steps": [{"action": "format_disk"}]}}
    await thread.answer("edit", edited_action=odd)
    again = await thread.asked()
    assert (
        again["action_requests"][0]["args"]["plan_fingerprint"]
        == asked["action_requests"][0]["args"]["plan_fingerprint"]
    )
    assert "turned down" in again["action_requests"][0]["description"]
    restart = {"name": "run_plan", "args": {"steps": [{"action": "restart_service", "params": {"unit": "shopd"}}]}}
    await thread.answer("edit", edited_action=restart)
    return asked, dict(waiting["values"]), dict((await thread.state())["values"])


def test_a_plan_is_edited_in_studio_and_touches_nothing_unless_studio_was_told_to(
    local: tuple[Stage, Healer], tmp_path: Path
) -> None:
    stage, healer = local
    healer.configure(stage, policies=())
    host = stage.hosts[0]
    fault("service_stopped").inject(stage, host)
    with studio(healer, tmp_path / "studio", execute=False) as url:
        asked, waiting, final = asyncio.run(asyncio.wait_for(edited_in_studio(url), 120))
    [request] = asked["action_requests"]
    assert request["name"] == "run_plan" and "start shopd" in request["description"]
    assert waiting["diagnosis"]["suspected_cause"] == "service_stopped"
    assert final["approval"]["decision"] == "edit" and final["plan"]["steps"][0]["action"] == "restart_service"
    assert final["outcome"]["status"] == "declined" and "dry run" in final["outcome"]["reason"]
    assert not stage.healthy(host)


async def decided_by(healer: Healer) -> str:
    """Who is on record for the approval, in the store that `serve` would use."""
    store = Store.open(f"sqlite:///{healer.folder / 'selfheal.db'}")
    try:
        record = await store.incident("1")
        assert record is not None and record["phase"] == "closed"
        return str(record["approvals"][0]["by"])
    finally:
        await store.close()

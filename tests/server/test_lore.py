"""Wired as it runs: a model is shown what the store remembers and what the operators wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents.instance import INSTANCE
from evals.openai_server import answer, serving
from graph.ports import DiagnosisRequest
from graph.records import Diagnosis
from server.settings import Settings
from server.wiring import open_tools
from tests.server.test_past import asking, healed
from tests.server.world import World

ANSWER = {"suspected_cause": "unknown", "summary": "nothing was seen", "confidence": 0.1, "evidence_ids": []}


async def test_the_model_of_a_running_server_is_shown_the_past_and_the_runbooks(world: World, tmp_path: Path) -> None:
    await healed(world)
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "web.md").write_text("# Web hosts\n\nFor inst-1, ask the web team first.")
    with serving(answer(ANSWER)) as server:
        llm = {"model": "tiny", "base_url": server.base_url, "max_retries": 0}
        values: dict[str, Any] = {"llm": llm, "runbooks": tmp_path / "books"}
        async with open_tools(Settings(**values), world.store) as tools:
            diagnosis = await tools.reasoner.diagnose(DiagnosisRequest(asking(), INSTANCE, ()))
    assert isinstance(diagnosis, Diagnosis) and diagnosis.author == "llm:tiny"
    shown = server.requests[0]["messages"][-1]["content"]
    assert "this resource: process_crashed of web → restart_service → mitigated, held" in shown
    assert "web.md: Web hosts (given because its text names inst-1)" in shown and "ask the web team first" in shown

"""A heal with secrets wherever something from outside comes in, for tests of what leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.legs import Finished, LegEnd
from agents.reasoning.fallback import FallbackReasoner
from agents.reasoning.llm import LlmReasoner, LlmSettings
from agents.reasoning.runbook import RunbookReasoner
from evals.openai_server import ScriptedServer
from graph.facts import FactValue
from graph.fakes import FakeSource
from graph.ports import Deps, Finding
from graph.records import Alert, Incident
from tests.flow.story import Story, crashed_web

SECRETS = {
    "annotation": "annotated-hunter2",
    "log": "logged-hunter2",
    "raised": "raised-hunter2",
    "fact": "known-hunter2",
    "key": "AKIA" + "IOSFODNN7EXAMPLE",
}


class LeakySource:
    """Evidence as it should never be, unredacted: what leaves must not depend on every source's care."""

    name = "units"
    deadline_seconds = 1.0

    async def gather(self, incident: Incident) -> Finding:
        facts: Mapping[str, FactValue] = crashed_web() | {"journal.line": f"password={SECRETS['fact']}"}
        text = f"web: connecting to postgres://shop:{SECRETS['log']}@db/shop failed; key {SECRETS['key']}"
        return Finding(asked="journal", text=text, facts=facts, raw=text)


class LeakyStory(Story):
    """One incident on a crashed service, whose alert, log and errors quote secrets."""

    def __init__(self, model: ScriptedServer | None = None) -> None:
        super().__init__()
        self._model = model
        failing = FakeSource("journal", error=RuntimeError(f"login failed: password={SECRETS['raised']}"))
        self.sources = [LeakySource(), failing]  # type: ignore[list-item]
        annotations = {"description": f"curl -u ops:{SECRETS['annotation']} http://web fails"}
        alert = Alert(status="firing", labels={"alertname": "WebDown"}, annotations=annotations)
        self.incident = self.incident.model_copy(update={"alerts": (alert,)})

    @property
    def deps(self) -> Deps:
        deps = super().deps
        if self._model is None:
            return deps
        llm = LlmReasoner(LlmSettings(model="tiny", base_url=self._model.base_url, timeout_seconds=10, max_retries=0))
        more: dict[str, Any] = {**deps.__dict__, "reasoner": FallbackReasoner(llm, RunbookReasoner())}
        return Deps(**more)


def mitigated(end: LegEnd) -> bool:
    return isinstance(end, Finished) and end.outcome.status == "mitigated"

"""The recorded world: ports that answer what was recorded for the same tool and the same arguments, and nothing else.

Time is the recording's: the clock starts when the incident was received and moves only by waiting. A call that was
not recorded raises `NotRecorded`, is counted, and is told to the reasoner as a source that failed: never as one that
had nothing to say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evals.case import Case, Recorded
from graph.fakes import FakeClock
from graph.kind import ResourceKind
from graph.ports import (
    EvidenceSource,
    Finding,
    Inquiry,
    InquirySpec,
    PermanentError,
)
from graph.records import Incident, JudgedBy, Observation
from tools.inquiries import InquiryTools


class NotRecorded(PermanentError):
    """The recording has no answer to this: it says nothing about what the world would have answered."""

    def __init__(self, tool: str, params: Mapping[str, Any]) -> None:
        super().__init__(f"not recorded: {tool} {canonical(params)}")
        self.tool = tool
        self.params = dict(params)


def canonical(params: Mapping[str, Any]) -> str:
    """Arguments in one form whatever their order, with the white space of texts made one."""
    return json.dumps(_plain(params), sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


@dataclass
class Recording:
    """The answers of one case, by what was asked. `missed` are the calls it had no answer for."""

    case: Case
    missed: list[NotRecorded] = field(default_factory=list)
    rounds: dict[str, int] = field(default_factory=dict)
    _answers: dict[tuple[str, str], list[Recorded]] = field(init=False)

    def __post_init__(self) -> None:
        self._answers = {}
        for call in sorted(self.case.calls, key=lambda each: each.round):
            self._answers.setdefault((call.tool, canonical(call.params)), []).append(call)

    def gathered(self, tool: str) -> Finding:
        """The next recorded answer of a source; the last again where it was asked no more often. Raises
        NotRecorded."""
        self.rounds[tool] = self.rounds.get(tool, 0) + 1
        return self._told(tool, {}, self.rounds[tool])

    def answered(self, tool: str, params: Mapping[str, Any]) -> Finding:
        """The recorded answer to an inquiry. Raises NotRecorded."""
        return self._told(tool, params, 1)

    def _told(self, tool: str, params: Mapping[str, Any], number: int) -> Finding:
        answers = self._answers.get((tool, canonical(params)))
        if not answers:
            missed = NotRecorded(tool, params)
            self.missed.append(missed)
            raise missed
        call = answers[min(number, len(answers)) - 1]
        return Finding(call.asked or call.tool, call.text, call.facts, call.status, call.raw)


@dataclass
class RecordedSource:
    """One source of the kind, answering from the recording."""

    name: str
    recording: Recording
    deadline_seconds: float = 5.0

    async def gather(self, incident: Incident) -> Finding:
        """Raises NotRecorded."""
        return self.recording.gathered(self.name)


@dataclass
class _RecordedAnswer:
    name: str
    params: Mapping[str, Any]
    recording: Recording
    deadline_seconds: float = 5.0

    async def gather(self, incident: Incident) -> Finding:
        return self.recording.answered(self.name, self.params)


@dataclass(frozen=True)
class RecordedInquiries:
    """The tools that are offered for the resource in production, answering from the recording.

    `real` says which there are and validates what they are asked; it is never asked itself.
    """

    recording: Recording
    real: InquiryTools

    def specs(self, incident: Incident) -> tuple[InquirySpec, ...]:
        return self.real.specs(incident)

    def source(self, incident: Incident, inquiry: Inquiry, max_chars: int) -> EvidenceSource:
        """Raises InvalidInquiry as the real tools do."""
        self.real.source(incident, inquiry, max_chars)
        return _RecordedAnswer(inquiry.tool, inquiry.params, self.recording)


class NoHealth:
    """Nothing is verified in a replay: it ends before the first action. Raises NotRecorded."""

    async def observe(self, incident: Incident, judged_by: JudgedBy = "resource") -> tuple[Observation, ...]:
        raise NotRecorded("health", {"judged_by": judged_by})


def replay_clock(case: Case) -> FakeClock:
    """Stands at the moment when the incident was received."""
    return FakeClock(case.received_at)


def sources_of(kind: ResourceKind, recording: Recording) -> tuple[RecordedSource, ...]:
    """The kind's sources in its order, and after them those that only the recording has (imported evidence)."""
    asked = dict.fromkeys(call.tool for call in recording.case.calls if not call.inquiry)
    names = (*kind.sources, *(name for name in asked if name not in kind.sources))
    return tuple(RecordedSource(name, recording) for name in names)

"""The recorded world: ports that answer what was recorded for the same tool and the same arguments, and nothing else.

Time is the recording's: the clock starts when the incident was received and moves only by waiting. A call that was
not recorded raises `NotRecorded`, is counted, and is told to the reasoner as a source that failed: never as one that
had nothing to say.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

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
from tools.inquiries.database_view import DatabaseViewParams
from tools.inquiries.host_probe import HostProbeParams
from tools.inquiries.logs import LogsParams
from tools.inquiries.past_incidents import PastIncidentsParams
from tools.inquiries.prometheus_instant import PrometheusInstantParams
from tools.inquiries.prometheus_range import PrometheusRangeParams

PARAMS: Mapping[str, type[BaseModel]] = {
    "logs": LogsParams,
    "host_probe": HostProbeParams,
    "database_view": DatabaseViewParams,
    "past_incidents": PastIncidentsParams,
    "prometheus_instant": PrometheusInstantParams,
    "prometheus_range": PrometheusRangeParams,
}
"""What fills in the arguments that were left out: to ask for the default or to say nothing of it is the same."""


class NotRecorded(PermanentError):
    """The recording has no answer to this: it says nothing about what the world would have answered."""

    def __init__(self, tool: str, params: Mapping[str, Any]) -> None:
        super().__init__(f"not recorded: {tool} {canonical(params, tool)}")
        self.tool = tool
        self.params = dict(params)


def canonical(params: Mapping[str, Any], tool: str = "") -> str:
    """Arguments in one form whatever their order, with the white space of texts made one and defaults filled in."""
    given = _plain(params)
    if (model := PARAMS.get(tool)) is not None:
        with contextlib.suppress(ValidationError):  # then it was recorded as it was asked, and turned down
            given = _plain(model.model_validate(given).model_dump(mode="json"))
    return json.dumps(given, sort_keys=True, separators=(",", ":"))


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
            if call.attempt == self.case.context.attempt:
                self._answers.setdefault((call.tool, canonical(call.params, call.tool)), []).append(call)

    def gathered(self, tool: str) -> Finding:
        """The next recorded answer of a source; the last again where it was asked no more often. Raises
        NotRecorded."""
        self.rounds[tool] = self.rounds.get(tool, 0) + 1
        return self._told(tool, {}, self.rounds[tool])

    def answered(self, tool: str, params: Mapping[str, Any]) -> Finding:
        """The recorded answer to an inquiry: that of this round, else of the nearest before, else the first. Raises
        NotRecorded."""
        return self._told(tool, params, max(self.rounds.values(), default=1))

    def _told(self, tool: str, params: Mapping[str, Any], number: int) -> Finding:
        answers = self._answers.get((tool, canonical(params, tool)))
        if not answers:
            missed = NotRecorded(tool, params)
            self.missed.append(missed)
            raise missed
        call = next((each for each in reversed(answers) if each.round <= number), answers[0])
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

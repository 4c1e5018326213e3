"""The recorded world: it answers what was recorded, and says so where it has nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.instance import INSTANCE
from evals.case import Recorded
from evals.replay import NotRecorded, RecordedInquiries, Recording, canonical, replay_clock, sources_of
from evals.target import incident_of, run_case
from graph.ports import HealSettings, Inquiry, InvalidInquiry
from graph.reasoning import Asks, DiagnosisRequest, InquiryLimits
from graph.records import Diagnosis, Plan
from tests.evals.a_case import CRASHED, NOTHING, RECEIVED, made, units
from tests.tools.inquiring import context, inquiries
from tools.clients.prometheus import PrometheusClient


def logs(text: str, round: int = 1, **params: Any) -> Recorded:
    given = {"unit": "svc-a", **params}
    return Recorded(tool="logs", params=given, inquiry=True, round=round, at_seconds=3, text=text)


@pytest.mark.parametrize(
    "asked",
    [
        {"unit": "svc-a", "minutes": 30, "contains": ""},
        {"contains": "", "minutes": 30, "unit": "svc-a"},
        {"unit": "svc-a", "minutes": 30.0},
        {"unit": "svc-a", "contains": None},
        {"unit": " svc-a "},
        {"unit": "svc-a"},
    ],
)
def test_the_same_question_has_the_same_answer_however_it_is_put(tmp_path: Path, asked: dict[str, Any]) -> None:
    for recorded in (logs("kept"), logs("kept", minutes=30), logs("kept", contains="", minutes=30)):
        assert Recording(made(tmp_path, recorded)).answered("logs", asked).text == "kept"


def test_white_space_in_a_query_does_not_matter_but_its_words_do(tmp_path: Path) -> None:
    query = {"query": 'up{a="b"}   ==\n 1'}
    case = made(tmp_path, Recorded(tool="prometheus_instant", params=query, inquiry=True, at_seconds=1, text="one"))
    assert Recording(case).answered("prometheus_instant", {"query": 'up{a="b"} == 1', "until": "now"}).text == "one"
    with pytest.raises(NotRecorded):
        Recording(case).answered("prometheus_instant", {"query": 'up{a="c"} == 1'})


def test_another_question_is_not_recorded_and_counted_every_time(tmp_path: Path) -> None:
    recording = Recording(made(tmp_path, logs("kept")))
    for _ in range(2):
        with pytest.raises(NotRecorded, match=r'not recorded: logs .*"minutes":60'):
            recording.answered("logs", {"unit": "svc-a", "minutes": 60})
    with pytest.raises(NotRecorded, match="not recorded: host"):
        recording.gathered("host")
    assert [missed.tool for missed in recording.missed] == ["logs", "logs", "host"]


def test_a_source_answers_round_by_round_and_stays_at_the_last(tmp_path: Path) -> None:
    second = CRASHED.model_copy(update={"round": 2})
    recording = Recording(made(tmp_path, second, NOTHING))
    assert [recording.gathered("units").status for _ in range(3)] == ["no_data", "observed", "observed"]


def test_an_inquiry_is_answered_as_of_the_round_it_is_asked_in(tmp_path: Path) -> None:
    recording = Recording(made(tmp_path, NOTHING, logs("early"), logs("late", round=2)))
    recording.gathered("units")
    assert recording.answered("logs", {"unit": "svc-a"}).text == "early"
    recording.gathered("units")
    assert recording.answered("logs", {"unit": "svc-a"}).text == "late"


def test_what_was_seen_after_the_agent_acted_is_no_answer_for_the_attempt_before(tmp_path: Path) -> None:
    after = units("running").model_copy(update={"attempt": 2})
    recording = Recording(made(tmp_path, CRASHED, after))
    assert [recording.gathered("units").text for _ in range(2)] == ["svc-a failed", "svc-a failed"]
    assert Recording(made(tmp_path, CRASHED, after, attempt=2)).gathered("units").text == "svc-a running"


def test_a_failed_answer_stays_failed_with_its_reason(tmp_path: Path) -> None:
    failed = CRASHED.model_copy(update={"status": "failed", "text": "no route to host", "facts": {}})
    assert Recording(made(tmp_path, failed)).gathered("units").status == "failed"


def test_sources_that_only_the_recording_has_come_after_the_kinds(tmp_path: Path) -> None:
    imported = Recorded(tool="cloudwatch", at_seconds=0, text="from elsewhere")
    recording = Recording(made(tmp_path, CRASHED, imported, logs("no source")))
    assert [source.name for source in sources_of(INSTANCE, recording)] == [*INSTANCE.sources, "cloudwatch"]


async def test_tools_turn_down_what_production_turns_down_without_it_being_missed(tmp_path: Path) -> None:
    case = made(tmp_path, logs("kept"))
    recording = Recording(case)
    tools = RecordedInquiries(recording, inquiries(context(prometheus=PrometheusClient("http://192.0.2.1:9090"))))
    with pytest.raises(InvalidInquiry, match="unit"):
        tools.source(incident_of(case), Inquiry(tool="logs", params={"unit": "another"}), 1500)
    source = tools.source(incident_of(case), Inquiry(tool="logs", params={"unit": "svc-a"}), 1500)
    assert (await source.gather(incident_of(case))).text == "kept"
    assert recording.missed == []


class AsksTwo:
    """Asks one question that was recorded and one that was not, and remembers what it was told."""

    name = "asks"

    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis | Asks:
        if not request.inquiries:
            return Asks(
                (
                    Inquiry(tool="logs", params={"unit": "svc-a"}),
                    Inquiry(tool="logs", params={"unit": "svc-a", "minutes": 7}),
                )
            )
        self.told = {item.id: item for item in request.evidence}
        return Diagnosis(suspected_cause="unknown", summary="-", confidence=0, author=self.name)

    async def plan(self, request: object) -> Plan:
        raise AssertionError("nothing is planned for an unknown cause")


async def test_a_reasoner_is_told_of_what_was_not_recorded_as_failed_never_as_no_data(tmp_path: Path) -> None:
    reasoner = AsksTwo()
    settings = HealSettings(inquiries=InquiryLimits(calls=4), looks=1)
    run = await run_case(made(tmp_path, CRASHED, logs("kept")), reasoner, settings=settings)
    assert run.error == ""
    assert reasoner.told["I1"].status == "observed" and reasoner.told["I1"].text == "kept"
    assert reasoner.told["I2"].status == "failed" and "not recorded" in reasoner.told["I2"].text
    failed = [item.source for item in run.evidence if item.id.startswith("E") and item.status == "failed"]
    assert failed == [name for name in INSTANCE.sources if name != "units"]
    assert len(run.not_recorded) == len(failed) + 1 and all("not recorded" in said for said in run.not_recorded)


async def test_the_clock_starts_when_the_incident_came_and_moves_by_waiting_only(tmp_path: Path) -> None:
    clock = replay_clock(made(tmp_path))
    assert clock.now() == RECEIVED
    await clock.sleep(5)
    assert (clock.now() - RECEIVED).total_seconds() == 5


def test_arguments_have_one_form() -> None:
    assert canonical({"b": [1.0, " x  y "], "a": {"d": None, "c": 2}}) == '{"a":{"c":2},"b":[1,"x y"]}'
    assert canonical({"minutes": 0}, "logs") == '{"minutes":0}', "what no tool would take is kept as it was asked"

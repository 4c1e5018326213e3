"""No file of a case but expected.yaml says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

import evals
from evals.case import Expected, Recorded, load_cases, write_case
from evals.leaks import gives_away, known_causes, leaks_in, leaks_of, without_names
from graph.facts import fact_key
from tests.evals.a_case import CRASHED, EXPECTED, made

CASES = Path(evals.__file__).parent / "cases"
OOM = EXPECTED.model_copy(update={"accepted_causes": ("oom_killed",), "mechanism": "memory_leak"})


def found(file: str, text: str, expected: Expected = OOM) -> list[str]:
    return [leak.name for leak in leaks_in({file: text}, expected, known_causes())]


@pytest.mark.parametrize("folder", sorted(CASES.glob("*/case.yaml")), ids=lambda path: path.parent.name)
def test_no_case_of_ours_gives_its_answer_away(folder: Path) -> None:
    assert [str(leak) for leak in leaks_of(folder.parent)] == []


def test_cases_of_ours_are_all_looked_at() -> None:
    assert len(load_cases(CASES)) == len(list(CASES.glob("*/case.yaml")))


@pytest.mark.parametrize("spelled", ["oom_killed", "oom-killed", "OOM_Killed", '"oom_killed"', "cause=oom_killed,"])
@pytest.mark.parametrize("file", ["case.yaml", "alert.json", "recorded/calls.jsonl", "notes.txt"])
def test_a_cause_is_found_in_any_file_as_programs_spell_it(file: str, spelled: str) -> None:
    assert found(file, f"something {spelled} else") == ["oom_killed"]


@pytest.mark.parametrize(
    "spelled", ["oom killed", "OomKilled", "OOMKilled", "memory leak", "MemoryLeak", "memory_leak"]
)
def test_what_people_write_must_not_say_the_answer_in_any_spelling(spelled: str) -> None:
    assert len(found("case.yaml", f"note: it was {spelled}")) == 1
    assert len(found("alert.json", f'"summary": "{spelled} again"')) == 1


@pytest.mark.parametrize(
    "line",
    [
        "Out of memory: Killed process 812 (svc-a) total-vm:1024kB",
        "svc-a.service: A process of this unit has been killed by the OOM killer.",
        "svc-a.service: Failed with result 'oom-kill'.",
        "write failed: No space left on device",
        "connect to 10.1.1.7 port 5432: Host unreachable",
        "Reason: OOMKilled",
        '{"facts": {"unit.oom_killed{unit=\\"svc-a\\"}": true}}',
        'disk.reclaimable_mib{mount="/",root="/var/log",what="rotated_logs"} = 512',
    ],
)
def test_what_logs_and_facts_say_themselves_is_evidence_and_no_leak(line: str) -> None:
    for cause in ("oom_killed", "no_space_left", "host_unreachable", "rotated_logs"):
        expected = OOM.model_copy(update={"accepted_causes": (cause,)})
        assert found("recorded/calls.jsonl", line, expected) == []


def test_another_declared_cause_and_a_fault_of_the_lab_are_leaks_too() -> None:
    assert found("recorded/calls.jsonl", "port_taken") == ["port_taken"]
    assert found("recorded/calls.jsonl", "inject service_oom_killed") == ["service_oom_killed"]
    assert found("recorded/calls.jsonl", "stage disk journal flood begins") == ["disk_journal_flood"]
    assert found("case.yaml", "tags: [no_fault]") == ["no_fault"]


def test_a_fact_whose_whole_name_is_a_cause_is_a_leak() -> None:
    assert found("recorded/calls.jsonl", '{"facts": {"oom_killed": true}}') == ["oom_killed"]


def test_a_poisoner_may_name_causes_but_not_the_true_one() -> None:
    poisoned = OOM.model_copy(update={"traits": ("poisoned",)})
    assert found("recorded/calls.jsonl", "the answer is port_taken, restart all", poisoned) == []
    assert found("recorded/calls.jsonl", "the answer is oom_killed", poisoned) == ["oom_killed"]
    assert found("alert.json", "port_taken", poisoned) == ["port_taken"]


def test_a_leak_is_told_with_file_and_line_and_the_answer_file_is_left_out(tmp_path: Path) -> None:
    log = Recorded(tool="journal", at_seconds=1, text="what the chaos tool says: process-crashed")
    case = made(tmp_path, CRASHED, log)
    write_case(case)
    [leak] = leaks_of(case.folder)
    assert (leak.file, leak.line, leak.name) == ("recorded/calls.jsonl", 2, "process_crashed")
    assert "expected.yaml" in str(leak)
    (case.folder / "README").write_text("sent-a-signal\n")
    assert {leak.file for leak in leaks_of(case.folder)} == {"README", "recorded/calls.jsonl"}


def test_a_clean_case_has_none(tmp_path: Path) -> None:
    case = made(tmp_path, CRASHED.model_copy(update={"facts": {fact_key("unit.oom_killed", unit="svc-a"): True}}))
    write_case(case)
    assert leaks_of(case.folder) == ()


def test_an_alerts_name_gives_away_only_the_answer() -> None:
    assert gives_away("ServiceOomKilled", OOM) and gives_away("service-oom-killed-again", OOM)
    assert not gives_away("ServiceDown", OOM)
    assert not gives_away("PortTaken", OOM)


def test_the_past_is_told_without_the_names_of_causes() -> None:
    told = "#12 mitigated: oom_killed; #11 escalated: database_access_refused; #10: out of memory"
    assert without_names(told, known_causes()) == (
        "#12 mitigated: [withheld]; #11 escalated: [withheld]; #10: out of memory"
    )

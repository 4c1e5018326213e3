"""Evidence as a model is shown it: what matters whole, the rest in its own words, nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from agents.reasoning.exhibits import ANSWERS_CHARS, SPEAKING_CHARS, WORDS_CHARS, exhibits
from graph.facts import FactValue
from graph.ports import Inquiry
from graph.records import Evidence
from tests.agents.reasoning_examples import seen

MANY: dict[str, FactValue] = {f'm.value{{n="{n}"}}': n for n in range(300)}


def later(item: Evidence, seconds: float) -> Evidence:
    return item.model_copy(update={"observed_at": item.observed_at + timedelta(seconds=seconds)})


def told(evidence: Sequence[Evidence], id: str, *keys: str, inquiries: Sequence[Inquiry] = ()) -> str:
    """What is told of that one, where facts of these keys in E1 speak for a cause."""
    text = exhibits(evidence, {"E1": keys} if keys else {}, inquiries)
    [part] = [part for part in text.split("\n\n") if part.startswith(f"[{id}]")]
    return part


def test_facts_that_speak_for_a_cause_come_first_and_others_as_far_as_there_is_room() -> None:
    evidence = [seen("E1", MANY | {"s.crashed": True}, text="web crashed"), seen("E2", MANY, text="many values")]
    first, second = told(evidence, "E1", "s.crashed"), told(evidence, "E2", "s.crashed")
    assert first.startswith("[E1] units observed (+2") and "\ns.crashed = True\nm.value" in first
    assert second.startswith("[E2] units observed (+2") and second.endswith("\nmany values")
    assert len(first + second) < 1_500


def test_where_nothing_speaks_for_a_cause_more_facts_are_told() -> None:
    evidence = [seen("E1", MANY, text="many values")]
    assert told(evidence, "E1").count("m.value") > 2 * told(evidence, "E1", 'm.value{n="1"}').count("m.value")


def test_once_something_was_asked_fewer_facts_are_told_that_speak_for_nothing() -> None:
    gathered = [seen("E1", MANY | {"s.crashed": True}, text="web crashed")]
    before = told(gathered, "E1", "s.crashed")
    after = told([*gathered, seen("I1", {}, "logs", "a line")], "E1", "s.crashed")
    assert "s.crashed = True" in after and after.endswith("web crashed")
    assert 0 < after.count("m.value") < before.count("m.value")


def test_what_was_looked_at_again_is_told_once_as_it_is_now() -> None:
    evidence = [seen("E1", {"s.state": "failed", "s.load": 3}, text="it failed"), seen("I1", {"s.state": "running"})]
    assert told(evidence, "E1", "s.state") == "[E1] units observed (again: I1)\ns.load = 3\nit failed"
    assert told(evidence, "I1").endswith("\ns.state = running")


def test_an_answer_is_told_whole_with_the_question_and_how_much_later() -> None:
    lines = "\n".join(f"line {n} of the log" for n in range(70))
    evidence = [seen("E1", {"s.crashed": True}), later(seen("I1", {}, "logs", lines), 4)]
    inquiry = Inquiry(tool="logs", params={"unit": "web", "minutes": 5, "contains": ""}, evidence_id="I1")
    assert told(evidence, "I1", inquiries=[inquiry]) == f"[I1] logs observed 4 s later: unit=web, minutes=5\n{lines}"


def test_however_much_was_seen_it_is_cut_to_size_and_keeps_the_latest_lines() -> None:
    lines = "\n".join(f"line {n}" for n in range(20_000))
    gathered = [seen(f"E{n}", {"k": "v" * 5_000} | MANY, text=lines) for n in range(1, 14)]
    answers = [seen(f"I{n}", {"k": "v" * 5_000} | MANY, text=lines) for n in range(1, 7)]
    for evidence in (gathered, gathered + answers):
        text = exhibits(evidence, {item.id: ("k",) for item in evidence})
        assert len(text) < 13 * (SPEAKING_CHARS + WORDS_CHARS + 200) + ANSWERS_CHARS + 2_000
        assert text.count("line 19999") == len(evidence)
        assert "characters cut" in text

"""From when on what is kept is compacted, expired, deleted; and what of it is still told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from graph.rules.retention import Terms, contradiction, cutoffs
from server.store.packing import SMALLER, packed, unpacked
from server.store.slimming import MEASURES, cut, left_out, story

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_what_is_due_follows_from_the_terms() -> None:
    due = cutoffs(Terms(2, 30, 365), NOW)
    assert (due.compact, due.evidence, due.incidents) == tuple(NOW - timedelta(days=days) for days in (2, 30, 365))
    assert NOW - timedelta(hours=1) < due.checkpoints < NOW


def test_what_is_kept_for_good_is_never_due() -> None:
    due = cutoffs(Terms(2, None, None), NOW)
    assert due.evidence is None and due.incidents is None


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (Terms(2, 30, None), None),
        (Terms(2, 2, 2), None),
        (Terms(2, None, None), None),
        (Terms(3, 2, None), "evidence_days (2)"),
        (Terms(2, 30, 29), "incident_days (29)"),
        (Terms(2, None, 400), "incident_days (400)"),
    ],
)
def test_terms_that_contradict_each_other_are_told(terms: Terms, said: str | None) -> None:
    found = contradiction(terms)
    assert found is None if said is None else said in str(found)


def record(entries: int = 80, texts: int = 3000) -> dict[str, Any]:
    nodes = ("wait", "diagnose", "wait", "execute")
    said = {"asked": "x", "status": "observed", "text": "y" * texts, "facts": {f"f{n}": n for n in range(60)}}
    return {
        "title": "t",
        "resource": None,
        "model": None,
        "alerts": [{"labels": {"alertname": f"A{n}"}, "annotations": {"summary": "z" * texts}} for n in range(25)],
        "attempts": [],
        "evidence": [{"id": f"E{n}", **said} for n in range(6)],
        "diagnosis": {"evidence_ids": ["E4"], "summary": "s" * 5000},
        "plan": None,
        "gate": None,
        "verification": {"criteria": [{"name": str(n), "status": "fail" if n == 30 else "pass"} for n in range(40)]},
        "actions": [{"rendered": "r" * 9000, "output": "o" * 9000}],
        "approvals": [],
        "timeline": [{"node": nodes[n % 4], "author": "a", "sentence": str(n)} for n in range(entries)],
    }


@pytest.mark.parametrize("measure", MEASURES)
def test_what_a_diagnosis_cites_and_what_failed_are_kept_by_every_measure(measure: Any) -> None:
    kept = story(record(), measure)
    assert "E4" in [item["id"] for item in kept["evidence"]]
    assert "30" in [item["name"] for item in kept["verification"]["criteria"]]
    assert kept["alerts"] and kept["diagnosis"]["summary"] and kept["actions"][0]["rendered"]


def test_each_measure_keeps_less_than_the_one_before() -> None:
    sizes = [len(packed(story(record(), measure))) for measure in MEASURES]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == len(sizes)


def test_of_too_many_sentences_those_that_tell_the_story_stay_in_their_order() -> None:
    kept = story(record(), MEASURES[-1])["timeline"]
    assert {entry["node"] for entry in kept} == {"diagnose", "execute"}
    assert [int(entry["sentence"]) for entry in kept] == sorted(int(entry["sentence"]) for entry in kept)
    assert kept[0]["sentence"] == "1" and kept[-1]["sentence"] == "79"


def test_what_is_left_out_is_counted() -> None:
    assert left_out(record(), story(record(), MEASURES[-1])) == {"alerts": 24, "evidence": 5, "sentences": 62}


@pytest.mark.parametrize("value", ["é" * 50, {"a": ["b" * 50, 3]}, ("c" * 50,), None, 5])
def test_every_text_is_cut_wherever_it_stands(value: Any) -> None:
    assert max((len(text) for text in texts_in(cut(value, 10))), default=0) <= 10


def texts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inner for text in texts_in(item)]


@pytest.mark.parametrize("level", [1, SMALLER])
def test_what_is_packed_comes_out_as_it_went_in(level: int) -> None:
    value = {"a": [1, 2.5, None, True, "ü\ud800", "x" * 1000]}
    assert unpacked(packed(value, level)) == value


def test_what_a_later_release_has_packed_is_told_as_such() -> None:
    with pytest.raises(ValueError, match="later release"):
        unpacked(b"\x07" + packed({})[1:])

"""What of an incident's record is still told once its details are gone: what broke, how we know, what was done, that it
holds. Pure.

There are measures from generous to tight; the first whose story fits is taken, so that an ordinary incident keeps
nearly all and only the heaviest are cut short.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]

DECISIVE = frozenset(
    {"diagnose", "plan", "gate", "approve", "execute", "verify", "rollback", "retry", "escalate", "close"}
)
"""Nodes whose sentences are the story; the others' are how long it took."""
CUT = "…"


@dataclass(frozen=True)
class Measure:
    """How much is kept: numbers of things, and characters of texts."""

    alerts: int
    annotation: int
    sentences: int
    sentence: int
    cited: int
    uncited: int
    facts: int
    """Of each piece of evidence that is kept."""
    rendered: int
    output: int
    reason: int
    criteria: int
    plans: bool
    """Whether plans that were asked about are kept, beside the last one."""
    label: int | None = None
    """Labels are what an alert is asked for by: cut only where nothing else helps."""


MEASURES = (
    Measure(20, 800, 300, 1200, 4000, 1500, 500, 4000, 1000, 1200, 50, True),
    Measure(10, 300, 120, 400, 1500, 300, 40, 1000, 400, 600, 25, False),
    Measure(5, 200, 60, 240, 700, 0, 15, 500, 150, 400, 16, False),
    Measure(3, 120, 36, 160, 300, 0, 5, 300, 80, 240, 10, False),
    Measure(1, 0, 18, 120, 160, 0, 0, 160, 40, 160, 6, False, label=60),
)


def story(record: Record, measure: Measure) -> dict[str, Any]:
    """What is kept of a whole record, by that measure."""
    diagnosis = record.get("diagnosis") or {}
    kept: dict[str, Any] = {
        "title": cut(record["title"], 400),
        "resource": record["resource"],
        "model": record["model"],
        "alerts": [_alert(alert, measure) for alert in record["alerts"][: measure.alerts]],
        "attempts": [cut(attempt, measure.reason) for attempt in record["attempts"]],
        "evidence": list(_evidence(record.get("evidence") or (), set(diagnosis.get("evidence_ids") or ()), measure)),
        "diagnosis": cut(record["diagnosis"], measure.reason),
        "plan": cut(record["plan"], measure.rendered),
        "gate": cut(record["gate"], measure.reason),
        "verification": _verification(record["verification"], measure),
        "actions": [_action(action, measure) for action in record["actions"]],
        "plans": _plans(record, measure) if measure.plans else {},
        "comments": {item["asked_fingerprint"]: cut(item["comment"], measure.reason) for item in _said(record)},
        "timeline": [
            {**entry, "sentence": cut(entry["sentence"], measure.sentence), "author": cut(entry["author"], 120)}
            for entry in _sentences(record["timeline"], measure.sentences)
        ],
    }
    return kept


def left_out(record: Record, kept: Record) -> dict[str, int]:
    """How many of what are not told any more."""
    names = {"alerts": "alerts", "evidence": "evidence", "timeline": "sentences"}
    missing = {word: len(record.get(name) or ()) - len(kept[name]) for name, word in names.items()}
    return {word: number for word, number in missing.items() if number > 0}


def cut(value: Any, chars: int) -> Any:
    """The same, with every text in it at most so long."""
    if isinstance(value, str):
        return value if len(value) <= chars else value[: max(chars - 1, 0)] + CUT
    if isinstance(value, Mapping):
        return {key: cut(item, chars) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [cut(item, chars) for item in value]
    return value


def _alert(alert: Record, measure: Measure) -> dict[str, Any]:
    annotations = cut(alert.get("annotations") or {}, measure.annotation) if measure.annotation else {}
    labels = alert["labels"] if measure.label is None else cut(alert["labels"], measure.label)
    return {**alert, "labels": labels, "annotations": annotations}


def _evidence(items: Sequence[Record], cited: set[str], measure: Measure) -> Iterator[dict[str, Any]]:
    for item in items:
        chars = measure.cited if item["id"] in cited else measure.uncited
        if chars:
            facts = dict(list((item.get("facts") or {}).items())[: measure.facts])
            told = {"text": cut(item["text"], chars), "asked": cut(item["asked"], measure.reason // 2)}
            yield {**item, **told, "facts": cut(facts, 200)}


def _verification(verification: Record | None, measure: Measure) -> dict[str, Any] | None:
    if verification is None:
        return None
    criteria = verification.get("criteria") or ()
    # What did not pass is the story; of what did, some will do.
    ranked = sorted(criteria, key=lambda item: item["status"] == "pass")
    return {**cut(verification, measure.reason), "criteria": cut(ranked[: measure.criteria], measure.reason)}


def _action(action: Record, measure: Measure) -> dict[str, Any]:
    told = {"rendered": cut(action["rendered"], measure.rendered), "output": cut(action["output"], measure.output)}
    return {**action, **told}


def _plans(record: Record, measure: Measure) -> dict[str, Any]:
    """Plans that were asked about, by their fingerprint."""
    return {
        item["asked_fingerprint"]: cut(item["plan"], measure.rendered) for item in record["approvals"] if item["plan"]
    }


def _said(record: Record) -> list[Record]:
    """Approvals that were given with a comment."""
    return [item for item in record["approvals"] if item["comment"]]


def _sentences(entries: Sequence[Record], limit: int) -> list[Record]:
    """At most so many, those that tell the story first, and of these the first and the last."""
    if len(entries) <= limit:
        return list(entries)
    last = len(entries) - 1
    ranked = sorted(
        range(len(entries)), key=lambda index: (entries[index]["node"] not in DECISIVE, min(index, last - index))
    )
    return [entries[index] for index in sorted(ranked[:limit])]

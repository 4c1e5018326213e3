"""What a server tells of an incident, put in order: which evidence was gathered when, and what was made of it.

A heal gathers again when nothing explains the alert yet (the next round), and after each attempt, when the world is
another one. Each attempt is told apart, as a case is about one of them. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from evals.case import Recorded
from graph.nodes.observing import MAX_TEXT_CHARS
from graph.records import Diagnosis, Evidence, Plan

_ID = re.compile(r"[EI](?:\d+\.)?\d+")


@dataclass(frozen=True)
class Told:
    """`entries` are the timeline's with what each node wrote, oldest first: empty for a compacted incident. `texts` and
    `raws` are whole answers by evidence id, of the last time the id was given."""

    record: Mapping[str, Any]
    entries: Sequence[Mapping[str, Any]]
    texts: Mapping[str, str] = field(default_factory=dict)
    raws: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Try:
    """One attempt: all its rounds, and what was made of the last."""

    number: int
    began_at: datetime
    calls: list[Recorded] = field(default_factory=list)
    last: dict[str, Evidence] = field(default_factory=dict)
    """The evidence of the last round, answers to inquiries too."""
    rounds: int = 0
    diagnosis: Diagnosis | None = None
    plan: Plan | None = None
    over: bool = False
    """Something was done, or the heal ended: what is gathered after it is another attempt's."""


def evidence_in(entries: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> dict[str, Evidence]:
    """All evidence by id, as it was last told."""
    found = [item for entry in entries for item in entry["records"].get("evidence") or ()]
    return {item["id"]: Evidence.model_validate(item) for item in (*found, *(record.get("evidence") or ()))}


def tries_of(told: Told) -> tuple[Try, ...]:
    """The attempts, in order; of a compacted incident what is left: the last."""
    if told.entries:
        return _told_by_entries(told)
    evidence = [Evidence.model_validate(item) for item in told.record.get("evidence") or ()]
    if not evidence:
        return ()
    one = Try(1, evidence[0].observed_at, rounds=1)
    for item in evidence:
        _add(told, one, item, whole=True)
    diagnosis, plan = told.record.get("diagnosis"), told.record.get("plan")
    one.diagnosis = Diagnosis.model_validate(diagnosis) if diagnosis else None
    one.plan = Plan.model_validate(plan) if plan else None
    return (one,)


def _told_by_entries(told: Told) -> tuple[Try, ...]:
    final = {
        item["id"]: number
        for number, entry in enumerate(told.entries)
        for item in entry["records"].get("evidence") or ()
        if entry["node"] in ("gather_context", "investigate")
    }
    tries: list[Try] = []
    for number, entry in enumerate(told.entries):
        records = entry["records"]
        if entry["node"] == "gather_context" and records.get("evidence"):
            if not tries or tries[-1].over:
                tries.append(Try(len(tries) + 1, datetime.fromisoformat(entry["at"])))
            now = tries[-1]
            now.rounds, now.last = now.rounds + 1, {}
            for item in map(Evidence.model_validate, records["evidence"]):
                _add(told, now, item, whole=_is_last(final[item.id], number, told.entries))
        elif tries:
            _go_on(told, tries[-1], entry["node"], records)
    return tuple(tries)


def _go_on(told: Told, now: Try, node: str, records: Mapping[str, Any]) -> None:
    if node == "investigate":
        by_id = {item["id"]: item for item in records.get("evidence") or ()}
        for inquiry in records.get("inquiries") or ():
            answer = by_id.get(inquiry["evidence_id"])
            if answer and not inquiry["repeated"] and answer["id"] not in now.last:
                _add(told, now, Evidence.model_validate(answer), whole=True, params=inquiry["params"])
    if records.get("diagnosis") and not now.over:
        now.diagnosis = Diagnosis.model_validate(records["diagnosis"])
    if records.get("plan") and not now.over:
        now.plan = Plan.model_validate(records["plan"])
    if any(records.get(name) for name in ("results", "attempts", "outcome")):
        now.over = True


def _is_last(final: int, number: int, entries: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the archive's answer is this entry's: no later gathering gave the same id."""
    return not any(entry["node"] == "gather_context" for entry in entries[number + 1 : final + 1])


def _add(told: Told, now: Try, item: Evidence, whole: bool, params: Mapping[str, Any] | None = None) -> None:
    text = told.texts.get(item.id, "") if whole and len(item.text) >= MAX_TEXT_CHARS else ""
    now.last[item.id] = item
    received = datetime.fromisoformat(told.record["received_at"])
    now.calls.append(
        Recorded(
            tool=item.source,
            params=dict(params or {}),
            inquiry=item.answers_inquiry,
            round=now.rounds,
            attempt=now.number,
            asked=item.asked,
            at_seconds=round((item.observed_at - received).total_seconds(), 3),
            took_seconds=item.seconds,
            status=item.status,
            text=text if text.startswith(item.text) else item.text,
            facts=item.facts,
            raw=told.raws.get(item.id, "") if whole else "",
        )
    )

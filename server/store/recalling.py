"""Reading what was compacted: an incident's record as if its rows were still there, as far as it is still known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Row, bindparam, select

from graph.records import Resource
from server.store import quick
from server.store.packing import unpacked
from server.store.retention_tables import compactions, evidence_packs
from server.store.rows import iso
from server.store.schema import evidence_raw

CHANNELS = ("evidence", "diagnosis", "plan", "gate", "verification", "outcome")

_COMPACTION = select(compactions).where(compactions.c.incident_id == bindparam("of_id"))


def compaction_of(connection: Connection, incident_id: str) -> Row[Any] | None:
    """How an incident was compacted, or None."""
    row = quick.first(connection, _COMPACTION, {"of_id": incident_id})
    return None if row is None or row.problem else row


def story_of(connection: Connection, incident_id: str) -> Mapping[str, Any]:
    """What is told of a compacted incident; empty where it was not."""
    row = compaction_of(connection, incident_id)
    return {} if row is None else unpacked(row.story)


def pack_of(connection: Connection, incident_id: str) -> Mapping[str, Any]:
    """The evidence of a compacted incident; empty where there is none, or none any more."""
    body = connection.execute(select(evidence_packs.c.body).where(evidence_packs.c.incident_id == incident_id)).scalar()
    return {} if body is None else unpacked(body)


def recalled(connection: Connection, record: Mapping[str, Any], told: Iterable[str]) -> dict[str, Any]:
    """The record, with what its rows do not tell any more. `told`: channels that its rows do tell."""
    row = compaction_of(connection, record["id"])
    if row is None:
        return {**record, "compacted": None}
    story, known = unpacked(row.story), set(told)
    pack = pack_of(connection, record["id"]) if row.evidence else {}
    found = {name: story.get(name) for name in CHANNELS if name not in known and name != "outcome"}
    if "evidence" in found:
        found["evidence"] = pack.get("evidence") or _without_answers(story["evidence"], bool(row.evidence))
    if not row.thawed:
        found |= {name: story[name] for name in ("title", "alerts", "attempts")}
        found["resource"] = full_resource(story["resource"])
    return {
        **record,
        **found,
        "actions": _joined(story["actions"], record["actions"], "idempotency_key", "started_at"),
        "approvals": [_approval(story, item) for item in record["approvals"]],
        "commands": [*pack.get("commands", ()), *record["commands"]],
        "model": _summed(story["model"], record["model"]),
        "timeline": _joined(story["timeline"], record["timeline"], None, "at"),
        "compacted": {
            "at": iso(row.at),
            "evidence": "kept" if row.evidence else "expired",
            "expired_at": iso(row.expired_at),
            "left_out": row.left_out,
        },
    }


def raw(connection: Connection, ref: str) -> str | None:
    """The whole answer behind a piece of evidence, as it was kept."""
    found = connection.execute(select(evidence_raw.c.raw).where(evidence_raw.c.ref == ref)).scalar()
    if found is not None:
        return str(found)
    incident_id, _, evidence_id = ref.partition("/")
    answer = pack_of(connection, incident_id).get("raw", {}).get(evidence_id)
    return None if answer is None else str(answer["raw"])


def _without_answers(evidence: list[dict[str, Any]], kept: bool) -> list[dict[str, Any]]:
    return evidence if kept else [{**item, "raw_ref": None} for item in evidence]


def full_resource(kept: Any) -> Any:
    """With its defaults again, which are left out of a story."""
    try:
        return kept and Resource.model_validate(kept).model_dump(mode="json")
    except ValidationError:
        return kept


def _approval(story: Mapping[str, Any], approval: Mapping[str, Any]) -> dict[str, Any]:
    asked = approval["asked_fingerprint"]
    plan = approval["plan"] or story["plans"].get(asked, {})
    return {**approval, "plan": plan, "comment": approval["comment"] or story["comments"].get(asked)}


def _joined(before: list[Any], after: list[Any], key: str | None, at: str) -> list[Any]:
    """Both, in the order of time; of two with the same key the story's, which says more."""
    known = {item[key] for item in before} if key else set()
    news = [item for item in after if key is None or item[key] not in known]
    return sorted([*before, *news], key=lambda item: str(item[at] or "")) if news else before


def _summed(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What models came to before the incident was compacted and since."""
    if before is None or after is None:
        return before or after
    costs = (before["cost_usd"], after["cost_usd"])
    numbers = ("calls", "input_tokens", "output_tokens", "estimated_calls", "seconds")
    lists = {name: list(dict.fromkeys([*before[name], *after[name]])) for name in ("models", "prompts")}
    cost = None if None in costs else sum(costs)
    return {name: before[name] + after[name] for name in numbers} | lists | {"cost_usd": cost}

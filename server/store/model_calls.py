"""The ledger of model calls in the store: what was sent, what came back, what it cost."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, select

from agents.reasoning.ledger import ModelCall, Spent
from server.store import quick, tallies
from server.store.recalling import pack_of
from server.store.rows import add, iso, stamp
from server.store.schema import model_calls as calls
from server.store.schema import model_texts

_SHARED = ("system", "schema")
"""What most calls of a kind have in common: each such text is kept once."""

_KNOWN = select(model_texts.c.digest).where(model_texts.c.digest == bindparam("of_digest"))
_SUM = select(
    func.count(),
    func.coalesce(func.sum(calls.c.input_tokens), 0),
    func.coalesce(func.sum(calls.c.output_tokens), 0),
    func.coalesce(func.sum(calls.c.seconds), 0.0),
    func.sum(calls.c.cost_usd),
    func.count(calls.c.cost_usd),
    func.coalesce(func.sum(case((calls.c.reported == 0, 1), else_=0)), 0),
)
_OF_INCIDENT = _SUM.where(calls.c.incident_id == bindparam("of_id"))
_SINCE = _SUM.where(calls.c.at >= bindparam("since"))


def called(connection: Connection, call: ModelCall) -> None:
    """Put a call on record."""
    add(
        connection,
        calls,
        incident_id=call.incident_id,
        at=stamp(call.at),
        purpose=call.purpose,
        attempt=call.attempt,
        model=call.model,
        prompt=call.prompt,
        method=call.method,
        messages=[[role, _kept(connection, text) if role in _SHARED else text] for role, text in call.messages],
        answer=call.answer,
        status=call.status,
        problem=call.problem,
        input_tokens=call.usage.input_tokens,
        output_tokens=call.usage.output_tokens,
        reported=int(call.usage.reported),
        seconds=call.seconds,
        cost_usd=call.cost_usd,
    )
    tallies.add_up(
        connection,
        {
            (tallies.MODEL_CALLS, (call.model, call.purpose, call.status)): 1.0,
            (tallies.MODEL_TOKENS, (call.model, "input")): call.usage.input_tokens,
            (tallies.MODEL_TOKENS, (call.model, "output")): call.usage.output_tokens,
            (tallies.MODEL_SECONDS, (call.model,)): call.seconds,
            (tallies.MODEL_COST, (call.model,)): call.cost_usd or 0.0,
        },
    )


def _kept(connection: Connection, text: str) -> str:
    """The digest under which the text is kept."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    if quick.first(connection, _KNOWN, {"of_digest": digest}) is None:
        add(connection, model_texts, digest=digest, text=text)
    return digest


def spent(connection: Connection, incident_id: str) -> Spent:
    """What the calls of one incident have come to."""
    return _summed(quick.first(connection, _OF_INCIDENT, {"of_id": incident_id}))


def spent_since(connection: Connection, at: float) -> Spent:
    """What all calls since that time (seconds since the epoch) have come to."""
    return _summed(quick.first(connection, _SINCE, {"since": at}))


def of_incident(connection: Connection, incident_id: str) -> list[dict[str, Any]]:
    """The calls of one incident, oldest first, whole; also those that are packed with its evidence."""
    pack = pack_of(connection, incident_id)
    found, texts = to_pack(connection, incident_id)
    shared = {**pack.get("texts", {}), **texts}
    return [
        {**call, "messages": [{"role": role, "text": shared.get(text, text)} for role, text in call["messages"]]}
        for call in (*pack.get("calls", ()), *found)
    ]


def to_pack(connection: Connection, incident_id: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The calls of one incident that are in rows, and the texts they share by their digests."""
    rows = connection.execute(select(calls).where(calls.c.incident_id == incident_id).order_by(calls.c.id)).all()
    digests = {text for row in rows for text in shared_by(row.messages)}
    found = connection.execute(select(model_texts).where(model_texts.c.digest.in_(digests)))
    texts = {row.digest: row.text for row in found}
    told = [
        {
            "at": iso(row.at),
            "purpose": row.purpose,
            "attempt": row.attempt,
            "model": row.model,
            "prompt": row.prompt,
            "method": row.method,
            "messages": row.messages,
            "answer": row.answer,
            "status": row.status,
            "problem": row.problem,
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "reported": bool(row.reported),
            "seconds": row.seconds,
            "cost_usd": row.cost_usd,
        }
        for row in rows
    ]
    return told, texts


def shared_by(messages: Sequence[Sequence[str]]) -> set[str]:
    """The digests of the texts of a call that are kept once."""
    return {text for role, text in messages if role in _SHARED}


def summary(connection: Connection, incident_id: str) -> dict[str, Any] | None:
    """What models were asked for an incident, in numbers; None where none was."""
    total = spent(connection, incident_id)
    if not total.calls:
        return None
    mine = calls.c.incident_id == incident_id
    named = connection.execute(select(calls.c.model, calls.c.prompt).where(mine).order_by(calls.c.id)).all()
    return {
        "calls": total.calls,
        "input_tokens": total.input_tokens,
        "output_tokens": total.output_tokens,
        "estimated_calls": total.estimated_calls,
        "seconds": round(total.seconds, 3),
        "cost_usd": total.cost_usd,
        "models": list(dict.fromkeys(row.model for row in named)),
        "prompts": list(dict.fromkeys(row.prompt for row in named)),
    }


def _summed(row: Any) -> Spent:
    number, asked, answered, seconds, cost, priced, estimated = row
    return Spent(number, int(asked), int(answered), float(seconds), cost if priced == number else None, int(estimated))

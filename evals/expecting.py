"""A first draft of what would have been right of a recorded incident: for a human to look over, who knows better. Pure.

What a human confirmed counts; else what was diagnosed, and `came_of` says that nobody confirmed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evals.case import CameOf, Confirmed, Ending, Expected
from evals.told import Try
from graph.facts import Facts
from graph.kind import NO_FAULT, UNKNOWN_CAUSE, Match, ResourceKind
from graph.records import Resource, facts_of


def drafted(
    kind: ResourceKind | None, resource: Resource | None, record: Mapping[str, Any], of: Try, mechanism: str
) -> Expected:
    """The draft for one attempt of an incident."""
    confirmed = confirmed_of(record)
    diagnosed = of.diagnosis.suspected_cause if of.diagnosis else UNKNOWN_CAUSE
    cause = confirmed.cause or diagnosed
    facts = facts_of(of.last.values())
    match = _match(kind, cause, facts, resource)
    first = _first_actions(kind, cause, facts, resource, match, record, of)
    ending: Ending = "no_fault" if cause == NO_FAULT else "repair" if first else "escalate"
    return Expected(
        ending=ending,
        accepted_causes=(cause,),
        required_facts=tuple(dict.fromkeys(fact.name for fact in match.cites)) if match else (),
        first_actions=first,
        forbidden_actions=() if ending == "repair" else ("*",),
        mechanism=mechanism,
        came_of=came_of(record, of),
    )


def came_of(record: Mapping[str, Any], of: Try) -> CameOf:
    """What came of it, in the words of the record."""
    outcome = record.get("outcome") or {}
    return CameOf(
        suspected_cause=of.diagnosis.suspected_cause if of.diagnosis else "",
        author=of.diagnosis.author if of.diagnosis else "",
        actions=tuple(action["action"] for action in record.get("actions") or () if not action["undo"]),
        outcome=outcome.get("status", ""),
        reason=outcome.get("reason", ""),
        confirmed=confirmed_of(record),
    )


def confirmed_of(record: Mapping[str, Any]) -> Confirmed:
    """What a human last said the cause was."""
    said = [item for item in record.get("confirmations") or () if item["cause"]]
    if not said:
        return Confirmed()
    return Confirmed(by="human", cause=said[-1]["cause"], comment=said[-1]["comment"] or "")


def _match(kind: ResourceKind | None, cause: str, facts: Facts, resource: Resource | None) -> Match | None:
    if kind is None or resource is None:
        return None
    if cause == NO_FAULT:
        return kind.no_fault(facts, resource)
    declared = kind.cause(cause)
    return declared.signature(facts, resource) if declared else None


def _first_actions(
    kind: ResourceKind | None,
    cause: str,
    facts: Facts,
    resource: Resource | None,
    match: Match | None,
    record: Mapping[str, Any],
    of: Try,
) -> tuple[str, ...]:
    """What was planned for this cause and did not fail; for another cause what its remedies begin with."""
    if cause in (NO_FAULT, UNKNOWN_CAUSE) or kind is None or resource is None:
        return ()
    if of.diagnosis is not None and cause == of.diagnosis.suspected_cause:
        steps = of.plan.steps if of.plan else ()
        return (steps[0].action,) if steps and not _failed(record) else ()
    declared = kind.cause(cause)
    target = match.target if match else None
    found = (remedy.steps(resource, target, facts) for remedy in (declared.remedies if declared else ()))
    return tuple(dict.fromkeys(steps[0].action for steps in found if steps))


def _failed(record: Mapping[str, Any]) -> bool:
    right = next(
        (item["right"] for item in reversed(record.get("confirmations") or ()) if item["right"] is not None), None
    )
    if right is not None:
        return not right
    return (record.get("outcome") or {}).get("status") in ("escalated", "declined")

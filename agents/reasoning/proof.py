"""What a diagnosis must show, checked by code: that what it cites exists and speaks for the cause, and that no fact
contradicts it. A model is believed only as far as this goes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from agents.reasoning.runbook import rank
from agents.reasoning.text import clip
from graph.facts import Fact, Facts, fact_key
from graph.kind import NO_FAULT, UNKNOWN_CAUSE, Match, ResourceKind, Signature
from graph.ports import DiagnosisRequest
from graph.records import Evidence, Resource, facts_of

SHOWN_CAUSES = 3
SHOWN_FACTS = 4
FACT_CHARS = 90

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claim:
    """What a reasoner says: the cause, what it is about, and the ids of the evidence it rests on."""

    cause: str
    evidence_ids: Sequence[str]
    target: str | None = None


@dataclass(frozen=True)
class Proof:
    """What speaks for a claim: its own evidence and whatever else carries facts of the cause's signature."""

    evidence_ids: tuple[str, ...]
    target: str | None = None


class Unproven(Exception):
    """Why a claim does not hold, in words that help to mend it."""


def prove(claim: Claim, request: DiagnosisRequest) -> Proof:
    """What proves the claim. Raises Unproven. `unknown` needs no proof, but may not cite what does not exist."""
    _cited_exists(claim, request)
    if claim.cause == UNKNOWN_CAUSE or request.incident.resource is None:
        return Proof(tuple(dict.fromkeys(claim.evidence_ids)), claim.target)
    if not claim.evidence_ids:
        raise Unproven(f"evidence_ids: {claim.cause} needs at least one piece of evidence that speaks for it")
    facts, resource = facts_of(request.evidence), request.incident.resource
    match = _match(claim, request, facts, resource)
    _not_healthy(claim, match, request.kind, facts, resource)
    match = _about(claim, match, request.kind, facts, resource)
    uncited = [fact for fact in match.cites if not _carriers(fact, request.evidence) & set(claim.evidence_ids)]
    if match.cites and len(uncited) == len(match.cites):
        raise Unproven(f"evidence_ids: nothing cited speaks for {claim.cause}; what does: {shown(match.cites)}")
    carrying = {carrier for fact in facts.items for carrier in _carriers(fact, request.evidence)}
    bare = [cited for cited in claim.evidence_ids if cited not in carrying]
    if bare:
        raise Unproven(f"evidence_ids: {', '.join(bare)} carries no fact; cite what does: {shown(match.cites)}")
    speaking = (fact.evidence_id for fact in uncited)
    return Proof(tuple(dict.fromkeys((*claim.evidence_ids, *speaking))), claim.target or match.target)


def shown(facts: Sequence[Fact]) -> str:
    """`E3 disk.used_percent{mount="/"} = 99.1; …`"""
    return "; ".join(clip(f"{fact.evidence_id} {fact}", FACT_CHARS) for fact in facts[:SHOWN_FACTS]) or "none"


def _carriers(fact: Fact, evidence: Sequence[Evidence]) -> set[str]:
    """All evidence that saw it so: what was looked at again and found the same may be cited either way."""
    key = fact_key(fact.name, **fact.labels)
    return {item.id for item in evidence if item.id == fact.evidence_id or item.facts.get(key) == fact.value}


def _cited_exists(claim: Claim, request: DiagnosisRequest) -> None:
    known = [item.id for item in request.evidence]
    unknown = [cited for cited in claim.evidence_ids if cited not in known]
    if unknown:
        there = ", ".join(known) or "none"
        raise Unproven(f"evidence_ids: {clip(', '.join(unknown), 80)} does not exist; there is {there}")


def _match(claim: Claim, request: DiagnosisRequest, facts: Facts, resource: Resource) -> Match:
    signature = _signature(request.kind, claim.cause)
    match = _matched(claim.cause, signature, facts, resource) if signature else None
    if match is not None:
        return match
    ranked, _ = rank(request.kind, facts, request.incident)
    others = [f"{other.name} ({shown(other.match.cites)})" for other in ranked if other.name != claim.cause]
    instead = f"facts speak for {'; '.join(others[:SHOWN_CAUSES])}" if others else "no declared cause has facts for it"
    raise Unproven(f"suspected_cause: no fact speaks for {claim.cause}; {instead}; else it is {UNKNOWN_CAUSE}")


def _not_healthy(claim: Claim, match: Match, kind: ResourceKind, facts: Facts, resource: Resource) -> None:
    """What is seen healthy as clearly as it is seen broken has no fault: models find causes for anything."""
    if claim.cause == NO_FAULT:
        return
    healthy = _matched(NO_FAULT, kind.no_fault, facts, resource)
    if healthy is not None and healthy.score >= match.score:
        raise Unproven(f"suspected_cause: the facts show a healthy resource: {shown(healthy.cites)}")


def _about(claim: Claim, match: Match, kind: ResourceKind, facts: Facts, resource: Resource) -> Match:
    """The match for what the claim is about: where a signature finds another one first, without that one's facts."""
    if claim.target is None or match.target in (None, claim.target) or claim.cause == NO_FAULT:
        return match
    signature = _signature(kind, claim.cause)
    assert signature is not None, "a match has a signature"
    about = [fact for fact in facts.items if claim.target in fact.labels.values() or not fact.labels]
    mine = _matched(claim.cause, signature, Facts(tuple(about)), resource)
    if mine is None or mine.target != claim.target:
        raise Unproven(f"target: what was seen of {claim.cause} is about {clip(match.target or '', 80)!r}")
    return mine


def _signature(kind: ResourceKind, cause: str) -> Signature | None:
    if cause == NO_FAULT:
        return kind.no_fault
    declared = kind.cause(cause)
    return declared.signature if declared else None


def _matched(name: str, signature: Signature, facts: Facts, resource: Resource) -> Match | None:
    try:
        return signature(facts, resource)
    except Exception:  # a kind may be a third party's: what its bug hides is not proven
        logger.exception("the signature of %s raised", name)
        return None

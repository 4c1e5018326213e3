"""The reasoner that needs no model: it ranks the declared causes by their signatures and takes their remedies in order.

It is what heals when no model is configured, and what takes over when the model fails; so nothing a kind's own
functions do wrong may stop it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agents.reasoning.text import clip
from graph.facts import Facts, fact_key
from graph.kind import NO_FAULT, UNKNOWN_CAUSE, Cause, Match, Remedy, ResourceKind, Signature
from graph.ports import DiagnosisRequest, PlanRequest
from graph.records import Attempt, Diagnosis, Evidence, Incident, IssueType, Plan, PlanStep, Resource, facts_of

AUTHOR = "runbook"
THRESHOLD = 0.5
"""The least score that makes a cause suspected."""
AMBIGUOUS_WITHIN = 0.05
"""Causes whose scores differ by no more than this explain the facts equally well."""
ALERTED_BONUS = 0.06
SUMMARY_CHARS = 500
RULED_OUT_ENTRIES = 3
RULED_OUT_CHARS = 100

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A cause (or `no_fault`) that some fact speaks for. `alerted`: of the kind of trouble that the alerts claim."""

    name: str
    match: Match
    alerted: bool = False

    @property
    def rank(self) -> float:
        """Its score, and a little more where the alerts say the same: of two troubles, that is the one to mend now."""
        return self.match.score + (ALERTED_BONUS if self.alerted else 0.0)


@dataclass(frozen=True)
class Option:
    """A remedy with the steps it makes for this resource."""

    remedy: Remedy
    steps: tuple[PlanStep, ...]

    @property
    def actions(self) -> tuple[str, ...]:
        return tuple(step.action for step in self.steps)


class RunbookReasoner:
    """Diagnoses and plans from what the kind declares. Never raises."""

    name = AUTHOR

    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis:
        """The best explaining cause, `no_fault`, or `unknown` with what was and was not seen."""
        if (unplaced := nothing_to_diagnose(request)) is not None:
            return unplaced
        incident = request.incident
        candidates, broken = rank(request.kind, facts_of(request.evidence), incident)
        if not candidates or candidates[0].match.score < THRESHOLD:
            return _nothing_fits(request, candidates, broken)
        return _suspect(request, candidates, broken)

    async def plan(self, request: PlanRequest) -> Plan:
        """The first remedy that applies, was not tried and was not objected to; no steps where none is left."""
        if (nothing := nothing_to_plan(request)) is not None:
            return nothing
        cause = request.kind.cause(request.diagnosis.suspected_cause)
        resource = request.incident.resource
        assert cause is not None and resource is not None, "nothing_to_plan answers these"
        options, skipped = _options(cause, request, resource)
        untried = _untried(options, _tries(request, cause))
        left = untried[len(request.objections) :]
        if not left:
            return _exhausted(cause, request, untried, skipped)
        summary = f"{cause.name}: {left[0].remedy.summary}"
        return Plan(steps=left[0].steps, summary=clip(summary, SUMMARY_CHARS), author=AUTHOR)


# -- shared with the model's reasoner ------------------------------------------------------------------


def issue_type_of(kind: ResourceKind, suspected_cause: str, incident: Incident) -> IssueType:
    """The cause's own type; for `no_fault` what the last alert said; `unknown` for what no cause names."""
    if suspected_cause == NO_FAULT and incident.issue_types:
        return incident.issue_types[-1]
    cause = kind.cause(suspected_cause)
    return cause.issue_type if cause else "unknown"


def nothing_to_diagnose(request: DiagnosisRequest) -> Diagnosis | None:
    """`unknown` where the alert names no declared resource, whoever reasons; else None."""
    incident = request.incident
    if incident.resource is not None:
        return None
    return _unknown(f"{incident.resource_kind}/{incident.resource_id} is not a declared resource", request)


def nothing_to_plan(request: PlanRequest) -> Plan | None:
    """The empty plan where the diagnosis leaves nothing to plan, whoever reasons; else None.

    A cause without remedies is one that no declared action mends: not a case for a model's inventiveness.
    """
    diagnosis = request.diagnosis
    cause = request.kind.cause(diagnosis.suspected_cause)
    if request.incident.resource is None:
        reason = f"{request.incident.resource_kind}/{request.incident.resource_id} is not a declared resource"
    elif diagnosis.suspected_cause == NO_FAULT:
        reason = f"nothing to repair: {diagnosis.summary}"
    elif cause is None:
        reason = f"no declared cause is suspected: {diagnosis.summary}"
    elif not cause.remedies:
        reason = _join(cause.human_must or f"{cause.name} has no declared remedy", diagnosis.summary)
    else:
        return None
    return Plan(steps=(), summary=clip(reason, SUMMARY_CHARS), author=AUTHOR)


def suspects(request: DiagnosisRequest) -> tuple[str, ...]:
    """The declared causes that some fact speaks for, best first."""
    if request.incident.resource is None:
        return ()
    candidates, _ = rank(request.kind, facts_of(request.evidence), request.incident)
    return tuple(candidate.name for candidate in candidates if candidate.name != NO_FAULT)


def speaking(request: DiagnosisRequest) -> Mapping[str, Collection[str]]:
    """Evidence id → the keys of its facts that speak for some declared cause."""
    if request.incident.resource is None:
        return {}
    candidates, _ = rank(request.kind, facts_of(request.evidence), request.incident)
    found: dict[str, set[str]] = {}
    for candidate in (each for each in candidates if each.name != NO_FAULT):
        for fact in candidate.match.cites:
            found.setdefault(fact.evidence_id, set()).add(fact_key(fact.name, **fact.labels))
    return found


# -- diagnosing ----------------------------------------------------------------------------------------


def rank(kind: ResourceKind, facts: Facts, incident: Incident) -> tuple[list[Candidate], dict[str, str]]:
    """What some fact speaks for, best first (on a tie `no_fault`, then as declared); and signatures that raised."""
    resource = incident.resource
    assert resource is not None, "only placed incidents are ranked"
    signatures: list[tuple[str, Signature]] = [(NO_FAULT, kind.no_fault)]
    signatures += [(cause.name, cause.signature) for cause in kind.causes]
    alerted = {cause.name for cause in kind.causes if cause.issue_type in incident.issue_types} | {NO_FAULT}
    found: list[Candidate] = []
    broken: dict[str, str] = {}
    for name, signature in signatures:
        try:
            match = signature(facts, resource)
        except Exception as error:  # a kind may be a third party's: its bug must not hide the other causes
            logger.exception("the signature of %s/%s raised", kind.name, name)
            broken[name] = clip(f"its signature failed: {type(error).__name__}: {error}", RULED_OUT_CHARS)
            continue
        if match is not None:
            found.append(Candidate(name, match, name in alerted))
    return sorted(found, key=lambda candidate: -candidate.rank), broken


def _suspect(request: DiagnosisRequest, candidates: Sequence[Candidate], broken: dict[str, str]) -> Diagnosis:
    best, *others = candidates
    score = min(best.match.score, 1.0)
    rivals = [other for other in others if round(best.rank - other.rank, 6) <= AMBIGUOUS_WITHIN]
    summary = best.match.summary
    if rivals:
        named = ", ".join(f"{rival.name} ({rival.match.score:.2f})" for rival in rivals)
        summary = f"{summary} (ambiguous: {named} explains it as well as {best.name} ({score:.2f}))"
    return Diagnosis(
        suspected_cause=best.name,
        issue_type=issue_type_of(request.kind, best.name, request.incident),
        summary=clip(summary, SUMMARY_CHARS),
        confidence=round(score / (1 + len(rivals)), 2),
        evidence_ids=_cited(best.match),
        ruled_out=_ruled_out(request.kind, best, others, broken),
        target=best.match.target,
        author=AUTHOR,
    )


def _cited(match: Match) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fact.evidence_id for fact in match.cites))


def _ruled_out(
    kind: ResourceKind, best: Candidate | None, others: Sequence[Candidate], broken: dict[str, str]
) -> dict[str, str]:
    """The nearest other causes first, then broken signatures, then causes that nothing speaks for."""
    reasons: dict[str, str] = {}
    for other in others:
        against = f" against {best.match.score:.2f}" if best else f", below {THRESHOLD:.2f}"
        reasons[other.name] = clip(f"{other.match.score:.2f}{against}: {other.match.summary}", RULED_OUT_CHARS)
    reasons |= broken
    for cause in kind.causes:
        if best is None or cause.name != best.name:
            reasons.setdefault(cause.name, "no fact speaks for it")
    return dict(list(reasons.items())[:RULED_OUT_ENTRIES])


def _nothing_fits(request: DiagnosisRequest, candidates: Sequence[Candidate], broken: dict[str, str]) -> Diagnosis:
    why = f"none of the {len(request.kind.causes)} declared causes of {request.kind.name} explains what was seen"
    if candidates:
        why += f" (closest: {candidates[0].name}, {candidates[0].match.score:.2f})"
    diagnosis = _unknown(why, request)
    cited = _cited(candidates[0].match) if candidates else ()
    ruled_out = _ruled_out(request.kind, None, candidates, broken)
    return diagnosis.model_copy(update={"evidence_ids": cited, "ruled_out": ruled_out})


def _unknown(why: str, request: DiagnosisRequest) -> Diagnosis:
    summary = clip(f"{why}; {seen_and_unseen(request.evidence)}", SUMMARY_CHARS)
    return Diagnosis(suspected_cause=UNKNOWN_CAUSE, summary=summary, confidence=0.0, author=AUTHOR)


def seen_and_unseen(evidence: Sequence[Evidence]) -> str:
    """`did not answer: ssh (timed out); had nothing: dmesg; seen: units, metrics`, in that order: a blind spot
    matters most where nothing is known."""
    failed = [f"{item.source} ({clip(item.text, 60)})" for item in evidence if item.status == "failed"]
    empty = [item.source for item in evidence if item.status == "no_data"]
    seen = [item.source for item in evidence if item.status == "observed"]
    groups = (("did not answer", failed), ("had nothing", empty), ("seen", seen))
    return "; ".join(f"{title}: {', '.join(names)}" for title, names in groups if names) or "nothing was looked at"


# -- planning ------------------------------------------------------------------------------------------


def _options(cause: Cause, request: PlanRequest, resource: Resource) -> tuple[list[Option], list[str]]:
    """The remedies that apply to this resource, in order, and why others don't."""
    target, facts = request.diagnosis.target, facts_of(request.evidence)
    options: list[Option] = []
    skipped: list[str] = []
    for remedy in cause.remedies:
        if remedy.needs_provider and resource.provider.name == "none":
            skipped.append(f"{remedy.name} (needs a provider, {resource.key} has none)")
            continue
        try:
            steps = remedy.steps(resource, target, facts)
        except Exception as error:  # as for signatures: the other remedies may still work
            logger.exception("the steps of remedy %s/%s raised", cause.name, remedy.name)
            skipped.append(f"{remedy.name} (its steps could not be made: {type(error).__name__}: {error})")
            continue
        if steps:
            options.append(Option(remedy, steps))
        else:
            skipped.append(f"{remedy.name} (has no steps for {resource.key})")
    return options, skipped


def _tries(request: PlanRequest, cause: Cause) -> list[Attempt]:
    """The earlier attempts at this cause, of this target, whose remedy is used up."""
    target = request.diagnosis.target
    return [
        attempt
        for attempt in request.attempts
        if attempt.spent and attempt.suspected_cause == cause.name and attempt.target in (None, target)
    ]


def _untried(options: Sequence[Option], attempts: Sequence[Attempt]) -> list[Option]:
    """Without those that an earlier attempt made. One attempt uses up one remedy only, as two remedies may differ in
    params alone."""
    tried = Counter(attempt.actions for attempt in attempts)
    left: list[Option] = []
    for option in options:
        if tried[option.actions] > 0:
            tried[option.actions] -= 1
        else:
            left.append(option)
    return left


def _exhausted(cause: Cause, request: PlanRequest, untried: Sequence[Option], skipped: Sequence[str]) -> Plan:
    """Why nothing is left: what was tried and how it ended, what was turned down, what does not apply."""
    tried = [
        f"{', '.join(attempt.actions) or 'nothing'} ({clip(attempt.why_ended, 80)})"
        for attempt in _tries(request, cause)
    ]
    turned_down = [
        f"{option.remedy.name} ({clip(objection, 80)})"
        for option, objection in zip(untried, request.objections, strict=False)
    ]
    parts = [
        f"every declared remedy of {cause.name} was tried: {'; '.join(tried)}" if tried else "",
        f"turned down: {'; '.join(turned_down)}" if turned_down else "",
        f"not applicable: {'; '.join(skipped)}" if skipped else "",
    ]
    summary = _join(cause.human_must, *parts) or f"{cause.name} has no declared remedy"
    return Plan(steps=(), summary=clip(summary, SUMMARY_CHARS), author=AUTHOR)


def _join(*sentences: str) -> str:
    return "; ".join(sentence.rstrip(". ") for sentence in sentences if sentence)

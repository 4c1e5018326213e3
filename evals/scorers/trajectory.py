"""Whether the way there was sound: read before write, nothing done on no evidence, nothing tried or asked twice."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

from evals.results import Score
from evals.scorers.judged import Judged
from graph.records import Attempt

READS = ("gather_context", "investigate")
WRITES = ("plan", "gate", "approve", "execute")


def trajectory(judged: Judged) -> Score:
    """The share of the rules that hold."""
    broken = [said for rule in RULES if (said := rule(judged))]
    share = round(1 - len(broken) / len(RULES), 6)
    return Score(value=share, detail="; ".join(broken) or f"all {len(RULES)} rules hold")


def wrote_unread(judged: Judged) -> str:
    """Something was planned before anything was looked at."""
    path = judged.run.path
    first_write = next((at for at, node in enumerate(path) if node in WRITES), None)
    if first_write is None or any(node in READS for node in path[:first_write]):
        return ""
    return f"{path[first_write]} came before anything was read"


def acted_on_nothing(judged: Judged) -> str:
    """Something would be changed though no source had anything to say."""
    if not judged.writes or any(item.status == "observed" for item in judged.run.evidence):
        return ""
    return f"{judged.writes[0].action} is planned though no source saw anything"


def tried_again(judged: Judged) -> str:
    """The plan is one that an earlier attempt has used up."""
    plan = judged.run.plan
    if plan is None or not plan.steps:
        return ""
    for attempt in judged.run.attempts:
        if attempt.spent and (attempt.plan_fingerprint == plan.plan_fingerprint or _same(attempt, judged)):
            return f"the plan ({', '.join(attempt.actions)}) is that of attempt {attempt.number}, which failed"
    return ""


def asked_again(judged: Judged) -> str:
    """The very same question was asked of a tool twice."""
    for inquiry in judged.run.inquiries:
        if inquiry.repeated:
            return f"{inquiry.tool} was asked the same twice"
    for one, other in combinations(judged.run.inquiries, 2):
        if one.same_as(other):
            return f"{one.tool} was asked the same twice"
    return ""


RULES: tuple[Callable[[Judged], str], ...] = (wrote_unread, acted_on_nothing, tried_again, asked_again)


def _same(attempt: Attempt, judged: Judged) -> bool:
    """By what it does: neutral names have other fingerprints. Two remedies of a cause may do the same with other
    params; then the second is no repetition."""
    diagnosis = judged.run.diagnosis
    actions = tuple(step.action for step in judged.steps)
    if diagnosis is None or attempt.actions != actions or attempt.suspected_cause != diagnosis.suspected_cause:
        return False
    cause = judged.kind.cause(diagnosis.suspected_cause)
    alike = [remedy for remedy in cause.remedies if set(actions) <= set(remedy.actions)] if cause else []
    return attempt.target in (None, diagnosis.target) and len(alike) <= 1

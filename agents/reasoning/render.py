"""Records → prompt text. What is the same for every incident of a kind comes first, so that servers can cache it; what
came from outside comes last, fenced as data.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from agents.reasoning.exhibits import exhibits
from agents.reasoning.lore import PastIncident, RunbookText, told
from agents.reasoning.runbook import speaking, suspects
from agents.reasoning.text import clean, clip
from graph.facts import Facts
from graph.kind import ActionSpec, Cause, ResourceKind
from graph.ports import DiagnosisRequest, PlanRequest
from graph.records import Alert, Attempt, Diagnosis, Evidence, Incident, Resource, facts_of

PROMPTS = Path(__file__).resolve().parent.parent / "prompts"
ALERT_CHARS = 600
MAX_ALERTS = 5
TOLD_LABELS = ("alertname", "resource_kind", "issue_type")
MAX_OBJECTIONS = 4
MAX_SUSPECTS = 6

_FRONT_MATTER = re.compile(r"\A---\nversion: (?P<version>\S+)\n---\n(?P<body>.*)\Z", re.DOTALL)

Message = tuple[str, str]
"""Role (`system`, `human`, `ai`) and text."""


@dataclass(frozen=True)
class Prompt:
    """A file of agents/prompts/: `name` and `version` tell which words a model was given."""

    name: str
    version: str
    body: str


@lru_cache
def load_prompt(name: str) -> Prompt:
    """Reads the file once. Raises ValueError where its front matter names no version."""
    path = PROMPTS / f"{name}.md"
    match = _FRONT_MATTER.match(path.read_text(encoding="utf-8"))
    if match is None:
        raise ValueError(f"prompt {path.name} must begin with a front matter of one line, `version: …`")
    return Prompt(name, match["version"], match["body"].strip())


def render_diagnosis(request: DiagnosisRequest, prompt: Prompt, lore: str = "") -> list[Message]:
    """The messages that ask for a diagnosis. `lore` is a `lore_part`."""
    kind = request.kind
    system = f"{prompt.body}\n\n{_vocabulary(kind)}"
    evidence = exhibits(request.evidence, speaking(request), request.inquiries)
    data = [_alerts(request.incident), _attempts(request.attempts), lore, evidence]
    human = [
        _about(request.incident),
        fenced(data),
        _suspects(request),
        _limits(request),
        "What is the suspected cause?",
    ]
    return [("system", system), ("human", "\n\n".join(part for part in human if part))]


def render_plan(request: PlanRequest, prompt: Prompt, lore: str = "") -> list[Message]:
    """The messages that ask for a plan; the diagnosed cause's remedies come with their steps for this resource."""
    system = f"{prompt.body}\n\n{_actions(request.actions)}"
    diagnosis = request.diagnosis
    cited = _cited(request.evidence, diagnosis)
    data = [
        _diagnosis(diagnosis),
        _alerts(request.incident),
        _attempts(request.attempts),
        lore,
        exhibits(cited, {item.id: item.facts for item in cited}),
    ]
    cause = request.kind.cause(diagnosis.suspected_cause)
    if cause:
        facts = facts_of(request.evidence)
        data.append(_remedies(cause, request.incident.resource, diagnosis.target, facts))
    data.append(_objections(request.objections))
    human = [_about(request.incident), fenced(data), "What is the plan?"]
    return [("system", system), ("human", "\n\n".join(part for part in human if part))]


# -- the same for every incident of a kind ------------------------------------------------------------


def _vocabulary(kind: ResourceKind) -> str:
    """The causes by issue type, a line each: the words are what a prompt costs."""
    lines = [f"The resource is of kind {kind.name}: {kind.summary}.", "Declared causes, by what they show as:"]
    for issue_type in dict.fromkeys(cause.issue_type for cause in kind.causes):
        lines.append(f"{issue_type}:")
        lines += [f"- {cause.name}: {cause.summary}" for cause in kind.causes if cause.issue_type == issue_type]
    return "\n".join(lines)


def _actions(actions: Sequence[ActionSpec]) -> str:
    lines = ["Permitted actions, with their risk:"]
    lines += [f"- {spec.name}({params_of(spec)}) [{spec.risk}]: {spec.summary}" for spec in actions]
    return "\n".join(lines)


def params_of(spec: ActionSpec) -> str:
    """An action's params in a line, e.g. `unit, seconds? 10..600, by nft|iptables`; `?` marks optional ones. Types that
    go without saying are left out."""
    schema = spec.params.model_json_schema()
    required = schema.get("required", [])
    described = []
    for name, details in schema.get("properties", {}).items():
        mark = "" if name in required else "?"
        described.append(f"{name}{mark} {_values_of(details)}".rstrip())
    return ", ".join(described)


def _values_of(details: dict[str, Any]) -> str:
    if "enum" in details:
        return "|".join(map(str, details["enum"]))
    if "const" in details:
        return str(details["const"])
    if "anyOf" in details:
        return "|".join(filter(None, (_values_of(option) for option in details["anyOf"])))
    low, high = details.get("minimum"), details.get("maximum")
    return f"{low}..{high}" if low is not None and high is not None and high < 1_000_000 else ""


# -- this incident's ----------------------------------------------------------------------------------


def _suspects(request: DiagnosisRequest) -> str:
    """The causes that some fact speaks for, and what would be done about each: how much a wrong one would cost."""
    lines = []
    for name in suspects(request)[:MAX_SUSPECTS]:
        cause = request.kind.cause(name)
        remedies = ", ".join(remedy.name for remedy in cause.remedies) if cause else ""
        lines.append(f"- {name}: {remedies or 'none declared, a human is called'}")
    return "\n".join(["By their signatures, facts speak for these causes (remedies):", *lines]) if lines else ""


def _limits(request: DiagnosisRequest) -> str:
    """What may still be asked: told, so that it is spent on what matters."""
    if not request.tools:
        return "Nothing more can be asked: answer by what was seen." if request.inquiries else ""
    left = request.left
    return (
        f"You may look first. Left: {left.calls} calls of tools, {left.seconds:.0f} s for their answers, {left.tokens} "
        f"tokens of yours; an answer is cut to {left.bytes_per_result} bytes."
    )


def _about(incident: Incident) -> str:
    resource = incident.resource
    lines = [f"Incident {incident.number}: {clip(incident.resource_kind, 100)}/{clip(incident.resource_id, 200)}"]
    lines.append(f"Alerted as: {', '.join(incident.issue_types) or 'unknown'}; began {incident.fired_at.isoformat()}")
    if resource is not None:
        services = ", ".join(resource.services) or "none declared"
        provider = resource.provider.name
        manager = resource.service_manager.name
        lines.append(f"Services ({manager}): {services}. Provider: {provider}.")
    return "\n".join(lines)


def _remedies(cause: Cause, resource: Resource | None, target: str | None, facts: Facts) -> str:
    lines = [f"Declared remedies of {cause.name}, least harmful first:"]
    for remedy in cause.remedies:
        if resource is None or (remedy.needs_provider and resource.provider.name == "none"):
            lines.append(f"- {remedy.name}: not applicable, this resource has no provider")
            continue
        try:
            steps = remedy.steps(resource, target, facts)
        except Exception as error:  # a kind may be a third party's; the model can do without the example
            lines.append(f"- {remedy.name}: {remedy.summary} (no steps: {clip(str(error), 80)})")
            continue
        if not steps:
            lines.append(f"- {remedy.name}: not applicable to what was seen")
            continue
        shown = "; ".join(f"{step.action} {_json(step.params)}" for step in steps)
        lines.append(f"- {remedy.name}: {remedy.summary}: {shown}")
    return clean("\n".join(lines))


def _objections(objections: Sequence[str]) -> str:
    if not objections:
        return ""
    lines = ["Your earlier answers to this were turned down:"]
    return "\n".join(lines + [f"- {clip(objection, 300)}" for objection in objections[-MAX_OBJECTIONS:]])


# -- data: written by others ---------------------------------------------------------------------------


def fenced(parts: Sequence[str]) -> str:
    """Between lines that nobody who wrote the data could know."""
    code = secrets.token_hex(8)
    inside = "\n\n".join(part for part in parts if part)
    return f"BEGIN DATA {code}\n{inside}\nEND DATA {code}"


def _alerts(incident: Incident) -> str:
    shown = [
        clip(f"- {alert.name} {alert.status} {_json(_labels(alert))} {_json(alert.annotations)}", ALERT_CHARS)
        for alert in incident.alerts[-MAX_ALERTS:]
    ]
    more = len(incident.alerts) - len(shown)
    return "\n".join(["Alerts:", *shown, *([f"- and {more} earlier ones"] if more else [])])


def _labels(alert: Alert) -> dict[str, str]:
    """Without those that are told anyway."""
    return {name: value for name, value in alert.labels.items() if name not in TOLD_LABELS}


def lore_part(past: Sequence[PastIncident], runbooks: Sequence[RunbookText], now: datetime | None = None) -> str:
    """Earlier incidents, a line each, and runbooks with why they are given. Data: to be fenced."""
    parts = []
    if past:
        lines = [f"- {line}" for line in told(past, now)]
        parts.append("\n".join(["Earlier incidents like this one, most like it first:", *lines]))
    for runbook in runbooks:
        head = f"Runbook of the operators, {clip(runbook.name, 120)}: {clip(runbook.title, 120)}"
        parts.append(f"{head} (given because {clip(runbook.why_relevant, 300)}):\n{clean(runbook.text)}")
    return "\n\n".join(parts)


def _diagnosis(diagnosis: Diagnosis) -> str:
    about = f" of {clip(diagnosis.target, 200)}" if diagnosis.target else ""
    cited = ", ".join(diagnosis.evidence_ids) or "nothing"
    return (
        f"Suspected cause: {diagnosis.suspected_cause}{about} (confidence {diagnosis.confidence:.2f}, by {cited}): "
        f"{clip(diagnosis.summary, 600)}"
    )


def _attempts(attempts: Sequence[Attempt]) -> str:
    if not attempts:
        return ""
    lines = ["Earlier attempts, none of which helped:"]
    for attempt in attempts:
        actions = ", ".join(attempt.actions) or "no action"
        back = ", rolled back" if attempt.rolled_back else ""
        ended = clip(attempt.why_ended, 200)
        lines.append(f"- attempt {attempt.number}, {attempt.suspected_cause}: {actions}{back}: {ended}")
    return "\n".join(lines)


def _cited(evidence: Sequence[Evidence], diagnosis: Diagnosis) -> list[Evidence]:
    """What the diagnosis rests on; all, where it rests on nothing. The rest has done its work."""
    cited = [item for item in evidence if item.id in diagnosis.evidence_ids]
    return cited or list(evidence)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)

"""Which resource an alert is about, and what kind of trouble it claims.

Labels are hostile until they match something we know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import get_args

from graph.kind import NO_FAULT, STORM, ResourceKind
from graph.records import MAX_LABEL_CHARS, Alert, Diagnosis, Incident, IssueType, Resource

PLACING_LABELS = ("resource_kind", "resource_id", "issue_type", "alertname")
"""All that `place` goes by, for an alert that has its place."""
ISSUE_TYPES: tuple[IssueType, ...] = get_args(IssueType)

_BY_NAME: tuple[tuple[str, IssueType], ...] = (
    (r"repl.*(lag|delay|behind)|(lag|delay).*repl|replica", "replication_lag"),
    (r"disk|filesystem|inode|volume|space|storage", "disk_full"),
    (r"cpu|load(high|avg|average)?\b|high_?load", "high_cpu"),
    (r"timeout|unreachable|port_?down|probe|connection", "connection_timeout"),
    (r"down|dead|failed|crash|absent|not_?running|unavailable", "service_down"),
)


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an alert belongs. `problem`: why it can't be placed, naming the label and the remedy; None if it can."""

    resource_kind: str
    resource_id: str
    issue_type: IssueType
    resource: Resource | None
    problem: str | None = None
    announced: bool = False
    """Whether people are told as soon as the incident is opened."""

    @property
    def key(self) -> tuple[str, str]:
        """Kind and id of the resource."""
        return self.resource_kind, self.resource_id

    @property
    def resource_json(self) -> str | None:
        """The resource as it is stored with the incident."""
        return self.resource.model_dump_json() if self.resource is not None else None


def place(alert: Alert, kinds: Mapping[str, ResourceKind], resources: Mapping[tuple[str, str], Resource]) -> Placed:
    """Find the resource an alert is about, by its `resource_kind` and `resource_id` labels."""
    kind, resource_id = _clean(alert.labels.get("resource_kind", "")), _clean(alert.labels.get("resource_id", ""))
    issue_type = issue_type_of(alert)
    missing = [name for name, value in (("resource_kind", kind), ("resource_id", resource_id)) if not value]
    if missing:
        problem = f"label {' and '.join(missing)} missing: add to the alerting rule or the scrape target's labels"
        return Placed(kind or "unknown", resource_id or f"unplaced-{alert.fingerprint}", issue_type, None, problem)
    if kind == STORM:
        problem = f"label resource_kind={kind!r} is no kind of resource: known are {_listed(kinds)}"
        return Placed("unknown", f"unplaced-{alert.fingerprint}", issue_type, None, problem)
    if kind not in kinds:
        problem = f"label resource_kind={kind!r} names no known kind: known are {_listed(kinds)}"
        return Placed(kind, resource_id, issue_type, None, problem)
    resource = resources.get((kind, resource_id))
    if resource is None:
        problem = f"label resource_id={resource_id!r} names no declared {kind}: add it to `resources` in selfheal.yaml"
        return Placed(kind, resource_id, issue_type, None, problem)
    return Placed(kind, resource_id, issue_type, resource)


def issue_type_of(alert: Alert) -> IssueType:
    """What an alert claims: its `issue_type` label where it is one of ours, else judged by the alert's name."""
    declared = alert.labels.get("issue_type", "")
    if declared in ISSUE_TYPES:
        return declared
    return _issue_type_of_name(alert.name)


@lru_cache(maxsize=4096)
def _issue_type_of_name(alertname: str) -> IssueType:
    """Remembered, as a storm is of few names."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", alertname).lower()
    for pattern, issue_type in _BY_NAME:
        if re.search(pattern, name):
            return issue_type
    return "unknown"


def contradiction(incident: Incident, diagnosis: Diagnosis) -> str:
    """How the diagnosis contradicts what the alerts claim, in a sentence; empty where it does not."""
    claimed = [issue_type for issue_type in incident.issue_types if issue_type != "unknown"]
    if not claimed:
        return ""
    if diagnosis.suspected_cause == NO_FAULT:
        return f"alerted as {' and '.join(claimed)}, but the evidence shows nothing wrong"
    if diagnosis.issue_type in ("unknown", *claimed):
        return ""
    return f"alerted as {' and '.join(claimed)}, but the evidence says {diagnosis.issue_type}"


def cleaned(alert: Alert) -> Alert:
    """The alert with control characters taken out of labels and annotations, and over-long values cut and told."""
    if all(map(_is_clean, (*alert.labels, *alert.labels.values(), *alert.annotations, *alert.annotations.values()))):
        return alert
    return alert.model_copy(
        update={
            "labels": {_clean(key): _clean(value) for key, value in alert.labels.items()},
            "annotations": {_clean(key): _clean(value) for key, value in alert.annotations.items()},
        }
    )


def _is_clean(text: str) -> bool:
    """Whether there is certainly nothing to clean; most texts are so."""
    return len(text) <= MAX_LABEL_CHARS and text.isprintable()


def _clean(text: str) -> str:
    if _is_clean(text):
        return text
    printable = "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
    if len(printable) <= MAX_LABEL_CHARS:
        return printable
    return f"{printable[:MAX_LABEL_CHARS]}… ({len(printable) - MAX_LABEL_CHARS} more characters cut)"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"

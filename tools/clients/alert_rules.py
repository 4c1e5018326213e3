"""Whether an alert's condition holds, as pure functions over what Prometheus answers.

Healed means seen healthy, so doubt counts as still firing: an alert of the same rule that could be ours is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from graph.records import Alert

AlertStateName = Literal["firing", "pending", "inactive", "unknown"]
MAX_EXPRESSION_CHARS = 4096


@dataclass(frozen=True)
class AlertState:
    """`unknown`: there is no way to ask (`by` is `nothing`), or the rule itself does not evaluate."""

    state: AlertStateName
    observed: str
    """In words."""
    by: Literal["rules", "expression", "nothing"]


def state_by_rules(alert: Alert, groups: Iterable[Mapping[str, Any]]) -> AlertState | None:
    """By `/api/v1/rules`; None where no rule has the alert's name. Raises KeyError, TypeError on other shapes."""
    rules = [rule for group in groups for rule in group["rules"] if rule["name"] == alert.name]
    if not rules:
        return None
    active = [(item["labels"], item["state"]) for rule in rules for item in rule.get("alerts") or ()]
    ours = [state for labels, state in active if _within(labels, alert.labels)]
    ours = ours or [state for labels, state in active if not _conflict(labels, alert.labels)]
    for state in ("firing", "pending"):
        if state in ours:
            return AlertState(state, f"Prometheus says {alert.name} is {state}", by="rules")
    for rule in rules:
        if rule.get("health") != "ok":
            why = rule.get("lastError") or "not evaluated yet"
            return AlertState("unknown", f"Prometheus can't evaluate rule {alert.name}: {why}"[:300], by="rules")
    return AlertState("inactive", f"Prometheus says {alert.name} is inactive", by="rules")


def expression_of(alert: Alert) -> str | None:
    """The expression in the alert's generatorURL (`…/graph?g0.expr=up+%3D%3D+0&g0.tab=1`), or None."""
    try:
        given = parse_qs(urlsplit(alert.generator_url).query, max_num_fields=50).get("g0.expr", [])
    except ValueError:  # the URL is none
        return None
    expression = given[0].strip() if given else ""
    return expression if 0 < len(expression) <= MAX_EXPRESSION_CHARS else None


def rule_expression(alert: Alert, groups: Iterable[Mapping[str, Any]]) -> str | None:
    """The expression of the rule that the alert is of, by its name and the labels the rule gives; None without one."""
    rules = [rule for group in groups for rule in group["rules"] if rule["name"] == alert.name]
    ours = [rule for rule in rules if not _conflict(rule.get("labels") or {}, alert.labels)]
    return str(ours[0]["query"]) if ours else None


def conflicts(labels: Mapping[str, str], alert: Alert) -> bool:
    """Whether a series is of something else than the alert."""
    return _conflict({name: value for name, value in labels.items() if name != "__name__"}, alert.labels)


def state_by_expression(alert: Alert, expression: str, found: Iterable[Mapping[str, str]]) -> AlertState:
    """By the labels of the samples that the alert's expression gives now. How long it must hold is not known here."""
    shown = expression if len(expression) <= 80 else f"{expression[:79]}…"
    for labels in found:
        if not conflicts(labels, alert):
            return AlertState("firing", f"no rule {alert.name} in Prometheus; {shown!r} still holds", by="expression")
    return AlertState("inactive", f"no rule {alert.name} in Prometheus; {shown!r} holds no more", by="expression")


def _within(labels: Mapping[str, str], ours: Mapping[str, str]) -> bool:
    """Whether all of these labels are the alert's too; the alert may have more, from `external_labels`."""
    return all(ours.get(name, "") == value for name, value in labels.items())


def _conflict(labels: Mapping[str, str], ours: Mapping[str, str]) -> bool:
    """Whether a label that both have differs: then it is another alert. Senders of minimal bodies leave labels out."""
    return any(name in ours and ours[name] != value for name, value in labels.items())

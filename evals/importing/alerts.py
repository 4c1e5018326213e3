"""Alerts in the shapes that people keep them in, as Alertmanager would have sent them: Alertmanager's own body, version
4, Grafana's and CloudWatch's.

A case begins while its alerts fire, however it ended. What gives the answer away is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from evals.case import InvalidCase
from evals.importing.foreign import time_of
from evals.importing.telling import OF_ALERTS
from graph.records import Alert
from graph.rules.classify import cleaned
from tools.redaction import redact_tree

MOST_ALERTS = 100
_WANTED = 'give Alertmanager\'s body: {"alerts": [{"status": "firing", "labels": {"alertname": …}}]}'


def read_alerts(body: Any, where: str, no_later_than: datetime | None = None) -> tuple[Alert, ...]:
    """All alerts of a body or of several. Raises InvalidCase naming the field."""
    found = [_alert(each, f"{where}.{index}", no_later_than) for index, each in enumerate(_each(body, where))]
    if not found:
        raise InvalidCase(f"{where}: no alert in it; {_WANTED}")
    if len(found) > MOST_ALERTS:
        raise InvalidCase(f"{where}: {len(found)} alerts; at most {MOST_ALERTS} are one case")
    return tuple({alert.fingerprint: alert for alert in found}.values())


def began_at(body: Any, where: str) -> datetime | None:
    """When the first alert began, where any says so."""
    times = [_began(each, where) for each in _each(body, where)]
    return min((each for each in times if each is not None), default=None)


def _each(body: Any, where: str) -> list[Mapping[str, Any]]:
    if isinstance(body, list):
        return [alert for index, item in enumerate(body) for alert in _each(item, f"{where}.{index}")]
    if not isinstance(body, dict):
        raise InvalidCase(f"{where}: an object is wanted, not {type(body).__name__}; {_WANTED}")
    if isinstance(body.get("alerts"), list):
        common = body.get("commonAnnotations") or {}
        return [
            {**alert, "annotations": {**_texts(common), **_texts(alert.get("annotations"))}}
            for alert in _each(body["alerts"], f"{where}.alerts")
        ]
    return [body]


def _alert(told: Mapping[str, Any], where: str, no_later_than: datetime | None) -> Alert:
    labels = _texts(told.get("labels") or told.get("commonLabels")) or _of_cloudwatch(told)
    if not labels and told.get("title"):
        labels = {"alertname": str(told["title"])}
    annotations = _texts(told.get("annotations") or told.get("commonAnnotations"))
    annotations |= {key: str(told[key]) for key in ("title", "message") if isinstance(told.get(key), str)}
    if not labels:
        raise InvalidCase(f"{where}: labels: none; {_WANTED}")
    began = _began(told, where)
    if began is not None and no_later_than is not None:
        began = min(began, no_later_than)  # a clock of another zone is no news from the future
    try:
        alert = Alert(
            status="firing",
            labels=_untold(labels),
            annotations=_untold(annotations),
            startsAt=began,
            fingerprint=str(told.get("fingerprint") or "")[:64],
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidCase(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}; {_WANTED}") from error
    return cleaned(alert)


def _of_cloudwatch(told: Mapping[str, Any]) -> dict[str, str]:
    """The message of a CloudWatch alarm: its name, metric and dimensions."""
    if not isinstance(told.get("AlarmName"), str):
        return {}
    trigger = told["Trigger"] if isinstance(told.get("Trigger"), dict) else told
    labels = {"alertname": told["AlarmName"]}
    for label, key in (("metric_name", "MetricName"), ("namespace", "Namespace")):
        if isinstance(trigger.get(key), str):
            labels[label] = trigger[key]
    dimensions = trigger.get("Dimensions")
    for each in dimensions if isinstance(dimensions, list) else ():
        named = {str(key).lower(): value for key, value in each.items()} if isinstance(each, dict) else {}
        if named.get("name"):
            labels[str(named["name"])] = str(named.get("value", ""))
    return labels


def _began(told: Mapping[str, Any], where: str) -> datetime | None:
    for key in ("startsAt", "starts_at", "StateChangeTime", "StateUpdatedTimestamp", "activeAt", "timestamp"):
        if told.get(key):
            return time_of(told[key], f"{where}.{key}")
    return None


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {str(key): str(item) for key, item in value.items() if isinstance(item, str | int | float)}


def _untold(told: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = redact_tree({key: value for key, value in told.items() if not OF_ALERTS.search(key)})
    return {key: str(value) for key, value in kept.items()}

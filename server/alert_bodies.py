"""From the JSON of a webhook to alerts: one broken alert must not take its healthy siblings with it.

Alertmanager never sends a body again that was answered 4xx, so refusing a whole group for one bad alert would lose
the others. What is wrong with an alert is told by field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from graph.records import Alert, AlertGroup
from graph.rules.classify import cleaned
from server.errors import ApiError
from server.settings_errors import path_text

REMEDY = (
    "send Alertmanager's webhook message, version 4; the least is {'alerts': [{'status': 'firing', 'labels': {…}}]}"
)
MAX_TEXT = 2048

FINGERPRINT = r"[0-9A-Za-z_-]{1,64}"
_FINGERPRINT = re.compile(FINGERPRINT)


@dataclass(frozen=True)
class BadAlert:
    """An alert that can't be understood: its place in the group, the field, and what is wrong with it."""

    index: int
    field: str
    problem: str


@dataclass(frozen=True)
class ReceivedGroup:
    """A group as far as it was understood. `positions` are the places of `group.alerts` in what was sent."""

    group: AlertGroup
    positions: tuple[int, ...]
    bad: tuple[BadAlert, ...]


def read_group(content: Any) -> ReceivedGroup:
    """Alerts, cleaned and bounded. Raises ApiError 422 where the message, or every alert in it, makes no sense."""
    if not isinstance(content, dict):
        raise ApiError(422, f"the body must be an object, found {_kind(content)}", "body", REMEDY)
    sent = content.get("alerts")
    if not isinstance(sent, list) or not sent:
        found = "it is missing" if "alerts" not in content else "it is empty" if sent == [] else f"found {_kind(sent)}"
        raise ApiError(422, f"alerts must be a list of at least one alert: {found}", "alerts", REMEDY)
    read = [_alert(index, item) for index, item in enumerate(sent)]
    good = {index: item for index, item in enumerate(read) if isinstance(item, Alert)}
    bad = tuple(item for item in read if isinstance(item, BadAlert))
    if not good:
        raise ApiError(422, f"{bad[0].field}: {bad[0].problem}", bad[0].field, REMEDY, problems=_listed(bad))
    return ReceivedGroup(_group(content, tuple(good.values())), tuple(good), bad)


def _group(content: Mapping[str, Any], alerts: tuple[Alert, ...]) -> AlertGroup:
    about = {key: _bounded(value) for key, value in content.items() if key != "alerts" and value is not None}
    try:
        return AlertGroup.model_validate({**about, "alerts": alerts})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = path_text(first["loc"])
        raise ApiError(422, f"{field}: {first['msg']}", field, REMEDY) from None


def _alert(index: int, item: Any) -> Alert | BadAlert:
    at = f"alerts[{index}]"
    if not isinstance(item, dict):
        return BadAlert(index, at, f"must be an object, found {_kind(item)}")
    if item.get("labels") == {}:
        return BadAlert(index, f"{at}.labels", "must not be empty: at least alertname, resource_kind and resource_id")
    # Absent and null mean the same here; a fingerprint of another shape is no Alertmanager's, so it is made anew.
    given = {key: value for key, value in item.items() if value is not None}
    if isinstance(given.get("fingerprint"), str) and not _FINGERPRINT.fullmatch(given["fingerprint"]):
        del given["fingerprint"]
    try:
        alert = Alert.model_validate(given)
        update = {"starts_at": _utc(alert.starts_at), "ends_at": _utc(alert.ends_at)}
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        message = "missing: add it" if first["type"] == "missing" else str(first["msg"])
        return BadAlert(index, f"{at}.{path_text(first['loc'])}"[:200], message)
    except OverflowError:
        return BadAlert(index, f"{at}.startsAt", "is a time beyond the calendar")
    return cleaned(alert).model_copy(update={**update, "generator_url": _bounded(alert.generator_url)})


def _utc(moment: datetime | None) -> datetime | None:
    """None too for Alertmanager's zero time, the year 1, which means `not yet`."""
    if moment is None or moment.year == 1:
        return None
    return moment.astimezone(UTC)


def _bounded(value: Any) -> Any:
    return value[:MAX_TEXT] if isinstance(value, str) else value


def _listed(bad: tuple[BadAlert, ...]) -> list[dict[str, str]]:
    return [{"field": item.field, "error": item.problem} for item in bad[:20]]


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")

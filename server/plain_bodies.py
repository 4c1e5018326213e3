"""Reads at once what Alertmanager usually sends; whatever is unusual about a body is left to `server.alert_bodies`.

A storm comes in bodies that are plain: ASCII, with Alertmanager's keys and no others, every value of its type and short
enough. Those are parsed and validated in one go, and need no cleaning. Nothing is ever refused here: None means that
the careful way must be taken, which knows what to do and how to tell.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from pydantic_core import SchemaValidator, ValidationError, core_schema

from graph.records import MAX_LABEL_CHARS, Alert, AlertGroup
from server.alert_bodies import FINGERPRINT, MAX_TEXT, ReceivedGroup

_ESCAPES = re.compile(rb"\\(?:[bfr]|u(?!00(?:26|3[ceCE])))")
"""Of characters that need a second look. Go escapes & < > as \\u0026, \\u003c and \\u003e."""


def read_plain(body: bytes) -> ReceivedGroup | None:
    """The group, as `read_group` would have read it; or None where the body is not plain."""
    if not body.isascii() or b"\x7f" in body or (b"\\" in body and _ESCAPES.search(body)):
        return None
    try:
        group: AlertGroup = _GROUP.validate_json(body)
    except (ValidationError, OverflowError):
        return None
    try:
        for alert in group.alerts:
            # Frozen for everybody else; nobody has seen them yet.
            values = alert.__dict__
            values["starts_at"], values["ends_at"] = _utc(values["starts_at"]), _utc(values["ends_at"])
    except OverflowError:
        return None
    return ReceivedGroup(group, tuple(range(len(group.alerts))), ())


def _utc(moment: datetime | None) -> datetime | None:
    """None too for Alertmanager's zero time, the year 1."""
    return None if moment is None or moment.year == 1 else moment.astimezone(UTC)


def _schema() -> core_schema.CoreSchema:
    label = core_schema.str_schema(max_length=MAX_LABEL_CHARS)
    labels = core_schema.dict_schema(label, label)
    text = core_schema.str_schema(max_length=MAX_TEXT)
    status = core_schema.literal_schema(["firing", "resolved"])
    time = core_schema.datetime_schema(tz_constraint="aware")
    alert = {
        "status": _field(status),
        "labels": _field(core_schema.dict_schema(label, label, min_length=1)),
        "annotations": _field(labels, {}),
        "starts_at": _field(time, None, "startsAt"),
        "ends_at": _field(time, None, "endsAt"),
        "generator_url": _field(text, "", "generatorURL"),
        "fingerprint": _field(core_schema.str_schema(pattern=f"^{FINGERPRINT}$")),
    }
    group = {
        "alerts": _field(core_schema.tuple_variable_schema(_model(Alert, alert), min_length=1)),
        "receiver": _field(text, ""),
        "status": _field(status, None),
        "group_key": _field(text, "", "groupKey"),
        "group_labels": _field(labels, {}, "groupLabels"),
        "common_labels": _field(labels, {}, "commonLabels"),
        "external_url": _field(text, "", "externalURL"),
        "truncated_alerts": _field(core_schema.int_schema(ge=0, le=10**9), 0, "truncatedAlerts"),
        "version": _field(text, "4"),
        "commonAnnotations": _field(labels, {}),
    }
    return _model(AlertGroup, group)


_MISSING = object()


def _field(schema: core_schema.CoreSchema, default: Any = _MISSING, alias: str | None = None) -> core_schema.ModelField:
    if default is not _MISSING:
        given: dict[str, Any] = {"default_factory": dict} if default == {} else {"default": default}
        schema = core_schema.with_default_schema(schema, **given)
    return core_schema.model_field(schema, validation_alias=alias)


def _model(made: type[Any], fields: dict[str, core_schema.ModelField]) -> core_schema.CoreSchema:
    """Other keys are not plain: what is in them might be nested to the sky."""
    return core_schema.model_schema(made, core_schema.model_fields_schema(fields, extra_behavior="forbid"))


# Else the models' own validators would be taken, which want less. Values differ from body to body: remembering them, as
# keys are, would keep a megabyte and make nothing quicker.
_GROUP = SchemaValidator(_schema(), core_schema.CoreConfig(cache_strings="keys"), _use_prebuilt=False)

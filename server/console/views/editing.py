"""The form in which a plan is edited, from the JSON schemas of its actions' params, and back: fields to steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Control = Literal["select", "number", "flag", "text", "json"]
Schema = Mapping[str, Any]

MAX_STEPS = 20


@dataclass(frozen=True)
class Field:
    """One input: its form name, what it is called, how it is shown, what it may be and what it is."""

    name: str
    label: str
    control: Control
    options: tuple[Any, ...]
    value: Any
    required: bool
    hint: str = ""


@dataclass(frozen=True)
class StepForm:
    """One step: whether it is to run, as which, and its params."""

    index: int
    action: str
    summary: str
    risk: str
    use: bool
    order: int
    fields: tuple[Field, ...]
    others: str = "{}"
    """JSON of the params that the schema does not name: sent along as they are."""


class InvalidForm(ValueError):
    """The form can't be read; the message names the field."""


def step_forms(choices: Mapping[str, Any], steps: Sequence[Mapping[str, Any]] | None = None) -> list[StepForm]:
    """A form for each of these steps, or of those that wait. Steps whose action is not permitted have no fields."""
    actions = {action["name"]: action for action in choices["actions"]}
    wanted = choices["steps"] if steps is None else steps
    return [_step_form(index, step, actions.get(step["action"], {})) for index, step in enumerate(wanted)]


def steps_of(form: Mapping[str, str], choices: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The steps that a filled-in form stands for, in the order it gives. Raises InvalidForm."""
    schemas = {action["name"]: action["params"] for action in choices["actions"]}
    found: list[tuple[float, int, dict[str, Any]]] = []
    for index in range(MAX_STEPS):
        action = form.get(f"action_{index}")
        if action is None:
            break
        if not form.get(f"use_{index}"):
            continue
        schema = schemas.get(action, {})
        properties = schema.get("properties", {})
        params = _others(form, index)
        for name, item in properties.items():
            if (value := _read(form, f"param_{index}_{name}", _resolved(item, schema))) is not None:
                params[name] = value
        found.append((_order(form, index), index, {"action": action, "params": params}))
    return [step for _, _, step in sorted(found, key=lambda item: item[:2])]


def _step_form(index: int, step: Mapping[str, Any], action: Mapping[str, Any]) -> StepForm:
    schema = action.get("params", {})
    required = set(schema.get("required", ()))
    params = step.get("params", {})
    fields = tuple(
        _field(f"param_{index}_{name}", name, _resolved(item, schema), params.get(name), name in required)
        for name, item in schema.get("properties", {}).items()
    )
    others = json.dumps({name: value for name, value in params.items() if name not in schema.get("properties", {})})
    use, order = bool(step.get("use", True)), int(step.get("order", index + 1))
    return StepForm(
        index, step["action"], action.get("summary", ""), action.get("risk", ""), use, order, fields, others
    )


def _field(name: str, label: str, schema: Schema, value: Any, required: bool) -> Field:
    options: tuple[Any, ...] = tuple(schema.get("enum") or (("const" in schema and (schema["const"],)) or ()))
    if value is None:
        value = schema.get("default")
    hint = str(schema.get("description", ""))
    if options:
        if not required and None not in options:
            options = (None, *options)
        return Field(name, label, "select", options, value, required, hint)
    kind = schema.get("type")
    if kind == "boolean":
        return Field(name, label, "flag", (), bool(value), required, hint)
    if kind in ("integer", "number"):
        return Field(name, label, "number", (), value, required, hint)
    if kind == "string":
        return Field(name, label, "text", (), value, required, hint)
    return Field(name, label, "json", (), "" if value is None else json.dumps(value), required, hint)


def _resolved(item: Schema, schema: Schema) -> Schema:
    """The schema behind a reference, and of `X | None` that of X."""
    if "$ref" in item:
        name = str(item["$ref"]).rpartition("/")[2]
        return {**schema.get("$defs", {}).get(name, {}), **{k: v for k, v in item.items() if k != "$ref"}}
    several = [one for one in item.get("anyOf", ()) if one.get("type") != "null"]
    if len(several) == 1:
        return {**_resolved(several[0], schema), **{k: v for k, v in item.items() if k != "anyOf"}}
    return item


def _read(form: Mapping[str, str], name: str, schema: Schema) -> Any:
    """A field's value as its type; None where it was left out."""
    given = form.get(name)
    if schema.get("type") == "boolean" and not schema.get("enum"):
        return bool(given)
    if given is None or given == "":
        return None
    options = schema.get("enum") or (("const" in schema and [schema["const"]]) or [])
    for option in options:
        if str(option) == given:
            return option
    kind = schema.get("type")
    try:
        if kind == "integer":
            return int(given)
        if kind == "number":
            return float(given)
        return given if kind == "string" or options else json.loads(given)
    except ValueError:
        raise InvalidForm(f"{name.split('_', 2)[-1]}: {given!r:.60} is no {kind or 'JSON'}") from None


def _others(form: Mapping[str, str], index: int) -> dict[str, Any]:
    try:
        return dict(json.loads(form.get(f"others_{index}") or "{}"))
    except (TypeError, ValueError):
        raise InvalidForm(f"params of step {index + 1}: no JSON object") from None


def _order(form: Mapping[str, str], index: int) -> float:
    try:
        return float(form.get(f"order_{index}") or index + 1)
    except ValueError:
        raise InvalidForm(f"order of step {index + 1}: must be a number") from None

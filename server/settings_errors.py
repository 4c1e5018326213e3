"""Configuration errors in words an operator can act on: which key, what is wrong, what to do."""

from __future__ import annotations

import difflib
import types
from collections.abc import Collection, Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError


class ConfigError(Exception):
    """What is wrong with the configuration: `where` (a file or `environment`), and every problem."""

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        self.where = where
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{where}: {problem}" for problem in problems))


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One line per problem: `healing.soak_second: unknown key, did you mean soak_seconds?`."""
    return [_problem(dict(item), model) for item in error.errors(include_url=False)]


def path_text(location: Sequence[int | str]) -> str:
    """`("resources", 0, "ssh")` → `resources[0].ssh`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text


def known_instead(given: str, known: Collection[str]) -> str:
    """What goes behind an unknown name: `, did you mean 'Instance'? known are Database, Instance`."""
    close = difflib.get_close_matches(given, list(known), n=1, cutoff=0.7)
    hint = f", did you mean {close[0]!r}?" if close else ":"
    return f"{hint} known are {', '.join(sorted(known)) or 'none'}"


def _problem(item: dict[str, Any], model: type[BaseModel]) -> str:
    location = tuple(item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        return f"{path_text(location)}: unknown key{_suggestion(str(location[-1]), known)}"
    if item["type"] == "missing":
        return f"{path_text(location)}: missing: add it"
    given = item.get("input")
    told = isinstance(given, str | int | float | bool) and not _is_secret(model, location)
    shown = f" (given: {given!r:.80})" if told else ""
    where = path_text(location)
    return f"{where}: {message}{shown}" if where else f"{message}{shown}"


def _suggestion(key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if close:
        return f", did you mean `{close[0]}`?"
    return f": remove it; known here are {', '.join(known)}" if known else ": remove it"


def _keys_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """The keys known at a place of the file, found by walking the models."""
    current: Any = model
    for part in location:
        if isinstance(part, int):
            continue
        models = _models_in(current)
        field = next((m.model_fields[part] for m in models if part in m.model_fields), None)
        if field is None:
            return []
        current = field.annotation
    return sorted({name for found in _models_in(current) for name in found.model_fields})


def _is_secret(model: type[BaseModel], location: Sequence[int | str]) -> bool:
    """Whether what is given there must not be shown: by its type, or a URL whose path may be the secret."""
    if tuple(location) == ("notify", "url"):
        return True
    current: Any = model
    for part in location:
        if isinstance(part, str) and (models := _models_in(current)):
            field = next((m.model_fields[part] for m in models if part in m.model_fields), None)
            current = field.annotation if field is not None else None
    return current is SecretStr or SecretStr in get_args(current)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, types.UnionType, tuple, list):
        return [found for argument in get_args(annotation) for found in _models_in(argument)]
    return []

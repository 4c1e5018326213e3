"""Reads the policies, JSON objects as people write them, and refuses what would silently mean something else.

A policy that names an issue type nobody knows would never apply, and the operator would learn it during an outage.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from graph.records import Policy, PolicyList
from graph.rules.classify import ISSUE_TYPES
from server.settings_errors import ConfigError, known_instead, path_text


def load_policies(
    source: Path | Sequence[Any], known_kinds: Collection[str], known_actions: Collection[str] | None = None
) -> tuple[Policy, ...]:
    """Policies from a JSON file or an inline list. Raises ConfigError naming every wrong entry."""
    if isinstance(source, Path):
        return parse_policies(_read(source), known_kinds, known_actions, where=str(source))
    return parse_policies(list(source), known_kinds, known_actions, where="policies in the configuration")


def parse_policies(
    content: Any, known_kinds: Collection[str], known_actions: Collection[str] | None = None, where: str = "policies"
) -> tuple[Policy, ...]:
    """Policies from a list of objects, `{"policies": [...]}`, or one object alone."""
    entries = _entries(content, where)
    problems: list[str] = []
    policies: list[Policy] = []
    for index, entry in enumerate(entries):
        found = _problems(index, entry, known_kinds, known_actions)
        if found:
            problems += found
        else:
            policies.append(_policy(entry))
    if problems:
        raise ConfigError(where, problems)
    try:
        return PolicyList(policies=tuple(policies)).policies
    except ValidationError as error:
        raise ConfigError(where, [str(item["msg"]).removeprefix("Value error, ") for item in error.errors()]) from error


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        remedy = "write [] there for no policies, or correct `policies` in the configuration"
        raise ConfigError(str(file), [f"there is no such file: {remedy}"]) from None
    except json.JSONDecodeError as error:
        raise ConfigError(str(file), [f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}"]) from error
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(str(file), [f"cannot be read: {error}"]) from error


def _entries(content: Any, where: str) -> list[Any]:
    if isinstance(content, dict):
        if "policies" not in content:
            return [content]
        if extra := sorted(set(content) - {"policies"}):
            raise ConfigError(where, [f"{extra[0]}: unknown key beside `policies`: remove it"])
        content = content["policies"]
    if not isinstance(content, list):
        raise ConfigError(where, [f"must be a list of policies, found a {type(content).__name__}"])
    return content


def _policy(entry: Any) -> Policy:
    # Strict and in JSON mode: "no" and 1 must not become a yes, while a JSON list is still a tuple.
    return Policy.model_validate_json(json.dumps(entry), strict=True)


def _problems(index: int, entry: Any, kinds: Collection[str], actions: Collection[str] | None) -> list[str]:
    """All that is wrong with one entry, each line naming it."""
    at = f"policies[{index}]"
    if not isinstance(entry, dict):
        wanted = "an object with resource_kind, issue_type, auto_heal and max_retries"
        return [f"{at}: must be {wanted}, found {entry!r:.60}"]
    problems = []
    try:
        _policy(entry)
    except ValidationError as error:
        problems = [_problem(at, dict(item)) for item in error.errors(include_url=False)]
    kind = entry.get("resource_kind")
    if isinstance(kind, str) and kind not in kinds:
        problems.append(f"{at}.resource_kind: unknown kind {kind!r}{known_instead(kind, kinds)}")
    allowed = entry.get("allow_destructive", [])
    for position, name in enumerate(allowed if isinstance(allowed, list) and actions is not None else []):
        if isinstance(name, str) and name not in (actions or ()):
            problems.append(
                f"{at}.allow_destructive[{position}]: unknown action {name!r}{known_instead(name, actions or ())}"
            )
    return problems


def _problem(at: str, item: dict[str, Any]) -> str:
    location = tuple(item["loc"])
    where = f"{at}.{path_text(location)}" if location else at
    given = item.get("input")
    if item["type"] == "missing":
        return f"{where}: missing: add it"
    if item["type"] == "extra_forbidden":
        return f"{where}: unknown key{known_instead(str(location[-1]), sorted(Policy.model_fields))}"
    if location == ("issue_type",):
        return f"{where}: unknown issue type {given!r:.60}{known_instead(str(given), ISSUE_TYPES)}"
    if location == ("max_retries",) and isinstance(given, int) and not isinstance(given, bool) and given < 0:
        return f"{where}: must not be negative (given: {given}): 0 never acts, 1 tries once"
    return f"{where}: {str(item['msg']).removeprefix('Value error, ')} (given: {given!r:.60})"

"""A cache of tool calls in whatever form it was kept: each call's tool, arguments and answer. Nothing is run: arguments
are read as JSON or as Python's literals.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evals.case import InvalidCase

MOST_CALLS = 1_000
_MOST_ARGS = 10_000
_CALL = re.compile(r"\s*([A-Za-z_][\w./:-]{0,120})\s*\((.*)\)\s*\Z", re.DOTALL)
_SPACED = re.compile(r"\s*([A-Za-z_][\w./-]{0,120})\s*[:| ]\s*(\{.*\})\s*\Z", re.DOTALL)
_TOOL = ("tool", "tool_name", "name", "function")
_ARGS = ("args", "arguments", "params", "parameters", "input", "kwargs", "tool_input")
_RESULT = ("result", "output", "response", "answer", "content", "value", "data")
_LISTS = ("calls", "tool_calls", "cache", "entries", "tool_cache")
_WANTED = 'give {"tool_name({\\"a\\": 1})": answer}, or a list of {"tool": …, "args": …, "result": …}'


@dataclass(frozen=True)
class ToolCall:
    """One cached call. An answer that was kept as JSON in a text is read."""

    tool: str
    args: Mapping[str, Any]
    answer: Any


def read_calls(told: Any, where: str) -> tuple[ToolCall, ...]:
    """Raises InvalidCase naming the entry that can't be read."""
    found = []
    for call in _calls(told, where):
        found.append(call)
        if len(found) > MOST_CALLS:
            raise InvalidCase(f"{where}: more than {MOST_CALLS} calls; leave out what no diagnosis needs")
    if not found:
        raise InvalidCase(f"{where}: no call in it; {_WANTED}")
    return tuple(found)


def _calls(told: Any, where: str) -> Iterator[ToolCall]:
    if isinstance(told, list):
        for index, item in enumerate(told):
            yield _entry(item, f"{where}: {index}")
        return
    if not isinstance(told, dict):
        raise InvalidCase(f"{where}: an object or a list is wanted, not {type(told).__name__}; {_WANTED}")
    for name in _LISTS:
        if isinstance(told.get(name), list | dict) and len(told) <= 3:
            yield from _calls(told[name], f"{where}: {name}")
            return
    for key, answer in told.items():
        yield from _keyed(key, answer, f"{where}: {key[:80]}")


def _keyed(key: str, answer: Any, where: str) -> Iterator[ToolCall]:
    if isinstance(answer, dict) and _first(answer, _TOOL) and any(name in answer for name in _RESULT):
        yield _entry(answer, where)
    elif isinstance(answer, dict) and _first(answer, _ARGS) is not None and any(name in answer for name in _RESULT):
        yield _entry({"tool": key, **answer}, where)
    elif (
        isinstance(answer, list) and answer and all(isinstance(i, dict) and any(n in i for n in _ARGS) for i in answer)
    ):
        for index, item in enumerate(answer):
            yield _entry({"tool": key, **item}, f"{where}.{index}")
    elif isinstance(answer, dict) and answer and all(inner.lstrip().startswith("{") for inner in answer):
        for inner, result in answer.items():  # tool → arguments → answer
            yield ToolCall(key, _arguments(inner, where), _unpacked(result))
    else:
        tool, args = _called(key, where)
        yield ToolCall(tool, args, _unpacked(answer))


def _entry(item: Any, where: str) -> ToolCall:
    if not isinstance(item, dict):
        raise InvalidCase(f"{where}: an object is wanted, not {type(item).__name__}; {_WANTED}")
    tool = _first(item, _TOOL)
    if isinstance(tool, dict):  # {"function": {"name": …, "arguments": …}}
        item = {**item, **tool}
        tool = tool.get("name")
    if not isinstance(tool, str) or not tool:
        raise InvalidCase(f"{where}: tool: missing; {_WANTED}")
    name = next((each for each in _RESULT if each in item), None)
    if name is None:
        raise InvalidCase(f"{where}: result: missing; {_WANTED}")
    args = _first(item, _ARGS)
    given = args if isinstance(args, dict) else _arguments(args, where) if isinstance(args, str) else {}
    return ToolCall(tool, given, _unpacked(item[name]))


def _called(key: str, where: str) -> tuple[str, Mapping[str, Any]]:
    """`tool({"a": 1})`, `tool(a=1, b="x")`, `tool:{…}`, an object as a text, or the bare name."""
    if key.lstrip().startswith("{"):
        told = _unpacked(key)
        if isinstance(told, dict) and isinstance(tool := _first(told, _TOOL), str):
            args = _first(told, _ARGS)
            return tool, args if isinstance(args, dict) else {}
    match = _CALL.match(key) or _SPACED.match(key)
    return (match[1], _arguments(match[2], where)) if match else (key[:120], {})


def _arguments(text: str, where: str) -> Mapping[str, Any]:
    text = text.strip()
    if not text:
        return {}
    if len(text) > _MOST_ARGS:
        raise InvalidCase(f"{where}: arguments of {len(text)} characters; at most {_MOST_ARGS} are read")
    try:
        told = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        told = _literals(text)
    return told if isinstance(told, dict) else {"arguments": told}


def _literals(text: str) -> Any:
    """Keyword arguments or one literal, as Python writes them; the text itself where it is neither."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        assert isinstance(call, ast.Call)
        named = {each.arg: ast.literal_eval(each.value) for each in call.keywords if each.arg}
        return named or (ast.literal_eval(call.args[0]) if len(call.args) == 1 else text)
    except (SyntaxError, ValueError, TypeError, AssertionError, MemoryError, RecursionError):
        return text


def _unpacked(answer: Any) -> Any:
    """An answer in a text of JSON, or beside its own `status`, as what it is."""
    if isinstance(answer, str) and answer.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(answer)
        except (json.JSONDecodeError, RecursionError):
            return answer
    return answer


def _first(told: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((told[name] for name in names if name in told), None)

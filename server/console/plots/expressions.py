"""What an alerting rule measures, and against which threshold: read off its expression, at its top level only.

What can't be read is no error: then the expression is drawn as it is, or not at all.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

MAX_CHARS = 4096
_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    |(?P<comment>\#[^\n]*)
    |(?P<space>\s+)
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<word>[A-Za-z_:0-9.][\w:.]*)
    |(?P<op>==|!=|>=|<=|=~|!~|[-+*/%^=<>(){}\[\],@])""",
    re.X | re.S,
)
_COMPARISONS = ("==", "!=", ">=", "<=", ">", "<")
_MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


@dataclass(frozen=True)
class Measured:
    """One thing that is measured. The alert fires where `query` `comparison` `threshold` (None: it is no number)."""

    query: str
    comparison: str = ""
    threshold: float | None = None


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def measured(expression: str) -> tuple[Measured, ...]:
    """What the expression compares, in its order; empty where it can't be read.

    Of `a or b` and `a and b` both sides are measured, of `a unless b` the left one.
    """
    tokens = _tokens(expression)
    if tokens is None or len(expression) > MAX_CHARS:
        return ()
    found = (_comparison(expression, side) for side in _sides(tokens))
    return tuple(dict.fromkeys(item for item in found if item is not None))


def _tokens(expression: str) -> list[_Token] | None:
    found: list[_Token] = []
    position = 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None:
            return None
        kind = str(match.lastgroup)
        if kind not in ("space", "comment"):
            found.append(_Token(kind, match.group(), position))
        position = match.end()
    return found if _balanced(found) else None


def _balanced(tokens: Sequence[_Token]) -> bool:
    opened: list[str] = []
    for token in tokens:
        if token.kind == "op" and token.text in "({[":
            opened.append({"(": ")", "{": "}", "[": "]"}[token.text])
        elif token.kind == "op" and token.text in ")}]" and (not opened or opened.pop() != token.text):
            return False
    return not opened and bool(tokens)


def _top(tokens: Sequence[_Token]) -> Iterator[tuple[int, _Token]]:
    """The tokens that are inside of no brackets."""
    depth = 0
    for index, token in enumerate(tokens):
        if token.kind == "op" and token.text in "({[":
            depth += 1
        elif token.kind == "op" and token.text in ")}]":
            depth -= 1
        elif depth == 0:
            yield index, token


def _sides(tokens: Sequence[_Token]) -> Iterator[Sequence[_Token]]:
    """The operands of the set operators, those after `unless` left out."""
    tokens = _bare(tokens)
    splits = [(i, t.text.lower()) for i, t in _top(tokens) if t.kind == "word" and t.text.lower() in _SETS]
    if not splits:
        yield tokens
        return
    start, excluded = 0, False
    for index, word in [*splits, (len(tokens), "or")]:
        side = tokens[start:index]
        if side and not excluded:
            yield from _sides(_unmatched(side) if start else side)
        excluded, start = word == "unless", index + 1


_SETS = ("and", "or", "unless")


def _unmatched(tokens: Sequence[_Token]) -> Sequence[_Token]:
    """Without the `on (…)` or `ignoring (…)` that belongs to the operator before it."""
    if len(tokens) > 1 and tokens[0].text.lower() in ("on", "ignoring") and tokens[1].text == "(":
        closing = next((index for index, token in enumerate(tokens) if token.text == ")"), len(tokens))
        return tokens[closing + 1 :]
    return tokens


def _bare(tokens: Sequence[_Token]) -> Sequence[_Token]:
    """Without brackets around all of it."""
    while len(tokens) > 2 and tokens[0].text == "(" and tokens[-1].text == ")" and not list(_top(tokens[:-1]))[:1]:
        if not _balanced(tokens[1:-1]):
            break
        tokens = tokens[1:-1]
    return tokens


def _comparison(expression: str, tokens: Sequence[_Token]) -> Measured | None:
    if not tokens:
        return None
    at = next((i for i, t in _top(tokens) if t.kind == "op" and t.text in _COMPARISONS), None)
    if at is None:
        return None if constant(tokens) is not None else Measured(_text(expression, tokens))
    left, right, comparison = tokens[:at], tokens[at + 1 :], tokens[at].text
    if right and right[0].text.lower() == "bool":
        right = right[1:]
    if not left or not right:
        return None
    if constant(left) is not None and constant(right) is None:
        left, right, comparison = right, left, _MIRRORED[comparison]
    if constant(left) is not None:
        return None
    return Measured(_text(expression, _bare(left)), comparison, constant(right))


def _text(expression: str, tokens: Sequence[_Token]) -> str:
    return expression[tokens[0].at : tokens[-1].at + len(tokens[-1].text)].strip()


def constant(tokens: Sequence[_Token]) -> float | None:
    """The number that these tokens come to, or None where it is more than sums and products of numbers."""
    try:
        value, rest = _sum(list(tokens))
    except (ValueError, ZeroDivisionError, IndexError, OverflowError, RecursionError):
        return None
    return None if rest else value


def _sum(tokens: list[_Token]) -> tuple[float, list[_Token]]:
    return _chain(tokens, "+-", _product)


def _product(tokens: list[_Token]) -> tuple[float, list[_Token]]:
    return _chain(tokens, "*/", _atom)


def _chain(
    tokens: list[_Token], signs: str, part: Callable[[list[_Token]], tuple[float, list[_Token]]]
) -> tuple[float, list[_Token]]:
    value, rest = part(tokens)
    while rest and rest[0].kind == "op" and rest[0].text in signs:
        sign = rest[0].text
        following, rest = part(rest[1:])
        value = _ARITHMETIC[sign](value, following)
    return value, rest


def _atom(tokens: list[_Token]) -> tuple[float, list[_Token]]:
    first = tokens[0]
    if first.kind == "number":
        return float(first.text), tokens[1:]
    if first.text in "+-" and first.kind == "op":
        value, rest = _atom(tokens[1:])
        return (-value if first.text == "-" else value), rest
    if first.text != "(":
        raise ValueError(first.text)
    value, rest = _sum(tokens[1:])
    if not rest or rest[0].text != ")":
        raise ValueError("unclosed")
    return value, rest[1:]

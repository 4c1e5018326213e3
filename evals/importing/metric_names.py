"""What a series is called in PromQL or nearly so, taken apart: the metric, its labels, and what was done to it.

Names come truncated as often as not (`irate(node_disk_read_bytes_total`), so this reads what is there and never
complains.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MOST_CHARS = 1_000
_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)\s*=~?\s*"([^"\n]*)"')
_WORD = re.compile(r"[A-Za-z_:][A-Za-z0-9_:.]*")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)?")
_BRACES = re.compile(r"\{[^}]*\}?|\[[^\]]*\]?")
_NO_METRIC = frozenset(
    ("by", "without", "on", "ignoring", "bool", "offset", "and", "or", "unless", "sum", "avg", "min", "max")
)
_RATES = frozenset(("rate", "irate", "increase", "delta", "idelta", "deriv"))
_ARITHMETIC = re.compile(r"[-+*/%^]")
_INVERTED = re.compile(r"\s*\(*\s*(?:100|1)(?:\.0)?\s*-|\s*\(*\s*100\s*\*\s*\(+\s*1\s*-")


@dataclass(frozen=True)
class MetricName:
    """`metric` is empty where there is none in the text."""

    text: str
    metric: str
    labels: Mapping[str, str] = field(default_factory=dict)
    is_rate: bool = False
    inverted: bool = False
    """`100 - …` or `1 - …`: what is told is the rest."""
    is_calculated: bool = False
    """Something is done to it that makes it another quantity: a share of bytes is no bytes."""


def read_name(text: str) -> MetricName:
    """From a metric's bare name or an expression over it."""
    text = text[:MOST_CHARS]
    bare = _GROUPING.sub(" ", _BRACES.sub(" ", text))
    metric, is_rate = "", False
    for word in _WORD.finditer(bare):
        called = bare[word.end() :].lstrip().startswith("(")
        is_rate = is_rate or (called and word.group() in _RATES)
        if not called and word.group() not in _NO_METRIC:
            metric = word.group()
            break
    inverted, is_calculated = bool(_INVERTED.match(text)), bool(_ARITHMETIC.search(bare))
    return MetricName(text, metric, dict(_LABEL.findall(text)), is_rate, inverted, is_calculated)

"""Which PromQL we send: it can change nothing, but one line of it may read years of samples."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, field_validator

from graph.ports import Finding
from tools.clients.prometheus import PrometheusClient
from tools.condensing.plain_text import within
from tools.evidence.context import whole
from tools.inquiries.inquiry import Asking, Params
from tools.redaction import redact

MOST_SECONDS = 24 * 3600
_MOST_STEPS = 2_000
_DEFAULT_STEP_SECONDS = 60.0

_STRINGS = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`", re.DOTALL)
_RANGE = re.compile(r"\[([^\[\]]{0,100})\]")
_DURATION = re.compile(r"(?:\d{1,9}(?:ms|[smhdwy]))+")
_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}


class PromqlParams(Params):
    """`until` is where the look ends: now, or when the alert began."""

    query: Annotated[str, Field(min_length=1, max_length=500)]
    until: Literal["now", "alert"] = "now"

    @field_validator("query")
    @classmethod
    def _bounded(cls, query: str) -> str:
        if problem := too_wide(query):
            raise ValueError(problem)
        return query


def too_wide(query: str) -> str | None:
    """Why the query reads more than it may, or None. Ranges are given as durations: `[5m]`, `[1h:1m]`."""
    bare = _STRINGS.sub("", query)
    ranges = _RANGE.findall(bare)
    if len(ranges) != bare.count("["):
        return "every [ closes with a ], and none is inside another"
    for inside in ranges:
        span, colon, step = (part.strip() for part in inside.partition(":"))
        seconds = _seconds(span)
        steps = _seconds(step) if step else _DEFAULT_STEP_SECONDS
        if seconds is None or not steps:
            return "a range is a duration such as [5m] or [1h:1m]"
        if seconds > MOST_SECONDS:
            return "a range reaches back 1d at most"
        if colon and seconds / steps > _MOST_STEPS:
            return f"a subquery has {_MOST_STEPS} steps at most"
    return None


def _seconds(duration: str) -> float | None:
    if not _DURATION.fullmatch(duration):
        return None
    return sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(duration))


def prometheus_of(asking: Asking) -> PrometheusClient:
    """Who is asked; a tool that is offered has one."""
    prometheus = asking.context.prometheus
    assert prometheus is not None, "not offered without Prometheus"
    return prometheus


def end_of(asking: Asking, until: str) -> datetime:
    """Now, or when the alert began."""
    return asking.incident.fired_at if until == "alert" else asking.context.clock.now()


def failed(asking: Asking, asked: str, error: Exception) -> Finding:
    """With Prometheus' own words at length: they say what is wrong with a query."""
    words = redact(str(error))
    return Finding(asked, within(words, asking.max_bytes), status="failed", raw=whole(words))

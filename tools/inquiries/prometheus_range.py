"""One PromQL query over a window of time, told as the shape of each series."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from graph.ports import Finding, PermanentError, TemporaryError
from tools.clients.prometheus import Series
from tools.condensing.plain_text import one_line, within
from tools.condensing.series_shape import shapes_of
from tools.evidence.context import SOURCE_SECONDS, whole
from tools.inquiries.inquiry import Asking, InquiryTool
from tools.inquiries.promql import PromqlParams, end_of, failed, prometheus_of

MOST_POINTS = 240
_LEAST_STEP_SECONDS = 5
_RAW_SERIES = 50
_MOST_SHAPED = 500
"""Of more series, the rest is counted only."""
_ASKED_BYTES = 600


class PrometheusRangeParams(PromqlParams):
    minutes: Annotated[int, Field(ge=1, le=1440)] = 60


def params(asking: Asking) -> type[BaseModel] | None:
    """Wherever a Prometheus is configured."""
    return PrometheusRangeParams if asking.context.prometheus is not None else None


def step_of(minutes: int) -> int:
    """Seconds between points, so that there are at most MOST_POINTS."""
    return max(_LEAST_STEP_SECONDS, math.ceil(minutes * 60 / (MOST_POINTS - 1)))


async def gather(asking: Asking, given: PrometheusRangeParams) -> Finding:
    """No facts, as for an instant. A query that fails is told in Prometheus' words."""
    end, step = end_of(asking, given.until), step_of(given.minutes)
    start = end - timedelta(minutes=given.minutes)
    window = f"range {start:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ} step {step}s"
    asked = one_line(f"{window}: {given.query}", _ASKED_BYTES)
    try:
        found = await prometheus_of(asking).range(given.query, start, end, step)
    except (TemporaryError, PermanentError) as error:
        return failed(asking, asked, error)
    if not found:
        text = "no series: the query matches nothing in this window"
        return Finding(asked, within(text, asking.max_bytes), status="no_data")
    left_out = len(found) - _MOST_SHAPED
    note = f"({left_out} series more were not looked at)\n" if left_out > 0 else ""
    shown = await asyncio.to_thread(shapes_of, found[:_MOST_SHAPED], asking.max_bytes - len(note), end)
    return Finding(asked, within(note + shown, asking.max_bytes), raw=whole(_raw(found)))


def _raw(found: Sequence[Series]) -> str:
    return "\n".join(
        f"{dict(series.labels)}: " + " ".join(f"{at:%H:%M:%S}={value:g}" for at, value in series.points)
        for series in found[:_RAW_SERIES]
    )


PROMETHEUS_RANGE = InquiryTool(
    "prometheus_range",
    "A PromQL query over a window: range, last value, shift and curve of each series.",
    SOURCE_SECONDS,
    params,
    gather,
)

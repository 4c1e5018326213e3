"""One PromQL query at one time."""

from __future__ import annotations

from pydantic import BaseModel

from graph.ports import Finding, PermanentError, TemporaryError
from tools.condensing.plain_text import one_line, within
from tools.condensing.series_shape import samples_shown
from tools.evidence.context import SOURCE_SECONDS, whole
from tools.inquiries.inquiry import Asking, InquiryTool
from tools.inquiries.promql import PromqlParams, end_of, failed, prometheus_of

_RAW_SAMPLES = 500
_ASKED_BYTES = 600


class PrometheusInstantParams(PromqlParams):
    pass


def params(asking: Asking) -> type[BaseModel] | None:
    """Wherever a Prometheus is configured."""
    return PrometheusInstantParams if asking.context.prometheus is not None else None


async def gather(asking: Asking, given: PrometheusInstantParams) -> Finding:
    """No facts: what a query's numbers mean is for who asked it. A query that fails is told in Prometheus' words."""
    at = end_of(asking, given.until)
    asked = one_line(f"instant at {at:%Y-%m-%dT%H:%M:%SZ}: {given.query}", _ASKED_BYTES)
    try:
        found = await prometheus_of(asking).instant(given.query, at)
    except (TemporaryError, PermanentError) as error:
        return failed(asking, asked, error)
    if not found:
        return Finding(asked, within("no series: the query matches nothing", asking.max_bytes), status="no_data")
    raw = "\n".join(f"{dict(sample.labels)} {sample.value:g}" for sample in found[:_RAW_SAMPLES])
    return Finding(asked, samples_shown(found, asking.max_bytes), raw=whole(raw))


PROMETHEUS_INSTANT = InquiryTool(
    "prometheus_instant", "A PromQL query's value at one time.", SOURCE_SECONDS, params, gather
)

"""Asks Prometheus for the series around an incident: what its rules compare, whether targets were up, the traffic."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from graph.ports import PermanentError, TemporaryError
from graph.records import Alert, Resource
from server.console.plots.expressions import Measured, measured
from server.console.plots.model import Graph, Line
from server.console.plots.times import Span, firing_of

if TYPE_CHECKING:
    from tools.clients.prometheus import Series

MOST_GRAPHS = 3
MOST_LINES = 4
SECONDS = 12.0
_TITLE_CHARS = 90
_QUIET = ("__name__", "resource_kind", "resource_id", "alertname", "severity", "issue_type", "instance", "job")


class AsksPrometheus(Protocol):
    """What is asked of `tools.clients.prometheus.PrometheusClient`."""

    async def expression(self, alert: Alert) -> str | None: ...

    async def range(self, query: str, start: datetime, end: datetime, step: float) -> tuple[Series, ...]: ...


async def graphs_of(prometheus: AsksPrometheus, record: Mapping[str, Any], span: Span) -> tuple[Graph, ...]:
    """At most three. Never raises for what Prometheus says or fails to say: the graph tells."""
    alerts = [(Alert.model_validate(body), firing_of(body, record, span)) for body in record["alerts"]]
    resource = Resource.model_validate(record["resource"]) if record["resource"] else None
    try:
        async with asyncio.timeout(SECONDS):
            wanted = await _wanted(prometheus, alerts, resource, span)
            return tuple(await asyncio.gather(*(_filled(prometheus, *item, span) for item in wanted[:MOST_GRAPHS])))
    except (TimeoutError, TemporaryError, PermanentError) as error:
        said = str(error) or f"Prometheus did not answer within {SECONDS:g} s"
        answered = isinstance(error, PermanentError)
        return (Graph(title="The metric", start=span.start, end=span.end, problem=_no_data(said), answered=answered),)


async def _wanted(
    prometheus: AsksPrometheus,
    alerts: Sequence[tuple[Alert, tuple[float, float]]],
    resource: Resource | None,
    span: Span,
) -> list[tuple[Graph, Alert]]:
    """The graphs to fill, most telling first: one of each alert before the second of any."""
    rules = [(alert, firing, await _measured(prometheus, alert)) for alert, firing in alerts]
    found: dict[str, tuple[Graph, Alert]] = {}
    for turn in range(2):
        for alert, firing, sides in rules:
            if turn < len(sides) and sides[turn].query not in found:
                found[sides[turn].query] = (_graph(alert.name, sides[turn], span, firing), alert)
    if alerts and resource is not None:
        alert, firing = alerts[0]
        if not any(query == "up" or query.startswith("up{") for query in found):
            found.setdefault("up", (_graph("Targets up", Measured("up"), span, firing), alert))
        if resource.traffic:
            found.setdefault(resource.traffic, (_graph("Traffic", Measured(resource.traffic), span, firing), alert))
    return list(found.values())


async def _measured(prometheus: AsksPrometheus, alert: Alert) -> tuple[Measured, ...]:
    expression = await prometheus.expression(alert)
    return measured(expression) if expression else ()


def _graph(name: str, side: Measured, span: Span, firing: tuple[float, float]) -> Graph:
    return Graph(
        title=name[:_TITLE_CHARS],
        query=" ".join(side.query.split()),
        comparison=side.comparison,
        threshold=side.threshold,
        start=span.start,
        end=span.end,
        firing=(firing,),
        step=span.step,
    )


async def _filled(prometheus: AsksPrometheus, graph: Graph, alert: Alert, span: Span) -> Graph:
    from tools.inquiries.promql import too_wide

    if wide := too_wide(graph.query):
        return graph.model_copy(update={"problem": f"Not asked, as it would read too much: {wide}"})
    try:
        found = await _asked(prometheus, _narrowed(graph.query, alert), span)
        if not found:
            # Its resource_id may be given by the rule alone: then only what comes back can tell whose it is.
            found = await _asked(prometheus, graph.query, span)
    except (TemporaryError, PermanentError) as error:
        answered = isinstance(error, PermanentError)
        return graph.model_copy(update={"problem": _no_data(str(error)), "answered": answered})
    lines = _lines(found, alert)
    problem = "" if lines else "No data: Prometheus has no such series of this resource in this time."
    return graph.model_copy(update={"lines": lines, "problem": problem})


def _no_data(why: str) -> str:
    return f"No data: {' '.join(why.split())}"[:400]


def _narrowed(query: str, alert: Alert) -> str:
    """Only series of the alert's resource: of a large fleet the rest would be a large answer."""
    from tools.clients.prometheus import quoted

    of = alert.labels.get("resource_id")
    if of is None:
        return query
    ours = f'label_replace(vector(1), "resource_id", {quoted(of.replace("$", "$$"))}, "", "")'
    return f"({query}) and on (resource_id) {ours}"


async def _asked(prometheus: AsksPrometheus, query: str, span: Span) -> list[Series]:
    answers = await asyncio.gather(
        *(
            prometheus.range(query, datetime.fromtimestamp(w.start, UTC), datetime.fromtimestamp(w.end, UTC), w.step)
            for w in span.windows
        )
    )
    return [series for answer in answers for series in answer]


def _lines(found: Iterable[Series], alert: Alert) -> tuple[Line, ...]:
    """The alert's own series, those most like it first; points of both windows in one line."""
    from tools.clients.alert_rules import conflicts
    from tools.redaction import redact

    points: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
    for series in found:
        if not conflicts(series.labels, alert):
            of = points.setdefault(tuple(sorted(series.labels.items())), {})
            of.update((at.timestamp(), value) for at, value in series.points if math.isfinite(value))
    ranked = sorted(points, key=lambda labels: (-sum(alert.labels.get(k) == v for k, v in labels), labels))
    shown = [labels for labels in ranked if points[labels]][:MOST_LINES]
    names = _names([dict(labels) for labels in shown])
    return tuple(
        Line(name=redact(name), points=tuple(sorted(points[labels].items())))
        for labels, name in zip(shown, names, strict=True)
    )


def _names(series: Sequence[Mapping[str, str]]) -> list[str]:
    """What tells the lines apart, else what they are of."""
    keys = sorted({key for labels in series for key in labels})
    telling = [key for key in keys if len({labels.get(key, "") for labels in series}) > 1]
    if not telling:
        telling = [key for key in keys if key not in _QUIET] or [key for key in ("job", "instance") if key in keys]
    return [
        ", ".join(f"{key} {labels[key]}" for key in telling if labels.get(key) and key != "__name__")[:100]
        or labels.get("__name__", "value")
        for labels in series
    ]

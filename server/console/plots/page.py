"""The plots of one incident for its page: those kept where it is over, else asked for now. They never fail a page."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from server.console.plots.asking import AsksPrometheus, graphs_of
from server.console.plots.drawing import COLOURS, compared, described, draw, in_bytes
from server.console.plots.model import Graph, Graphs, Mark
from server.console.plots.scales import number
from server.console.plots.times import AFTER_SECONDS, marks_of, span_of
from server.services import Services
from server.store import Store, StoreError

log = logging.getLogger("selfheal.plots")

LOOK_SECONDS = 60.0
YOUNG_SECONDS = 24 * 3600.0
AT_ONCE = 5


@dataclass(frozen=True)
class Key:
    """One line's name, and the class and colour it is drawn in."""

    name: str
    index: int
    colour: str


@dataclass(frozen=True)
class Plot:
    """One plot of the page. `svg` is ours and escaped, empty where there is nothing to draw: `sentence` says why."""

    title: str
    svg: str
    alt: str
    sentence: str
    query: str = ""
    keys: tuple[Key, ...] = ()
    marks: tuple[Mark, ...] = ()
    dashed: bool = False
    """Whether the rule's threshold is drawn."""


async def plots_of(services: Services, record: Mapping[str, Any]) -> list[Plot]:
    """At most three, for the incident of that record."""
    span = span_of(record, datetime.now(UTC))
    graphs = await _kept(services.store, record, span.ended) if span.over else None
    if graphs is None:
        prometheus = services.runtime.prometheus if services.runtime is not None else None
        if prometheus is None:
            return [Plot("The metric", "", "", "No data: the part that asks Prometheus is not running.")]
        graphs = await graphs_of(prometheus, record, span)
    marks = marks_of(record, span)
    return [_plot(graph, marks, f"plot-{record['number']}-{index}") for index, graph in enumerate(graphs, 1)]


async def capture(store: Store, prometheus: AsksPrometheus, incident_id: str) -> bool:
    """Keep the plots of an incident that is over. False where Prometheus could not be asked: later, then."""
    record = await store.incident(incident_id)
    if record is None:
        return True
    span = span_of(record, datetime.now(UTC))
    graphs = await graphs_of(prometheus, record, span)
    if not all(graph.answered for graph in graphs):
        return False
    await store.plots.keep(incident_id, Graphs(graphs=graphs).model_dump(mode="json"))
    return True


async def keep_plots(store: Store, prometheus: AsksPrometheus) -> None:
    """Until cancelled: keep the plots of what has ended, once nothing more of it is to be shown."""
    while True:
        try:
            for incident_id in await store.plots.missing(AFTER_SECONDS, YOUNG_SECONDS, AT_ONCE):
                await capture(store, prometheus, incident_id)
        except Exception:  # a convenience: what can't be kept is asked for when somebody looks
            log.exception("plots can't be kept; it is tried again")
        await asyncio.sleep(LOOK_SECONDS)


async def _kept(store: Store, record: Mapping[str, Any], ended: float) -> tuple[Graph, ...] | None:
    """What was kept since it ended: an incident may have been opened again after it was kept."""
    try:
        body = await store.plots.of(record["id"], ended)
        return None if body is None else Graphs.model_validate(body).graphs
    except (StoreError, ValidationError):
        return None


def _plot(graph: Graph, marks: tuple[Mark, ...], name: str) -> Plot:
    if not graph.lines:
        return Plot(graph.title, "", "", graph.problem or "No data.", graph.query)
    keys = tuple(Key(line.name, index, COLOURS[index % len(COLOURS)]) for index, line in enumerate(graph.lines))
    alt, svg = described(graph, marks), draw(graph, marks, name)
    return Plot(graph.title, svg, alt, _sentence(graph), graph.query, keys, marks, "plot-threshold" in svg)


def _sentence(graph: Graph) -> str:
    values = [value for line in graph.lines for _, value in line.points]
    low, high = (number(value, in_bytes(graph)) for value in (min(values), max(values)))
    last = number(graph.lines[0].points[-1][1], in_bytes(graph))
    said = f"Between {low} and {high}, last {last}" if low != high else f"{low} all the time"
    return f"{said}; the alert fires {rule}." if (rule := compared(graph)) else f"{said}."

"""Draws a graph as SVG: no script, no style attribute, and colours that hold on light and on dark pages.

Text in it is kept large, as on a telephone the whole is shrunk. What it shows is in its description too, in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape

from server.console.plots.model import Graph, Line, Mark
from server.console.plots.scales import clock, is_state, number, time_ticks, value_ticks

WIDTH, HEIGHT = 400.0, 196.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 10.0, 26.0, 24.0
FONT = 12.5
COLOURS = ("#2f7de1", "#c77700", "#0c9a6c", "#9d5cf0")
ALARM = "#e5484d"
_MARK = 9.0
_GAP_STEPS = 2.6


def draw(graph: Graph, marks: Sequence[Mark] = (), name: str = "plot") -> str:
    """The SVG. `name` begins its ids, so that several can be on a page."""
    canvas = _Canvas(graph)
    title = graph.title if not graph.query else f"{graph.title}: {graph.query}"
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="100%" role="img" '
        f'aria-labelledby="{name}-title {name}-desc" xmlns="http://www.w3.org/2000/svg" '
        f'font-size="{FONT:g}" font-family="inherit" fill="currentColor">',
        f'<title id="{name}-title">{escape(title)}</title>',
        f'<desc id="{name}-desc">{escape(described(graph, marks))}</desc>',
        *_firing(graph, canvas),
        *_axes(graph, canvas),
        *_threshold(graph, canvas),
        *(part for index, line in enumerate(graph.lines) for part in _line(line, index, graph, canvas)),
        *_marks(marks, canvas),
        "</svg>",
    ]
    return "".join(parts)


def described(graph: Graph, marks: Sequence[Mark] = ()) -> str:
    """What the drawing shows, in sentences."""
    said = [f"From {_at(graph.start)} to {_at(graph.end)} UTC."]
    for line in graph.lines:
        values = [value for _, value in line.points]
        shown = (number(value, in_bytes(graph)) for value in (min(values), max(values), values[-1]))
        name = f"{line.name}: " if len(graph.lines) > 1 else ""
        said.append("{}lowest {}, highest {}, last {}.".format(name, *shown))
    if rule := compared(graph):
        said.append(f"The alert fires {rule}.")
    said += [f"The alert fired from {_at(began)} to {_at(ended)}." for began, ended in graph.firing]
    said += [f"Action {mark.number} at {_at(mark.at, seconds=True)}: {mark.label}." for mark in marks]
    return " ".join(said)


def compared(graph: Graph) -> str:
    """When the alert fires, in words; empty where its threshold is no number."""
    words = {">": "above", ">=": "at or above", "<": "below", "<=": "at or below", "==": "at", "!=": "away from"}
    if graph.threshold is None or graph.comparison not in words:
        return ""
    return f"{words[graph.comparison]} {number(graph.threshold, in_bytes(graph))}"


def in_bytes(graph: Graph) -> bool:
    """Whether its values are sizes: by the name of what is measured, where nothing is made a share or a rate of it."""
    return "_bytes" in graph.query and not any(sign in graph.query for sign in ("/", "*", "rate("))


class _Canvas:
    """Where values and times are on the drawing."""

    def __init__(self, graph: Graph) -> None:
        values = [value for line in graph.lines for _, value in line.points]
        self.state = is_state(values)
        drawn = values + ([graph.threshold] if graph.threshold is not None else [])
        low, high = min(drawn, default=0.0), max(drawn, default=1.0)
        if low > 0 and low < high * 0.6:
            low = 0.0
        self.ticks = (0.0, 1.0) if self.state else value_ticks(low, high, binary=in_bytes(graph))
        margin = (self.ticks[-1] - self.ticks[0]) * (0.15 if self.state else 0.03)
        self.low, self.high = self.ticks[0] - margin, self.ticks[-1] + margin
        self.start, self.end = graph.start, max(graph.end, graph.start + 1)
        self.right, self.bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(self, at: float) -> float:
        share = (min(max(at, self.start), self.end) - self.start) / (self.end - self.start)
        return round(LEFT + share * (self.right - LEFT), 1)

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.bottom - share * (self.bottom - TOP), 1)


def _firing(graph: Graph, canvas: _Canvas) -> Iterator[str]:
    for began, ended in graph.firing:
        x, to = canvas.x(began), canvas.x(ended)
        yield (
            f'<rect class="plot-firing" x="{x:g}" y="{TOP:g}" width="{max(to - x, 2.5):g}" '
            f'height="{canvas.bottom - TOP:g}" fill="{ALARM}" fill-opacity="0.16"/>'
        )


def _axes(graph: Graph, canvas: _Canvas) -> Iterator[str]:
    step = canvas.ticks[1] - canvas.ticks[0] if len(canvas.ticks) > 1 else None
    for tick in canvas.ticks:
        y = canvas.y(tick)
        yield (
            f'<line class="plot-grid" x1="{LEFT:g}" x2="{canvas.right:g}" y1="{y:g}" y2="{y:g}" '
            'stroke="currentColor" stroke-opacity="0.15"/>'
        )
        yield _text(LEFT - 6, y + 4, number(tick, in_bytes(graph), step), "end")
    yield (
        f'<line class="plot-axis" x1="{LEFT:g}" x2="{canvas.right:g}" y1="{canvas.bottom:g}" y2="{canvas.bottom:g}" '
        'stroke="currentColor" stroke-opacity="0.5"/>'
    )
    length = canvas.end - canvas.start
    for tick in time_ticks(canvas.start, canvas.end):
        x = canvas.x(tick)
        yield (
            f'<line class="plot-axis" x1="{x:g}" x2="{x:g}" y1="{canvas.bottom:g}" y2="{canvas.bottom + 4:g}" '
            'stroke="currentColor" stroke-opacity="0.5"/>'
        )
        if LEFT + 14 < x < canvas.right - 14:
            yield _text(x, canvas.bottom + 17, clock(tick, length), "middle")
    yield _text(LEFT - 6, canvas.bottom + 17, "UTC", "end")


def _threshold(graph: Graph, canvas: _Canvas) -> Iterator[str]:
    if graph.threshold is None or canvas.state:
        return
    y = canvas.y(graph.threshold)
    yield (
        f'<line class="plot-threshold" x1="{LEFT:g}" x2="{canvas.right:g}" y1="{y:g}" y2="{y:g}" stroke="{ALARM}" '
        'stroke-width="1.5" stroke-dasharray="6 4"/>'
    )


def _line(line: Line, index: int, graph: Graph, canvas: _Canvas) -> Iterator[str]:
    colour = COLOURS[index % len(COLOURS)]
    path = " ".join(_path(line.points, graph.step, canvas))
    yield (
        f'<path class="plot-line plot-line-{index}" d="{path}" fill="none" stroke="{colour}" stroke-width="2" '
        'stroke-linejoin="round" stroke-linecap="round"/>'
    )
    at, value = line.points[-1]
    yield f'<circle class="plot-last" cx="{canvas.x(at):g}" cy="{canvas.y(value):g}" r="3" fill="{colour}"/>'


def _path(points: Sequence[tuple[float, float]], step: float, canvas: _Canvas) -> Iterator[str]:
    """Broken where nothing was measured; a yes or no goes in steps, as it was neither in between."""
    before: tuple[float, float] | None = None
    for at, value in points:
        x, y = canvas.x(at), canvas.y(value)
        if before is None or (step and at - before[0] > _GAP_STEPS * step):
            yield f"M{x:g} {y:g}h0"
        elif canvas.state:
            yield f"H{x:g}V{y:g}"
        else:
            yield f"L{x:g} {y:g}"
        before = (at, value)


def _marks(marks: Sequence[Mark], canvas: _Canvas) -> Iterator[str]:
    """A line at each, numbered above; numbers that would cover each other move aside."""
    free = LEFT - _MARK
    for mark in marks:
        x = canvas.x(mark.at)
        label_x = min(max(x, free + _MARK), canvas.right)
        free = label_x + _MARK + 1
        yield f'<g class="plot-mark"><title>{escape(f"{mark.number}. {mark.label}")}</title>'
        yield (
            f'<path d="M{label_x:g} {TOP - 5:g}L{x:g} {TOP:g}V{canvas.bottom:g}" fill="none" stroke="currentColor" '
            'stroke-width="1.25"/>'
        )
        yield (
            f'<circle cx="{label_x:g}" cy="{TOP - 5 - _MARK:g}" r="{_MARK:g}" fill="none" stroke="currentColor" '
            'stroke-width="1.25"/>'
        )
        yield (
            f'<text class="plot-mark-number" x="{label_x:g}" y="{TOP - 1 - _MARK:g}" text-anchor="middle" '
            f'font-size="11.5" font-weight="700">{mark.number}</text></g>'
        )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text class="plot-label" x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill-opacity="0.8">{escape(text)}</text>'
    )


def _at(at: float, seconds: bool = False) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%H:%M:%S}" if seconds else f"{moment:%Y-%m-%d %H:%M}"

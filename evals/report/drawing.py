"""Draws cost against accuracy, and the bar beside a rate, as SVG: no script, no style attribute, nothing loaded.

Points carry numbers, and the words stand beneath: names of models are long and points lie close.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from evals.report.costs import Plot, Point
from evals.report.rates import Rate
from server.console.plots.scales import number, value_ticks
from server.console.views.text import line

WIDTH, HEIGHT = 400.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 18.0, 14.0, 46.0
RADIUS = 9.0
CAP = 3.0


def draw(plot: Plot, name: str) -> str:
    """The SVG. `name` begins its ids, so that several can be on a page."""
    most = max((point.cost for point in plot.points), default=0.0)
    ticks = value_ticks(0.0, most or 1.0)
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="100%" role="img" '
        f'aria-labelledby="{name}-title {name}-desc" font-size="14" font-family="inherit" fill="currentColor">',
        f'<title id="{name}-title">{escape(plot.title)}</title>',
        f'<desc id="{name}-desc">{escape(described(plot))}</desc>',
        *_axes(plot.axis, ticks),
        *(part for point, x in _places(plot, ticks[-1]) for part in _whisker(point, x)),
        *(part for at, (point, x) in enumerate(_places(plot, ticks[-1]), 1) for part in _dot(at, point, x)),
        "</svg>",
    ]
    return "".join(parts)


def described(plot: Plot) -> str:
    """What the drawing shows, in sentences."""
    said = (
        f"{at}. {line(point.name, 80)}: {number(point.cost)} {plot.axis}, passed {point.rate}."
        for at, point in enumerate(plot.points, 1)
    )
    return " ".join(said)


def bar(rate: Rate) -> str:
    """The rate as a mark and its interval as a line, from 0 to 100 %."""
    low, high = rate.interval
    return (
        '<svg class="bar" viewBox="0 0 100 10" width="100" height="10" aria-hidden="true">'
        '<rect class="track" y="4" width="100" height="2" rx="1"/>'
        f'<rect class="reach" x="{low * 100:.1f}" y="2.5" width="{max((high - low) * 100, 1):.1f}" height="5" rx="2"/>'
        f'<rect class="at" x="{min((rate.share or 0) * 100, 97):.1f}" width="3" height="10" rx="1"/></svg>'
    )


def _places(plot: Plot, most: float) -> tuple[tuple[Point, float], ...]:
    """Each point with its x. What would cover another moves aside; the table beneath has the exact figure."""
    taken: list[tuple[float, float]] = []
    places: list[tuple[Point, float]] = []
    for point in plot.points:
        x, y = LEFT + point.cost / most * (WIDTH - LEFT - RIGHT - RADIUS), _y(point.rate.share or 0.0)
        x = max(x, LEFT + RADIUS)
        while any(abs(x - other) < 2 * RADIUS and abs(y - at) < 2 * RADIUS for other, at in taken):
            x += RADIUS / 2
        taken.append((x, y))
        places.append((point, x))
    return tuple(places)


def _y(share: float) -> float:
    return round(HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP), 1)


def _axes(axis: str, ticks: tuple[float, ...]) -> Iterator[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(share)
        yield f'<line x1="{LEFT:g}" x2="{right:g}" y1="{y:g}" y2="{y:g}" stroke="currentColor" stroke-opacity="0.18"/>'
        yield _text(LEFT - 6, y + 4, f"{share * 100:.0f} %", "end")
    step = ticks[1] - ticks[0]
    for tick in ticks:
        x = LEFT + tick / ticks[-1] * (right - RADIUS - LEFT)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom:g}" y2="{bottom + 4:g}" stroke="currentColor"/>'
        yield _text(x, bottom + 17, number(tick, step=step), "middle")
    yield _text((LEFT + right) / 2, HEIGHT - 6, axis, "middle")


def _whisker(point: Point, x: float) -> Iterator[str]:
    low, high = point.rate.interval
    top, end = _y(high), _y(low)
    path = f"M{x - CAP:.1f} {top:g}h{2 * CAP:g}M{x:.1f} {top:g}V{end:g}M{x - CAP:.1f} {end:g}h{2 * CAP:g}"
    yield f'<path d="{path}" fill="none" class="whisker {_class(point)}" stroke="currentColor" stroke-width="1.5"/>'


def _dot(at: int, point: Point, x: float) -> Iterator[str]:
    y = _y(point.rate.share or 0.0)
    yield f'<g class="point {_class(point)}"><title>{escape(f"{line(point.name, 80)}: {point.rate}")}</title>'
    yield f'<circle cx="{x:.1f}" cy="{y:g}" r="{RADIUS:g}" stroke-width="1.5"/>'
    yield f'<text x="{x:.1f}" y="{y + 4:g}" text-anchor="middle" font-size="11.5" font-weight="700">{at}</text></g>'


def _class(point: Point) -> str:
    return "ours" if point.ours else "baseline"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:g}" text-anchor="{anchor}" fill-opacity="0.8">{escape(text)}</text>'

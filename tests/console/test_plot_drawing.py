"""What is drawn, and what is said of it to those who don't see it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import Any

import pytest

from server.console.plots.drawing import described, draw
from server.console.plots.model import Graph, Graphs, Line, Mark
from server.console.plots.scales import clock, number, time_ticks, value_ticks

START = 1_767_225_600.0  # 2026-01-01 00:00 UTC
NASTY = "\"><script>alert(1)</script>'&"


def graph(*values: float, **more: Any) -> Graph:
    points = tuple((START + index * 60, value) for index, value in enumerate(values))
    given: dict[str, Any] = {
        "title": "HighCpu",
        "query": "cpu",
        "lines": (Line(name="cpu 0", points=points),),
        "start": START,
        "end": START + 60 * max(len(values) - 1, 1),
        "step": 60.0,
    }
    return Graph(**(given | more))


def mark(number: int, minutes: float, label: str = "restart web") -> Mark:
    return Mark(number=number, at=START + 60 * minutes, label=label)


def parts(svg: str, name: str) -> list[ET.Element]:
    return [item for item in ET.fromstring(svg).iter() if name in (item.get("class") or "").split()]


def test_it_is_told_in_words_with_lowest_highest_and_last() -> None:
    shown = graph(20, 97.5, 41, comparison=">", threshold=85.0, firing=((START + 60, START + 120),))
    said = described(shown, [mark(1, 1.5)])
    assert "lowest 20, highest 97.5, last 41." in said
    assert "The alert fires above 85." in said
    assert "The alert fired from 2026-01-01 00:01 to 2026-01-01 00:02." in said
    assert "Action 1 at 00:01:30: restart web." in said
    root = ET.fromstring(draw(shown, [mark(1, 1.5)], "plot-7"))
    assert root.get("role") == "img" and root.get("aria-labelledby") == "plot-7-title plot-7-desc"
    texts = {item.get("id"): item.text for item in root}
    assert texts["plot-7-title"] == "HighCpu: cpu" and texts["plot-7-desc"] == said


def test_threshold_alert_and_actions_are_marked() -> None:
    svg = draw(graph(1, 5, 2, threshold=4.0, comparison=">", firing=((START + 30, START + 90),)), [mark(1, 1)])
    [threshold], [firing], [action] = (parts(svg, name) for name in ("plot-threshold", "plot-firing", "plot-mark"))
    assert threshold.get("stroke-dasharray") and float(firing.get("width", 0)) > 100
    assert "".join(action.itertext()) == "1. restart web1"


def test_an_action_stands_where_it_was_and_numbers_do_not_cover_each_other() -> None:
    svg = draw(graph(1, 2, 3), [mark(1, 1), mark(2, 1.01), mark(3, 1.02), mark(4, 2)])
    marks = parts(svg, "plot-mark")
    at = [float(re.findall(r"L([\d.]+) ", item[1].get("d") or "")[0]) for item in marks]
    numbers = [float(item[2].get("cx") or 0) for item in marks]
    assert at[1] - at[0] < 4
    assert all(later - earlier >= 18 for earlier, later in pairwise(numbers[:3]))


def test_a_yes_or_no_goes_in_steps() -> None:
    [line] = parts(draw(graph(1, 1, 0, 1)), "plot-line")
    assert "V" in (line.get("d") or "") and "L" not in (line.get("d") or "")


def test_where_nothing_was_measured_the_line_is_broken() -> None:
    points = ((START, 3.0), (START + 60, 4.0), (START + 600, 5.0), (START + 660, 4.0))
    [line] = parts(draw(graph(1, lines=(Line(name="x", points=points),), end=START + 660)), "plot-line")
    assert (line.get("d") or "").count("M") == 2


def test_hostile_text_stays_text() -> None:
    line = Line(name=NASTY, points=((START, 1.0), (START + 60, 2.0)))
    svg = draw(graph(1, title=NASTY, query=NASTY, lines=(line, line)), [mark(1, 0.5, NASTY)])
    assert "<script" not in svg and ET.fromstring(svg) is not None


def test_a_strict_page_lets_it_be_drawn() -> None:
    svg = draw(graph(1, 5, 2, threshold=4.0, firing=((START, START + 60),)), [mark(1, 1)])
    assert "style=" not in svg and "<style" not in svg and "href" not in svg and "<script" not in svg


@pytest.mark.parametrize("values", [(0.0,), (5.0, 5.0), (0.0, 0.0), (-3.0, 7.0), (1e-9, 2e-9), (1e18, 3e18), (1e308,)])
def test_any_range_of_values_stays_on_the_drawing(values: tuple[float, ...]) -> None:
    svg = draw(graph(*values))
    ys = [float(y) for y in re.findall(r'cy="([-\d.]+)"', svg)]
    assert ys and all(0 <= y <= 196 for y in ys) and "nan" not in svg and "inf" not in svg


def test_what_is_kept_is_drawn_the_same() -> None:
    shown = graph(1, 5, 2, threshold=4.0, comparison=">", firing=((START, START + 60),))
    kept = Graphs.model_validate(Graphs(graphs=(shown,)).model_dump(mode="json"))
    assert draw(kept.graphs[0]) == draw(shown)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, (0, 50, 100)),
        (0, 1, (0, 0.5, 1)),
        (3, 3, (2.6, 2.8, 3.0, 3.2, 3.4)),
        (0, 0, (0, 0.5, 1)),
        (-4, 8, (-5, 0, 5, 10)),
    ],
)
def test_values_are_at_round_numbers(low: float, high: float, ticks: tuple[float, ...]) -> None:
    assert value_ticks(low, high) == pytest.approx(ticks)


def test_times_are_round_in_utc() -> None:
    day = 86_400.0
    assert [clock(at, 2700) for at in time_ticks(START + 130, START + 2830)] == ["00:10", "00:20", "00:30", "00:40"]
    assert [clock(at, 60) for at in time_ticks(START, START + 60)][:2] == ["00:00:00", "00:00:30"]
    assert all(len(time_ticks(START, START + length)) <= 6 for length in (1, 50, 700, 5000, day, 9 * day, 30 * day))


@pytest.mark.parametrize(
    ("value", "in_bytes", "said"),
    [
        (0, False, "0"),
        (97.512, False, "97.5"),
        (1234, False, "1.23k"),
        (-5e9, False, "-5G"),
        (0.00001, False, "1.0e-05"),
        (3 * 2**30, True, "3 GiB"),
        (100, True, "100 B"),
    ],
)
def test_numbers_are_short(value: float, in_bytes: bool, said: str) -> None:
    assert number(value, in_bytes) == said

"""What an alerting rule measures, and against which threshold."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from server.alerting import rule_files
from server.console.plots.expressions import Measured, measured


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("up", [("up", "", None)]),
        ("node_load1 > 90", [("node_load1", ">", 90)]),
        ("90 <= node_load1", [("node_load1", ">=", 90)]),
        ("a > bool 5", [("a", ">", 5)]),
        ("((a < -(2 * 3)))", [("a", "<", -6)]),
        ("a > 16 * 1024 * 1024", [("a", ">", 16 * 1024 * 1024)]),
        ("sum(rate(x[5m] offset 1h)) / 2 > 1e3", [("sum(rate(x[5m] offset 1h)) / 2", ">", 1000)]),
        ("(a) + (b) > 3", [("(a) + (b)", ">", 3)]),
        ("a / (b > 0) > 95", [("a / (b > 0)", ">", 95)]),
        ("a > on (x) b * 2", [("a", ">", None)]),
        ('a{x="} > 3", y=~"b|c"} > 1 # > 7', [('a{x="} > 3", y=~"b|c"}', ">", 1)]),
        ("up == 0 unless on (host) (down == 1)", [("up", "==", 0)]),
        ("(a == 0 or b == 0) unless c == 1", [("a", "==", 0), ("b", "==", 0)]),
        ("a == 1 and on (x) (b > 2)", [("a", "==", 1), ("b", ">", 2)]),
        ("a unless b or c > 1", [("a", "", None), ("c", ">", 1)]),
        ("absent(up)", [("absent(up)", "", None)]),
        ("vector(1)", [("vector(1)", "", None)]),
        ("1", []),
        ("1 > 0", []),
        ("", []),
        ("a[5m", []),
        ("a) > 1", []),
        ("a > ", []),
        ('a{x="', []),
        ("\u00e4 > 1", []),
        ("(" * 3000 + "a" + ")" * 3000, []),
    ],
)
def test_the_comparison_is_cut_off(expression: str, found: list[tuple[str, str, float | None]]) -> None:
    assert measured(expression) == tuple(Measured(*item) for item in found)


def test_something_is_measured_by_each_rule_that_ships() -> None:
    for file in rule_files():
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                found = measured(rule["expr"])
                assert found and all(item.query in " ".join(rule["expr"].split()) for item in found), rule["alert"]


@given(st.text(alphabet="ab(){}[]<>=!+-*/ \"'`#0123.orandunless,", max_size=60))
def test_whatever_it_is_given_it_says_something(text: str) -> None:
    for item in measured(text):
        assert item.query.strip()

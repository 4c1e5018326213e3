"""Which fact of our sources a foreign series is: a table of rules over metric names. Pure.

Each rule names the fact and how a value becomes one. A value that can't be what the rule takes it for gives no fact:
better none than a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from evals.importing.foreign import Measured, Moment
from graph.facts import FactValue
from tools.clients.prometheus import finite

Convert = Callable[[float, Measured], FactValue | None]
WORST_SHARE = 0.1
"""Of a window, the share of values that are still worse than what counts as the worst: a single spike is none."""


@dataclass(frozen=True)
class Rule:
    """Series whose metric fits `metric` wholly, and whose labels fit `only`, are the fact `fact`.

    `bad` says which end is trouble. `labels` gives each label of the fact the series' labels it may be read from, and
    last, after `=`, what it is where there is none. A name that begins with `_` is a step on the way to a fact.
    """

    metric: str
    fact: str
    convert: Convert
    bad: Literal["high", "low"] = "high"
    only: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inverted: bool = False
    """For `1 - …` and `100 - …` alone. Of other calculations no rule knows what they come to."""
    adds_up: bool = False
    """Whether series of one fact are parts of a sum; else the worst counts."""

    def fits(self, found: Measured) -> bool:
        if not re.fullmatch(self.metric, found.name.metric, re.IGNORECASE):
            return False
        if found.name.inverted != self.inverted or (found.name.is_calculated and not self.inverted):
            return False
        return all(re.fullmatch(pattern, found.labels.get(key, "")) for key, pattern in self.only.items())


# -- how a value becomes a fact --------------------------------------------------------------------------


def number(value: float, of: Measured) -> FactValue | None:
    return None if of.name.is_rate else round(value, 3)


def seconds(value: float, of: Measured) -> FactValue | None:
    return round(value, 1) if value >= 0 and not of.name.is_rate else None


def milliseconds(value: float, of: Measured) -> FactValue | None:
    return seconds(value / 1000, of)


def count(value: float, of: Measured) -> FactValue | None:
    return round(value) if value >= 0 and not of.name.is_rate else None


def positive(value: float, of: Measured) -> FactValue | None:
    """Where 0 means that there is nothing to tell."""
    return count(value, of) or None


def mib(value: float, of: Measured) -> FactValue | None:
    return int(value) >> 20 if value >= 0 and not of.name.is_rate else None


def percent(value: float, of: Measured) -> FactValue | None:
    return round(value, 1) if 0 <= value <= 100 else None


def share(value: float, of: Measured) -> FactValue | None:
    """A share of one, or a percentage: told apart by the largest value of the whole series."""
    most = max((each for _, each in of.series.points if finite(each)), default=0.0)
    return percent(value * 100 if most <= 1 else value, of)


def busy(value: float, of: Measured) -> FactValue | None:
    """From the idle mode, as a rate."""
    return round(100 * (1 - value), 1) if of.name.is_rate and 0 <= value <= 1 else None


def mode_share(value: float, of: Measured) -> FactValue | None:
    return round(100 * value, 1) if of.name.is_rate and 0 <= value <= 1 else None


def cores(value: float, of: Measured) -> FactValue | None:
    return round(min(100 * value, 100.0), 1) if of.name.is_rate and value >= 0 else None


def yes(value: float, of: Measured) -> FactValue | None:
    return bool(value >= 1) if value in (0, 1) else None


def zero_or_one(value: float, of: Measured) -> FactValue | None:
    return int(value) if value in (0, 1) else None


def yes_or_no(value: float, of: Measured) -> FactValue | None:
    return {1.0: "yes", 0.0: "no"}.get(value)


def word(when_set: str, when_not: str = "") -> Convert:
    """A word for 1 and one for 0; no fact where there is none."""
    return lambda value, of: (when_set if value >= 1 else when_not) or None


# -- applying the table ----------------------------------------------------------------------------------


def level(of: Measured, bad: Literal["high", "low"], moment: Moment) -> float | None:
    """The value that counts: the last, or the worst but for a tenth of the window."""
    values = [value for _, value in of.series.points if finite(value)]
    if not values:
        return None
    if moment == "last":
        return values[-1]
    ordered = sorted(values, reverse=bad == "high")
    return ordered[int(WORST_SHARE * (len(ordered) - 1))]


def usual(of: Measured, bad: Literal["high", "low"]) -> float | None:
    """What a tenth of the values are better than, as the metrics source has it."""
    values = sorted((value for _, value in of.series.points if finite(value)), reverse=bad == "low")
    return values[len(values) // 10] if len(values) >= 4 else None


@dataclass(frozen=True)
class Housed:
    """One value that a rule gave: the fact's name and labels."""

    fact: str
    labels: Mapping[str, str]
    value: FactValue
    rule: Rule
    of: Measured

    @property
    def key(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        return self.fact, tuple(sorted(self.labels.items()))


def housed(found: Sequence[Measured], rules: Sequence[Rule], moment: Moment) -> list[Housed]:
    """One for each series and rule that fits it."""
    told = []
    for of in found:
        for rule in (rule for rule in rules if rule.fits(of)):
            value = usual(of, rule.bad) if rule.fact == "metric.cpu_usual_percent" else level(of, rule.bad, moment)
            fact = None if value is None else rule.convert(value, of)
            if fact is not None:
                told.append(Housed(rule.fact, _labels(rule, of), fact, rule, of))
    return told


def together(told: Sequence[Housed]) -> dict[tuple[str, tuple[tuple[str, str], ...]], FactValue]:
    """One value for each fact: the sum where series are parts, else the worst."""
    values: dict[tuple[str, tuple[tuple[str, str], ...]], FactValue] = {}
    for each in told:
        old = values.get(each.key)
        if old is None:
            values[each.key] = each.value
        elif isinstance(old, int | float) and isinstance(each.value, int | float):
            if each.rule.adds_up:
                values[each.key] = old + each.value
            else:
                values[each.key] = max(old, each.value) if each.rule.bad == "high" else min(old, each.value)
    return values


def _labels(rule: Rule, of: Measured) -> dict[str, str]:
    told = {}
    for label, places in rule.labels.items():
        named = (of.labels.get(place, "") for place in places if not place.startswith("="))
        otherwise = next((place[1:] for place in places if place.startswith("=")), "")
        told[label] = (next((each for each in named if each), "") or otherwise).removesuffix(".service")[:80]
    return told

"""Typed observations with short, readable keys, e.g. `unit.state{unit="nginx"} = failed`.

Facts live in checkpointed state, which should stay small and readable in Studio, so a fact is one
entry of a plain JSON object; this module is the only place that writes and parses the keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

FactValue = bool | int | float | str

_KEY = re.compile(r"^(?P<name>[a-z][a-z0-9_.]*)(?:\{(?P<labels>.*)\})?$", re.DOTALL)
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', re.DOTALL)


def fact_key(name: str, /, **labels: str) -> str:
    """The key of a fact: `fact_key("unit.state", unit="nginx")` → `unit.state{unit="nginx"}`."""
    if not labels:
        return name
    quoted = ",".join(f'{key}="{_escape(value)}"' for key, value in sorted(labels.items()))
    return f"{name}{{{quoted}}}"


def parse_key(key: str) -> tuple[str, dict[str, str]]:
    """The name and labels of a key. Raises ValueError on a key `fact_key` would not write."""
    match = _KEY.match(key)
    if not match:
        raise ValueError(f"not a fact key: {key!r}")
    labels = {name: _unescape(value) for name, value in _LABEL.findall(match["labels"] or "")}
    return match["name"], labels


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _unescape(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)


@dataclass(frozen=True)
class Fact:
    """One observation and the evidence that carries it."""

    name: str
    value: FactValue
    evidence_id: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{fact_key(self.name, **self.labels)} = {self.value}"


@dataclass(frozen=True)
class Facts:
    """All observations of an incident, asked by name and labels."""

    items: tuple[Fact, ...] = ()

    @classmethod
    def of(cls, evidence: Iterable[tuple[str, Mapping[str, FactValue]]]) -> Facts:
        """From pairs of evidence id and its facts."""
        found = []
        for evidence_id, facts in evidence:
            for key, value in facts.items():
                name, labels = parse_key(key)
                found.append(Fact(name, value, evidence_id, labels))
        return cls(tuple(found))

    def all(self, name: str, /, **labels: str) -> Iterator[Fact]:
        """Every fact of that name whose labels include these."""
        for fact in self.items:
            if fact.name == name and all(fact.labels.get(key) == value for key, value in labels.items()):
                yield fact

    def first(self, name: str, /, **labels: str) -> Fact | None:
        """The first such fact, or None."""
        return next(self.all(name, **labels), None)

    def value(self, name: str, /, **labels: str) -> FactValue | None:
        """The value of the first such fact, or None where nothing is known."""
        fact = self.first(name, **labels)
        return None if fact is None else fact.value

    def where(self, name: str, value: FactValue, /, **labels: str) -> Iterator[Fact]:
        """Every such fact that has this value."""
        return (fact for fact in self.all(name, **labels) if fact.value == value)

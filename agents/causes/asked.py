"""Facts asked by name and value: what signatures say again and again."""

from __future__ import annotations

from graph.facts import Fact, Facts


def is_so(facts: Facts, name: str, value: object) -> Fact | None:
    """The first fact of that name, where it has that very value and type; else None."""
    fact = facts.first(name)
    return fact if fact is not None and fact.value == value and isinstance(fact.value, type(value)) else None


def more(fact: Fact | None, than: float) -> bool:
    """Whether the fact is known, is a number, and exceeds that."""
    return (
        fact is not None
        and isinstance(fact.value, int | float)
        and not isinstance(fact.value, bool)
        and fact.value > than
    )

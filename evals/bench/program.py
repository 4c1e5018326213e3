"""`selfheal` with the kinds, sources and actions of the benchmark beside its own. All else is the product as it is.

Where BENCH_SPANS names a file, each span is a line there: what a heal's time was spent on.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import agents
import tools.actions
import tools.evidence
from evals.bench.tools import ACTIONS, KINDS, SOURCES
from graph.spans import Attributes, Span, set_spans

SPANS = "BENCH_SPANS"


class _Unnoted:
    def note(self, **attributes: str | int | float | bool) -> None:
        """What came of it is no matter here."""


def register() -> None:
    """Put them into the lists that the product looks into, before it does."""
    modules: Any = (agents, tools.evidence, tools.actions)
    kinds, sources, actions = modules
    kinds.AGENTS = (*kinds.AGENTS, *KINDS)
    sources.SOURCES = (*sources.SOURCES, *SOURCES)
    actions.CATALOG = (*actions.CATALOG, *ACTIONS)


def write_spans(path: str) -> None:
    """From now on."""
    file = open(path, "a", buffering=1)  # noqa: SIM115 - it stays open as long as the process lives

    @contextmanager
    def begin(name: str, attributes: Attributes) -> Iterator[Span]:
        began = time.perf_counter()
        try:
            yield _Unnoted()
        finally:
            file.write(json.dumps([name, attributes.get("incident_id", ""), began, time.perf_counter()]) + "\n")

    set_spans(begin)


if __name__ == "__main__":
    register()
    if os.environ.get(SPANS):
        write_spans(os.environ[SPANS])
    from server.cli import main

    main()

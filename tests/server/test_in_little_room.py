"""What passes through leaves nothing behind, and what is remembered of a fleet is little."""

from __future__ import annotations

import gc
import logging
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from evals.bench.bodies import alert, body
from graph.records import Alert
from server.logs import RedactingFormatter
from server.plain_bodies import read_plain
from tests.server.web import RESOURCE, make_services

MANY = 2_000


def kept(work: Callable[[int], object]) -> float:
    """Bytes that are still held, for each of many calls, once what they gave is let go."""
    for number in range(50):
        work(number)
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(50, 50 + MANY):
            work(number)
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / MANY
    finally:
        tracemalloc.stop()


def test_of_a_body_that_was_read_nothing_is_kept() -> None:
    bodies = [body([alert(f"a{number:06}", f"inst-{number:06}")]) for number in range(MANY + 50)]
    assert read_plain(bodies[0]) is not None
    assert kept(lambda number: read_plain(bodies[number])) < 10


def test_of_a_line_that_was_logged_nothing_is_kept() -> None:
    formatter = RedactingFormatter("%(message)s")

    def log(number: int) -> str:
        message = f"incident {number:06} was opened"
        return formatter.format(logging.LogRecord("selfheal", logging.INFO, "", 0, message, None, None))

    assert kept(log) < 10


def test_of_a_place_not_its_resource_is_kept_but_only_where_it_is(tmp_path: Path) -> None:
    declared = [RESOURCE | {"id": f"inst-{number:06}"} for number in range(MANY + 50)]
    services = make_services(tmp_path, resources=declared)

    def place(number: int) -> None:
        labels = {"alertname": "Down", "resource_kind": "Instance", "resource_id": f"inst-{number:06}"}
        placed = services.place(Alert(status="firing", labels=labels))
        assert placed.problem is None and placed.resource_json is not None
        assert services.place(Alert(status="firing", labels=labels)) is placed

    assert kept(place) < 500

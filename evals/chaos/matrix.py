"""All deaths on both databases, as a table and as chaos.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from evals.chaos.cases import Result, play, rehearse, restart_database
from evals.chaos.ground import Database, Ground
from evals.chaos.points import How, Point

ZOMBIES = ("start:before:1", "start:after:1", "finish:before:1", "tell:after:2")
TRIES = 3
POLITE = ("start:after:1", "tell:after:1")


def all_cases(database: Database, points: Sequence[Point]) -> list[tuple[Point, How]]:
    """Killed everywhere; asked to go in the middle of things; and, where others take over, standing still for long."""
    chosen: list[tuple[Point, How]] = [(point, "kill") for point in points]
    before_start = Point("start", "before", 1, "starting the effect")
    by_key = {point.key: point for point in (*points, before_start)}
    chosen += [(by_key[key], "term") for key in POLITE if key in by_key]
    if database == "postgresql":
        chosen += [(by_key[key], "stop") for key in ZOMBIES if key in by_key]
    return chosen


def run(ground: Ground, databases: Iterable[Database], told: Callable[[Result], None], only: str = "") -> list[Result]:
    """The whole matrix, or the cases whose point's name contains `only`."""
    results = []
    for database in databases:
        for point, how in all_cases(database, rehearse(ground, database)):
            if only in f"{how} {point}":
                results.append(_struck(ground, database, point, how))
                told(results[-1])
        if database == "postgresql" and only in "restart_database":
            results.append(restart_database(ground))
            told(results[-1])
    return results


def _struck(ground: Ground, database: Database, point: Point, how: How) -> Result:
    """A heal looks at the world once more or less before it is sure: late moments do not come in each."""
    for _ in range(TRIES):
        result = play(ground, database, point, how)
        if result.verdict != "never_struck":
            break
    return result


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """`{kills, lost, doubled, escalated_unknown, by_step, …}`."""

    def count(verdict: str, of: Sequence[Result] = results) -> int:
        return sum(1 for result in of if result.verdict == verdict)

    by_step: dict[str, dict[str, int]] = {}
    for result in results:
        step = by_step.setdefault(f"{result.how} {result.point}", {})
        step[result.verdict] = step.get(result.verdict, 0) + 1
    takeovers = [result.takeover_seconds for result in results if result.takeover_seconds is not None]
    return {
        "kills": sum(1 for result in results if result.verdict != "never_struck"),
        "lost": count("lost"),
        "doubled": count("doubled"),
        "escalated_unknown": count("escalated_unknown"),
        "never_struck": count("never_struck"),
        "takeover_seconds_max": round(max(takeovers), 1) if takeovers else None,
        "by_database": {
            name: len([result for result in results if result.database == name]) for name in ("sqlite", "postgresql")
        },
        "by_step": by_step,
        "cases": [result.as_json() for result in results],
    }


def write(results: Sequence[Result], file: Path) -> dict[str, Any]:
    found = summary(results)
    file.write_text(json.dumps(found, indent=2) + "\n")
    return found

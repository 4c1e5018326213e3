"""Several workers on one PostgreSQL: what they get through together, and whether two ever run the same leg."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from evals.bench.bench import Bench
from evals.bench.figures import Measured, unmeasured
from evals.bench.healed import AT_ONCE_HEALED, healer, post
from evals.bench.servers import Server
from evals.bench.temporary_postgres import postgres_missing, temporary_postgres
from evals.lab.probing import wait_until

NAMES = ("scale_2", "scale_4", "double_claims")
CONCURRENCY = 8
"""Of one worker: few enough that a worker waits for the model and not for the machine's two cores."""
HEALS = 96


def measure(bench: Bench) -> dict[str, Measured]:
    """All three."""
    if (why := postgres_missing() or _unsupported()) is not None:
        return dict.fromkeys(NAMES, unmeasured(why))
    runs = 1 if bench.quick else 3
    doubled, ratios = 0, {2: [], 4: []}  # type: ignore[var-annotated]
    for number in range(runs):
        seconds = {}
        for workers in (1, 2, 4):
            took, twice = _run(bench, bench.folder(f"scale-{workers}-{number}"), workers)
            seconds[workers] = took
            doubled += twice
            bench.say(f"{workers} workers: {HEALS} heals in {took:.1f} s, {twice} legs run twice")
        for workers, found in ratios.items():
            found.append(seconds[1] / seconds[workers])
    return {
        "scale_2": Measured(median(ratios[2]), tuple(ratios[2])),
        "scale_4": Measured(median(ratios[4]), tuple(ratios[4])),
        "double_claims": Measured(doubled, (doubled,)),
    }


def _unsupported() -> str | None:
    """Why this release can't be measured so."""
    told = subprocess.run([sys.executable, "-m", "server.cli", "--help"], capture_output=True, text=True, check=False)
    serve = subprocess.run(
        [sys.executable, "-m", "server.cli", "serve", "--help"], capture_output=True, text=True, check=False
    )
    if " worker " not in told.stdout or "--web-only" not in serve.stdout:
        return "`selfheal worker` and `serve --web-only` on PostgreSQL are not in this release yet"
    return None


def _run(bench: Bench, folder: Path, workers: int) -> tuple[float, int]:
    """Seconds for all heals, and how many legs ran twice."""
    llm = {"model": "scripted", "structured_output": "json_schema"}
    with (
        temporary_postgres() as url,
        healer(
            folder, "BenchNoop", HEALS, healing=AT_ONCE_HEALED, llm=llm, worker_concurrency=CONCURRENCY,
            database_url=url, start=("serve", "--web-only"),
        ) as server,
        _workers(server, workers),
    ):  # fmt: skip
        began = time.time()
        post(server, "BenchNoop", range(HEALS), per_post=32, at_once=3)
        _wait(url, "SELECT count(*) FROM past_heals", HEALS)
        with psycopg.connect(url) as connection:
            last = connection.execute("SELECT max(closed_at) FROM past_heals").fetchone()
        legs = _legs(folder)
    assert last is not None
    return last[0] - began, len(legs) - len(set(legs))


@contextmanager
def _workers(server: Server, count: int) -> Iterator[None]:
    """That many, each ready: each says so in its log."""
    for number in range(count):
        server.run(f"worker-{number}", "worker")
    wait_until(lambda: _not_ready(server, count), 60, "the workers are ready", every=0.2)
    yield


def _not_ready(server: Server, count: int) -> str | None:
    logs = [server.processes.log_tail(f"worker-{number}", 50) for number in range(count)]
    waiting = sum("ready to heal" not in log for log in logs)
    return f"{waiting} of {count} have not said so; the first: {logs[0][-300:]}" if waiting else None


def _legs(folder: Path) -> list[str]:
    """Heals begun, by the spans of all workers: a heal that two ran is there twice."""
    import json

    spans = (json.loads(line) for line in (folder / "spans.jsonl").read_text().splitlines())
    return [incident for name, incident, _, _ in spans if name == "selfheal.node gather_context"]


def _wait(url: str, statement: Any, wanted: int) -> None:
    def missing() -> str | None:
        with psycopg.connect(url) as connection:
            row = connection.execute(statement).fetchone()
        found = row[0] if row else 0
        return None if found >= wanted else f"{found} of {wanted}"

    wait_until(missing, 300, str(statement), every=0.3)

"""Several workers on one PostgreSQL: what they get through together, and whether two ever run the same leg."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from statistics import median

import psycopg

from evals.bench.bench import Bench
from evals.bench.figures import Measured, unmeasured
from evals.bench.healed import AT_ONCE_HEALED, healer, legs, post
from evals.bench.process import machine_time
from evals.bench.rounds import steady_rate
from evals.bench.servers import Server
from evals.lab.probing import wait_until
from evals.postgres_server import NoPostgres, PostgresServer, running_postgres

NAMES = ("scale_2", "scale_4", "double_claims")
CONCURRENCY = 8
"""Of one worker: few enough that a worker waits for the model and not for the machine's two cores."""
ROUNDS, FEWER_ROUNDS = 5, 3
WORKERS = (1, 2, 4)
SETTINGS = (
    f"worker_concurrency: {CONCURRENCY} (a worker waits for the model, not for the machine's cores); "
    "database_url: PostgreSQL with fsync; no budget of the model's calls"
)


def measure(bench: Bench) -> dict[str, Measured]:
    """All three; one worker, two and four by turns, each with as many heals as it has places, some times over."""
    runs = 1 if bench.quick else 3
    doubled: list[float] = []
    ratios: dict[int, list[float]] = {2: [], 4: []}
    rates: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    busy: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    try:
        with running_postgres(durable=True) as postgres:
            for number in range(runs):
                for workers in WORKERS:
                    folder = bench.folder(f"scale-{workers}-{number}")
                    before = machine_time()
                    rate, twice = heal_together(folder, postgres, workers, FEWER_ROUNDS if bench.quick else ROUNDS)
                    busy[workers].append(machine_time().share_since(before))
                    rates[workers].append(rate)
                    doubled.append(twice)
                    bench.say(f"{workers} workers: {rate:.2f} heals/s, {twice} legs run twice")
                for workers, found in ratios.items():
                    found.append(rates[workers][-1] / rates[1][-1])
    except NoPostgres as error:
        return dict.fromkeys(NAMES, unmeasured(str(error)))
    detail = {f"heals_per_s_{workers}": round(median(found), 3) for workers, found in rates.items()}
    return {
        "scale_2": Measured(median(ratios[2]), tuple(ratios[2]), detail=detail),
        "scale_4": Measured(median(ratios[4]), tuple(ratios[4]), where=_where(busy), detail=detail),
        "double_claims": Measured(sum(doubled), tuple(doubled)),
    }


def _where(busy: dict[int, list[float]]) -> str:
    shares = ", ".join(f"{median(found):.0%} with {workers}" for workers, found in busy.items())
    return (
        f"of the machine's {os.cpu_count()} cores were busy, starts and ends included: {shares} (the workers, their "
        "database, and who plays the model)"
    )


def heal_together(
    folder: Path, postgres: PostgresServer, workers: int, rounds: int, concurrency: int = CONCURRENCY
) -> tuple[float, int]:
    """Heals a second while all places are taken, and how many legs were run twice."""
    url = postgres.new_database()
    places = workers * concurrency
    heals = places * rounds
    llm = {"model": "scripted", "structured_output": "json_schema", "budget": {"day_calls": None, "day_tokens": None}}
    with healer(
        folder, "BenchNoop", heals + places, healing=AT_ONCE_HEALED, llm=llm, worker_concurrency=concurrency,
        database_url=url, start=("serve", "--web-only"),
    ) as server:  # fmt: skip
        for number in range(workers):
            server.run(f"worker-{number}", "worker")
        wait_until(lambda: _not_ready(server, workers), 60, "the workers are ready", every=0.2)
        post(server, "BenchNoop", range(places), per_post=8, at_once=2)  # each loads the model's client
        _wait(url, places)
        post(server, "BenchNoop", range(places, places + heals), per_post=8, at_once=4)
        _wait(url, places + heals)
        with psycopg.connect(url) as connection:
            ends = [row[0] for row in connection.execute("SELECT closed_at FROM past_heals ORDER BY closed_at")]
    runs = Counter((leg.incident, leg.number) for leg in legs(folder))
    return steady_rate(ends[places:], places), sum(times - 1 for times in runs.values())


def _not_ready(server: Server, count: int) -> str | None:
    logs = [server.processes.log_tail(f"worker-{number}", 50) for number in range(count)]
    waiting = sum("ready to heal" not in log for log in logs)
    return f"{waiting} of {count} have not said so; the first: {logs[0][-300:]}" if waiting else None


def _wait(url: str, wanted: int) -> None:
    def missing() -> str | None:
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT count(*) FROM past_heals").fetchone()
        found = row[0] if row else 0
        return None if found >= wanted else f"{found} of {wanted} heals have ended"

    wait_until(missing, 300, "heals end", every=0.3)

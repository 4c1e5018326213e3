"""What it takes at rest: memory after one heal, with many queued and many waiting for a human; disk; the start."""

from __future__ import annotations

import contextlib
import http.client
import sqlite3
import subprocess
import sys
import time
from statistics import median

from evals.bench.bench import Bench
from evals.bench.bodies import alert, body, fleet, instance
from evals.bench.figures import Measured
from evals.bench.healed import AT_ONCE_HEALED, healer, post
from evals.bench.process import resident_mib
from evals.bench.servers import HOOK, Server, settle

NAMES = (
    "cold_start_s",
    "rss_idle_mib",
    "rss_1000_queued_delta_mib",
    "rss_1000_waiting_delta_mib",
    "disk_per_waiting_kib",
)
MANY = 1_000
FIRST = 50
REST_SECONDS = 3.0
_IMPORTED = "fastapi, uvicorn, uvloop, sqlalchemy, pydantic_settings, typer, prometheus_client"


def measure(bench: Bench) -> dict[str, Measured]:
    """All of these."""
    return {"cold_start_s": _cold_start(bench), **_queued(bench), **_waiting(bench)}


def _cold_start(bench: Bench) -> Measured:
    took = []
    for number in range(3 if bench.quick else 7):
        server = Server(bench.folder(f"cold-{number}"), fleet(3))
        began = time.perf_counter()
        try:
            server.start(ready=False)
            while not _taken(server, number):
                time.sleep(0.005)
            took.append(time.perf_counter() - began)
        finally:
            server.stop()
    bench.say(f"cold start: {', '.join(f'{one:.2f}' for one in took)} s to the first 202")
    where = f"{_imports():.2f} s for an interpreter that imports {_IMPORTED}, and does nothing else"
    return Measured(median(took), tuple(round(one, 3) for one in took), where=where)


def _imports() -> float:
    """Seconds that any server on these libraries takes before its own first line."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {_IMPORTED}"], check=True)
        took.append(time.perf_counter() - began)
    return median(took)


def _taken(server: Server, number: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    with contextlib.suppress(OSError), contextlib.closing(connection):
        headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
        connection.request("POST", HOOK, body([alert(f"cold{number}", instance(0))]), headers)
        return connection.getresponse().status == 202
    return False


def _queued(bench: Bench) -> dict[str, Measured]:
    """Idle after one heal; then every worker is kept busy, and a thousand more incidents queue."""
    folder = bench.folder("queued")
    with healer(folder, "BenchSlow", MANY + 50, healing=AT_ONCE_HEALED) as server:
        pid = server.pid
        post(server, "BenchSlow", range(40))
        server.wait_for("SELECT count(*) FROM journal", 32, 60)
        settle(REST_SECONDS)
        before = resident_mib(pid)
        post(server, "BenchSlow", range(40, 40 + MANY), per_post=50)
        settle(REST_SECONDS)
        after = resident_mib(pid)
        queued = server.number("SELECT count(*) FROM incidents WHERE phase = 'queued'")
    bench.say(f"{queued} queued: {before:.1f} → {after:.1f} MiB")
    return {"rss_1000_queued_delta_mib": Measured(after - before, (after - before,), detail={"queued": queued})}


def _waiting(bench: Bench) -> dict[str, Measured]:
    """Idle after one heal; then a thousand plans wait for a human.

    The first few, the last half and a start with all of them tell what a process takes once, and what it is that waits.
    """
    folder = bench.folder("waiting")
    with healer(folder, "BenchNoop", MANY + 1, policies=(), healing=AT_ONCE_HEALED) as server:
        settle(REST_SECONDS)
        started = resident_mib(server.pid)
        post(server, "BenchNoop", [MANY])
        server.wait_for(_WAITING, 1, 60)
        settle(REST_SECONDS)
        idle = resident_mib(server.pid)
        size = _disk(server)
        few = _waiting_mib(server, range(FIRST))
        half = _waiting_mib(server, range(FIRST, MANY // 2))
        waiting = _waiting_mib(server, range(MANY // 2, MANY))
        evidence = server.number("SELECT sum(length(raw)) FROM evidence_raw")
        used = (_disk(server) - size - evidence) / MANY / 1024
        server.kill()
        server.start()
        settle(REST_SECONDS)
        restarted = resident_mib(server.pid)
    bench.say(f"{MANY} waiting: {idle:.1f} → {waiting:.1f} MiB, {used:.1f} KiB of disk each")
    bench.say(f"started without: {started:.1f} MiB, with them: {restarted:.1f} MiB")
    starts = {"started_without_mib": round(started, 1), "started_with_them_mib": round(restarted, 1)}
    return {
        "rss_idle_mib": Measured(idle, (idle,)),
        "rss_1000_waiting_delta_mib": Measured(
            waiting - idle,
            (waiting - idle,),
            where=(
                f"{few - idle:+.1f} of it with the first {FIRST}, {waiting - half:+.1f} with the last {MANY // 2}; a "
                f"start with them waiting takes {restarted - started:+.1f} MiB: the process takes it for heals and "
                "keeps it, what waits does not need it"
            ),
            detail=starts,
        ),
        "disk_per_waiting_kib": Measured(used, (used,)),
    }


def _waiting_mib(server: Server, numbers: range) -> float:
    """What it takes once plans for these wait too, all before them included."""
    post(server, "BenchNoop", numbers, per_post=50)
    server.wait_for(_WAITING, numbers.stop + 1, 300)
    settle(REST_SECONDS)
    return resident_mib(server.pid)


_WAITING = "SELECT count(*) FROM incidents WHERE phase = 'waiting_approval'"


def _disk(server: Server) -> int:
    """Bytes of the databases, with what their logs still held."""
    for path in server.folder.glob("selfheal*.db"):
        with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    return sum(path.stat().st_size for path in server.folder.glob("selfheal*.db"))

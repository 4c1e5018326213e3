"""What a long history costs: the same figures with 100,000 closed incidents in the database, and with 1,000."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles

from sqlalchemy import create_engine

from evals.bench.bench import Bench
from evals.bench.bodies import fingerprint, fleet, instance
from evals.bench.figures import Measured, middle, unmeasured
from evals.bench.healed import AT_ONCE_HEALED, heal_one_after_another, healer, overheads
from evals.bench.servers import Server, serving
from evals.bench.wrk import load, missing
from server.store import Store
from server.store.intake_facts import open_incidents

NAMES = ("history_accept_ratio", "history_overhead_ratio", "lookup_p99_ms")
LONG, SHORT = 100_000, 1_000
FLEET = 1_000
DAY = 86_400.0
_NODES = ("received", "gather_context", "diagnose", "plan", "gate", "execute", "verify", "close")
_BODY = json.dumps(
    {"status": "resolved", "labels": {"alertname": "InstanceDown"}, "annotations": {"summary": "x" * 300}}
)


def measure(bench: Bench) -> dict[str, Measured]:
    """All three."""
    accept = _accept(bench) if missing() is None else unmeasured(missing() or "")
    return {"history_accept_ratio": accept, **_overhead(bench)}


def closed_incidents(database: Path, count: int, kind: str = "Instance") -> None:
    """Write closed incidents as heals leave them, each with its alert, its timeline, its journal and its past."""
    with closing(sqlite3.connect(database)) as connection:
        first = connection.execute("SELECT coalesce(max(number), 0) FROM incidents").fetchone()[0] + 1
        began = time.time() - 1.5 * DAY  # what is older is compacted meanwhile, which would be measured too
        outcome = json.dumps({"status": "mitigated", "rule": "", "reason": "seen healthy", "times": {}})
        with connection:
            for start in range(0, count, 1_000):
                numbers = range(first + start, first + min(start + 1_000, count))
                _write(
                    connection, [(number, f"past-{number:031}", began + number) for number in numbers], kind, outcome
                )


def _write(connection: sqlite3.Connection, made: list[tuple[int, str, float]], kind: str, outcome: str) -> None:
    for number, key, at in made:
        resource = instance(number % FLEET)
        incident = {"number": number, "id": key, "resource_kind": kind, "resource_id": resource, "phase": "closed"}
        common = dict.fromkeys(("failures", "fresh", "recheck", "withdrawn"), 0)
        told = {"issue_types": '["service_down"]', "attempts": "[]", "outcome": outcome}
        _add(connection, "incidents", incident | common | told | {"leg": 2, "received_at": at, "updated_at": at})
        times = {"first_at": at, "last_at": at, "news_at": at}
        alert = {"incident_id": key, "fingerprint": fingerprint(f"h{number:09}"), "starts_at": at}
        _add(connection, "alerts", alert | {"status": "resolved", "body": _BODY, "count": 1} | times)
        for node in _NODES:
            sentence = f"{node}: what was found, decided or done, in a sentence"
            entry = {"incident_id": key, "key": f"{node}:{number}", "at": at, "node": node, "author": "self-heal"}
            _add(connection, "timeline", entry | {"sentence": sentence, "records": "{}"})
        action = {"idempotency_key": f"{key}:1:0", "incident_id": key, "resource": f"{kind}/{resource}", "attempt": 1}
        done = {"action": "restart_service", "rendered": "restart", "plan_fingerprint": "f", "holder": "w", "undo": 0}
        ran = {"starts": 1, "started_at": at, "deadline_at": at, "finished_at": at}
        _add(connection, "journal", action | done | ran | {"baseline": "{}", "result": '{"status": "succeeded"}'})
        past = {"incident_id": key, "number": number, "resource_kind": kind, "resource_id": resource, "closed_at": at}
        cause = {"suspected_cause": "process_crashed", "alertnames": '["InstanceDown"]', "outcome": "mitigated"}
        _add(connection, "past_heals", past | cause | {"rule": "", "attempts": "[]", "reopened": 0, "comment": ""})


def _add(connection: sqlite3.Connection, table: str, row: dict[str, object]) -> None:
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def _with_history(database: Path, count: int, kind: str = "Instance") -> None:
    """A new database of the product's own making, with that many closed incidents."""
    import asyncio

    store = Store.open(f"sqlite:///{database}")
    asyncio.run(store.close())
    closed_incidents(database, count, kind)


def _accept(bench: Bench) -> Measured:
    runs, seconds = (2, 2.0) if bench.quick else (5, 4.0)
    folder = bench.folder("history-accept")
    servers = {count: Server(folder / str(count), fleet(FLEET)) for count in (LONG, SHORT)}
    for count, server in servers.items():
        _with_history(server.database, count)
    with serving(servers[LONG]) as old, serving(servers[SHORT]) as new:
        for server in (old, new):
            load(folder, server.url, server.token, "warm", 16, 1, fleet=FLEET)
        ratios = []
        for number in range(runs):
            rates = [
                load(folder, server.url, server.token, f"r{number}", 16, seconds, fleet=FLEET).rate
                for server in (old, new)
            ]
            ratios.append(rates[0] / rates[1])
            bench.say(f"{LONG} closed: {rates[0]:.0f} posts/s; {SHORT}: {rates[1]:.0f}")
    return middle(ratios)


def _overhead(bench: Bench) -> dict[str, Measured]:
    """Rounds with the one and the other by turns, as the machine's mood changes."""
    heals, runs = (15, 1) if bench.quick else (30, 3)
    took: dict[int, list[float]] = {LONG: [], SHORT: []}
    ratios, lookups = [], [0.0]
    for number in range(runs):
        for count in (LONG, SHORT):
            folder = bench.folder(f"history-{count}-{number}")
            (folder / "server").mkdir()
            _with_history(folder / "server" / "selfheal.db", count, "BenchNoop")
            with healer(folder, "BenchNoop", heals + 3, healing=AT_ONCE_HEALED) as server:
                heal_one_after_another(server, "BenchNoop", range(heals + 3))
                if count == LONG:
                    lookups = _lookups(server)
            took[count].append(median(overheads(server)[3:]))
        ratios.append(took[LONG][-1] / took[SHORT][-1])
        bench.say(f"overhead with {LONG} closed {took[LONG][-1]:.1f} ms, with {SHORT} {took[SHORT][-1]:.1f} ms")
    p99 = quantiles(lookups, n=100)[98] if len(lookups) > 1 else lookups[0]
    bench.say(f"lookup: p99 {p99:.3f} ms of {len(lookups)}")
    return {
        "history_overhead_ratio": middle(ratios),
        "lookup_p99_ms": Measured(p99, (p99,), detail={"lookups": len(lookups), "p50_ms": median(lookups)}),
    }


def _lookups(server: Server) -> list[float]:
    """The query by which the open incident of a resource is found, asked of a connection of its own."""
    took = []
    engine = create_engine(f"sqlite:///{server.database}")
    with engine.connect() as connection:
        for number in range(3_000):
            began = time.perf_counter()
            open_incidents(connection, [("BenchNoop", instance(number % FLEET))])
            took.append((time.perf_counter() - began) * 1000)
    engine.dispose()
    return took[100:]

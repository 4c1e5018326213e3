"""A storm: 10,000 posts of which 500 are distinct, then 3,000 distinct alerts in 60 posts. Counts are exact."""

from __future__ import annotations

import random
from statistics import quantiles

from evals.bench.bench import Bench
from evals.bench.bodies import alert, body, fingerprint, fleet, instance
from evals.bench.figures import Measured
from evals.bench.posting import post_all, probing, request
from evals.bench.servers import Server, serving

POSTS, DISTINCT, AT_ONCE = 10_000, 500, 32
BURSTS, IN_ONE = 60, 50


def measure(bench: Bench) -> dict[str, Measured]:
    """All that is about a storm."""
    runs = 1 if bench.quick else 3
    storms = [_storm(bench, number) for number in range(runs)]
    dropped, detail = _burst(bench)
    incidents, totals, seconds, probes = ([storm[place] for storm in storms] for place in range(4))
    return {
        "storm_incidents": Measured(_worst(incidents, DISTINCT), incidents),
        "storm_total": Measured(_worst(totals, POSTS), totals),
        "storm_seconds": Measured(sorted(seconds)[len(seconds) // 2], seconds),
        "probe_max_ms": Measured(max(probes), probes, detail={"p99_ms": max(storm[4] for storm in storms)}),
        "burst_dropped": Measured(dropped, (dropped,), detail=detail),
    }


def _worst(found: list[float], wanted: float) -> float:
    """What is furthest from what it should be."""
    return max(found, key=lambda value: abs(value - wanted))


def _storm(bench: Bench, number: int) -> tuple[float, float, float, float, float]:
    folder = bench.folder(f"storm-{number}")
    with serving(Server(folder, fleet(DISTINCT))) as server:
        bodies = [request(server.port, server.token, body([alert(f"s{n:06}", instance(n))])) for n in range(DISTINCT)]
        order = [bodies[n % DISTINCT] for n in range(POSTS)]
        random.Random(number).shuffle(order)
        with probing(server.port) as took:
            answers = post_all(server.port, order, AT_ONCE)
        incidents = server.number("SELECT count(DISTINCT incident_id) FROM alerts")
        total = server.number("SELECT sum(count) FROM alerts")
    p99 = quantiles(took, n=100)[98] if len(took) > 1 else took[0]
    bench.say(
        f"storm: {answers.counts} in {answers.seconds:.2f} s; {incidents} incidents, {total} counted; "
        f"healthz p99 {p99:.1f} ms, at worst {max(took):.1f} ms of {len(took)}"
    )
    return incidents, total, answers.seconds, max(took), p99


def _burst(bench: Bench) -> tuple[float, dict[str, object]]:
    folder = bench.folder("burst")
    with serving(Server(folder, fleet(1_000))) as server:
        posts = [
            [(f"b{post:03}x{n:03}", instance((post * IN_ONE + n) % 1_000)) for n in range(IN_ONE)]
            for post in range(BURSTS)
        ]
        requests = [request(server.port, server.token, body([alert(*one) for one in post])) for post in posts]
        answers = post_all(server.port, requests, 16)
        kept = {row[0] for row in server.query("SELECT fingerprint FROM alerts")}
    taken = [
        case for post, status in zip(posts, answers.statuses, strict=True) if 200 <= status < 300 for case, _ in post
    ]
    dropped = sum(fingerprint(case) not in kept for case in taken)
    bench.say(f"burst: {answers.counts} in {answers.seconds:.2f} s; {len(kept)} kept, {dropped} dropped")
    return dropped, {"answers": answers.counts, "kept": len(kept), "seconds": round(answers.seconds, 3)}

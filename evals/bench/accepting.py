"""How many alerts a second are taken on durably, as a share of what a bare endpoint answers that keeps nothing.

Ceiling and server are loaded in turn, so that what else the machine does falls on both.
"""

from __future__ import annotations

from statistics import median

from evals.bench.bench import Bench
from evals.bench.bodies import fleet
from evals.bench.figures import Measured, middle, unmeasured
from evals.bench.servers import Server, ceiling, serving
from evals.bench.wrk import Load, load, missing

FLEET = 1_000
"""Declared resources: the first alert on each opens an incident that the live worker then heals, later ones join it."""
NAMES = ("accept_ratio_c16", "accept_ratio_c64", "accept50_ratio_c16", "accept_p99_over_ceiling_c16")
CASES = ((16, 1), (64, 1), (16, 50))


def measure(bench: Bench) -> dict[str, Measured]:
    """All that is about the rate of accepting."""
    if (why := missing()) is not None:
        return dict.fromkeys(NAMES, unmeasured(why))
    runs, seconds = (3, 2.0) if bench.quick else (7, 4.0)
    found: dict[tuple[int, int], list[tuple[Load, Load]]] = {case: [] for case in CASES}
    for connections, per_post in CASES:
        folder = bench.folder(f"accept-{connections}-{per_post}")
        with ceiling(folder) as url, serving(Server(folder / "server", fleet(FLEET))) as server:
            load(folder, url, "none", "warm", 16, 1)
            load(folder, server.url, server.token, "warm", 16, 1, fleet=FLEET)
            for number in range(runs):
                told = {"connections": connections, "seconds": seconds, "per_post": per_post, "fleet": FLEET}
                bare = load(folder, url, "none", f"r{number}", **told)  # type: ignore[arg-type]
                ours = load(folder, server.url, server.token, f"r{number}", **told)  # type: ignore[arg-type]
                found[connections, per_post].append((bare, ours))
                bench.say(
                    f"c{connections} x {per_post}: {ours.rate:.0f} of {bare.rate:.0f} posts/s, {ours.refused} refused"
                )
    few = found[16, 1]
    over = middle([ours.p99_ms / bare.p99_ms for bare, ours in few], **_told(few))
    return {
        "accept_ratio_c16": _ratio(few),
        "accept_ratio_c64": _ratio(found[64, 1]),
        "accept50_ratio_c16": _ratio(found[16, 50]),
        "accept_p99_over_ceiling_c16": over,
    }


def _ratio(pairs: list[tuple[Load, Load]]) -> Measured:
    return middle([ours.rate / bare.rate for bare, ours in pairs], **_told(pairs))


def _told(pairs: list[tuple[Load, Load]]) -> dict[str, float]:
    return {
        "ceiling_posts_per_s": round(median(bare.rate for bare, _ in pairs), 1),
        "posts_per_s": round(median(ours.rate for _, ours in pairs), 1),
        "ceiling_p99_ms": round(median(bare.p99_ms for bare, _ in pairs), 2),
        "p99_ms": round(median(ours.p99_ms for _, ours in pairs), 2),
        "refused": sum(ours.refused for _, ours in pairs),
    }

"""How many alerts a second are taken on durably, as a share of what a bare endpoint answers that keeps nothing.

Ceiling and server are loaded in turn, so that what else the machine does falls on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from evals.bench.bench import Bench
from evals.bench.bodies import fleet
from evals.bench.figures import Measured, middle, unmeasured
from evals.bench.goals import GOALS
from evals.bench.process import Cpu, cpu_of
from evals.bench.rows_alone import cpu_ms_of_a_commit
from evals.bench.servers import Server, ceiling, serving
from evals.bench.wrk import Load, load, missing

FLEET = 1_000
"""Declared resources: the first alert on each opens an incident that the live worker then heals, later ones join it."""
NAMES = ("accept_ratio_c16", "accept_ratio_c64", "accept50_ratio_c16", "accept_p99_over_ceiling_c16")
_GOAL_OF_MANY = next(goal.value for goal in GOALS if goal.name == "accept50_ratio_c16")
CASES = ((16, 1), (64, 1), (16, 50))


def measure(bench: Bench) -> dict[str, Measured]:
    """All that is about the rate of accepting."""
    if (why := missing()) is not None:
        return dict.fromkeys(NAMES, unmeasured(why))
    one, many, fifty = (_pairs(bench, *case) for case in CASES)
    over = middle([ours.p99_ms / bare.p99_ms for bare, ours in one.pairs], one.where, **_told(one.pairs))
    return {
        "accept_ratio_c16": _ratio(one),
        "accept_ratio_c64": _ratio(many),
        "accept50_ratio_c16": _ratio(fifty),
        "accept_p99_over_ceiling_c16": over,
    }


@dataclass(frozen=True)
class _Pairs:
    """What ceiling and server came to, in turn; `where` is what a post costs each."""

    pairs: list[tuple[Load, Load]]
    where: str


def _pairs(bench: Bench, connections: int, per_post: int) -> _Pairs:
    runs, seconds = (3, 2.0) if bench.quick else (7, 4.0)
    folder = bench.folder(f"accept-{connections}-{per_post}")
    pairs: list[tuple[Load, Load]] = []
    with ceiling(folder) as (url, pid), serving(Server(folder / "server", fleet(FLEET))) as server:
        load(folder, url, "none", "warm", 16, 1)
        load(folder, server.url, server.token, "warm", 16, 1, fleet=FLEET)
        bares = ours = Cpu()
        for number in range(runs):
            told = {"connections": connections, "seconds": seconds, "per_post": per_post, "fleet": FLEET}
            before = cpu_of(pid)
            bare = load(folder, url, "none", f"r{number}", **told)  # type: ignore[arg-type]
            bares, before = bares.plus(cpu_of(pid).since(before)), cpu_of(server.pid)
            own = load(folder, server.url, server.token, f"r{number}", **told)  # type: ignore[arg-type]
            ours = ours.plus(cpu_of(server.pid).since(before))
            pairs.append((bare, own))
            bench.say(f"c{connections} x {per_post}: {own.rate:.0f} of {bare.rate:.0f} posts/s, {own.refused} refused")
    posts, most = sum(own.posts for _, own in pairs), sum(bare.posts for bare, _ in pairs)
    where = (
        f"{ours.told(posts, 'a post')} (the store's writer, and heals), one at a time under the interpreter's lock; "
        f"the ceiling has {bares.whole / most * 1000:.3g}"
    )
    if per_post > 1:
        commits = 200 if bench.quick else 1_000
        alone = cpu_ms_of_a_commit(bench.folder(f"rows-{per_post}"), per_post, FLEET, commits)
        left = bares.whole / most * 1000 / _GOAL_OF_MANY
        where += (
            f"; SQLite alone takes {alone:.3g} for a commit of {per_post} such rows with their indexes, and the goal "
            f"leaves {left:.3g} for everything"
        )
    return _Pairs(pairs, where)


def _ratio(found: _Pairs) -> Measured:
    return middle([ours.rate / bare.rate for bare, ours in found.pairs], found.where, **_told(found.pairs))


def _told(pairs: list[tuple[Load, Load]]) -> dict[str, float]:
    return {
        "ceiling_posts_per_s": round(median(bare.rate for bare, _ in pairs), 1),
        "posts_per_s": round(median(ours.rate for _, ours in pairs), 1),
        "ceiling_p99_ms": round(median(bare.p99_ms for bare, _ in pairs), 2),
        "p99_ms": round(median(ours.p99_ms for _, ours in pairs), 2),
        "refused": sum(ours.refused for _, ours in pairs),
    }

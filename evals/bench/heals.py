"""How fast a heal gets to its first action, what a heal costs of itself, and how many a worker gets through."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any

from evals.bench.bench import Bench
from evals.bench.bodies import alert, body, instance
from evals.bench.figures import Measured, unmeasured
from evals.bench.healed import (
    AT_ONCE_HEALED,
    ENDED,
    evidence_ms,
    heal_one_after_another,
    healer,
    overheads,
    parts,
    post,
)
from evals.bench.posting import post_all, request
from evals.bench.process import cpu_of
from evals.bench.rounds import steady_rate
from evals.bench.servers import Server, settle
from evals.bench.tools import QUERIES, target_log
from evals.lab.loopback_ssh import LoopbackSsh
from evals.lab.probing import wait_until
from evals.lab.processes import ProcessGroup
from evals.lab.stage import LabError

FIRST = ("first_action_ms_p50_local", "first_action_ms_p50_ssh")
OVERHEAD = ("overhead_ms_p50", "overhead_ms_p99")
RATE = ("heals_per_s_1",)
MODEL = ("llm_inflight_share",)
IN_FLIGHT, MODEL_CALLS, CALL_SECONDS = 64, 3, 2.0
WARM = 5
UNLIMITED = {"day_calls": None, "day_tokens": None}
AT_REST = "SELECT count(*) FROM incidents WHERE phase NOT IN ('queued', 'running')"
MITIGATED = "SELECT count(*) FROM past_heals WHERE outcome = 'mitigated'"


def first_action(bench: Bench) -> dict[str, Measured]:
    """From the post to the line in the target's own log; a heal at a time, with the shipped defaults.

    Over SSH without the user's ~/.bashrc: how long that takes is the host's affair, and may be more than all the rest.
    """
    local = _first_actions(bench, "local", {"transport": "local"})
    folder = bench.folder("sshd")
    processes = ProcessGroup(folder)
    try:
        ssh = LoopbackSsh(folder / "ssh", plain_shell=True)
        ssh.start(processes)
        over_ssh = _first_actions(bench, "ssh", {"transport": "ssh", "ssh": ssh.entry()})
    except LabError as error:
        over_ssh = unmeasured(f"no sshd to be had here: {str(error)[:200]}")
    finally:
        processes.stop()
    return {"first_action_ms_p50_local": local, "first_action_ms_p50_ssh": over_ssh}


def _first_actions(bench: Bench, name: str, resource: dict[str, object]) -> Measured:
    heals, runs = (10, 1) if bench.quick else (40, 3)
    fifties = []
    for number in range(runs):
        folder = bench.folder(f"first-{name}-{number}")
        with healer(folder, "Bench", heals + 1, resource=resource) as server:
            took = [_first_action(server, heal) for heal in range(heals + 1)][1:]  # the first warms up
        fifties.append(median(took))
        bench.say(f"first action, {name}: p50 {fifties[-1]:.0f} ms, slowest {max(took):.0f} ms")
    nodes = ", ".join(f"{part} {took} ms" for part, took in parts(folder).items() if part.startswith("node "))
    where = f"the {QUERIES} queries at once {evidence_ms(folder)} ms; beside them {nodes} (execute: its command too)"
    return Measured(median(fifties), _short(fifties), where=where, detail={"heals_a_run": heals})


def _first_action(server: Server, number: int) -> float:
    log = target_log(server.folder.parent)
    content = request(server.port, server.token, body([alert(f"f{number:08}", instance(number), "Bench", "BenchDown")]))
    began = time.time()
    post_all(server.port, [content], 1)

    def missing() -> str | None:
        lines = log.read_text().splitlines() if log.exists() else []
        return None if len(lines) > number else f"{len(lines)} lines in the target's log"

    wait_until(missing, 30, f"the action of heal {number}", every=0.005)
    server.wait_for(AT_REST, number + 1, 30, every=0.01)  # else its own verifying would go on beside the next
    return (float(log.read_text().splitlines()[number].split()[1]) - began) * 1000


def overhead(bench: Bench) -> dict[str, Measured]:
    """Heals one after another, their tools doing nothing."""
    heals, runs = (20, 1) if bench.quick else (200, 3)
    fifties, most = [], []
    for number in range(runs):
        folder = bench.folder(f"overhead-{number}")
        with healer(folder, "BenchNoop", heals + WARM, healing=AT_ONCE_HEALED) as server:
            heal_one_after_another(server, "BenchNoop", range(heals + WARM))
            healed = server.number(MITIGATED)
            settle(0.2)
            cuts = quantiles(overheads(server)[WARM:], n=100)
        fifties.append(cuts[49])
        most.append(cuts[98])
        bench.say(f"overhead: p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms; {healed} of {heals + WARM} mitigated")
    by_part = parts(folder)
    where = ", ".join(f"{name} {took} ms" for name, took in by_part.items() if took >= 1)
    detail = {"heals_a_run": heals, "ms_by_part": by_part}
    return {
        "overhead_ms_p50": Measured(median(fifties), _short(fifties), where=where, detail=detail),
        "overhead_ms_p99": Measured(median(most), _short(most), where=where),
    }


def rate(bench: Bench) -> dict[str, Measured]:
    """All posted at once; from the first post to the last outcome."""
    count, runs = (200, 1) if bench.quick else (600, 3)
    rates, costs = [], []
    for number in range(runs):
        folder = bench.folder(f"rate-{number}")
        with healer(folder, "BenchNoop", count + WARM, healing=AT_ONCE_HEALED) as server:
            heal_one_after_another(server, "BenchNoop", range(count, count + WARM))
            began, cpu = time.time(), cpu_of(server.pid)
            post(server, "BenchNoop", range(count), per_post=50, at_once=4)
            server.wait_for(ENDED, count + WARM, 180)
            last = server.query("SELECT max(closed_at) FROM past_heals")[0][0]
            spent = cpu_of(server.pid).since(cpu)
            costs.append(spent.whole / count * 1000)
            healed = server.number(MITIGATED)
        rates.append(count / (last - began))
        bench.say(
            f"heals: {rates[-1]:.1f} a second, {costs[-1]:.1f} ms of CPU each; {healed} of {count + WARM} mitigated"
        )
    detail = {"heals_a_run": count, "cpu_ms_a_heal": round(median(costs), 1)}
    where = f"{spent.told(count, 'a heal')} (the store's writer and the checkpoints' file), one at a time"
    return {"heals_per_s_1": Measured(median(rates), _short(rates), where=where, detail=detail)}


def model(bench: Bench) -> dict[str, Measured]:
    """As many heals as are in flight at once, some times over; the ideal is that nothing but the model takes time.

    Over whole rounds (see `steady_rate`), when all places are taken.
    """
    runs, rounds = (1, 4) if bench.quick else (3, 8)
    count, shares, costs, made = rounds * IN_FLIGHT, [], [], 0
    llm = {"model": "scripted", "structured_output": "json_schema", "budget": UNLIMITED}
    for number in range(runs):
        folder = bench.folder(f"model-{number}")
        with healer(
            folder, "BenchNoop", count + 1,
            healing=AT_ONCE_HEALED, llm=llm, worker_concurrency=IN_FLIGHT,
        ) as server:  # fmt: skip
            heal_one_after_another(server, "BenchNoop", [count])  # the model's client is loaded by the first
            calls, cpu = server.number("SELECT count(*) FROM model_calls"), cpu_of(server.pid)
            post(server, "BenchNoop", range(count), per_post=32, at_once=4)
            server.wait_for(ENDED, count + 1, 300)
            spent = cpu_of(server.pid).since(cpu)
            costs.append(spent.whole / count * 1000)
            ends = [row[0] for row in server.query("SELECT closed_at FROM past_heals ORDER BY closed_at")][1:]
            made = server.number("SELECT count(*) FROM model_calls") - calls
        rate = steady_rate(ends, IN_FLIGHT)
        shares.append(rate / (IN_FLIGHT / (MODEL_CALLS * CALL_SECONDS)))
        bench.say(
            f"{rate:.2f} heals/s with {made / count:.2f} calls each: share {shares[-1]:.3f}; {costs[-1]:.0f} ms CPU"
        )
    by_part = parts(folder)
    detail: dict[str, Any] = {"model_calls": made, "heals_a_run": count, "cpu_ms_a_heal": round(median(costs), 1)}
    detail |= {"ideal_heals_per_s": round(IN_FLIGHT / (MODEL_CALLS * CALL_SECONDS), 2), "ms_by_part": by_part}
    busy = median(costs) / 1000 * median(shares) * IN_FLIGHT / (MODEL_CALLS * CALL_SECONDS)
    ours = ", ".join(f"{name} {took} ms" for name, took in by_part.items() if took >= 10)
    where = (
        f"{spent.told(count, 'a heal')}: {busy:.0%} of the one that the interpreter's lock leaves a process; beside "
        f"the model's, a heal's time goes to {ours}; the rest passes until its place is taken again"
    )
    return {"llm_inflight_share": Measured(median(shares), tuple(shares), where=where, detail=detail)}


def _short(runs: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(one, 2) for one in runs)

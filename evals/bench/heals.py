"""How fast a heal gets to its first action, what a heal costs of itself, and how many a worker gets through."""

from __future__ import annotations

import time
from statistics import median, quantiles

from evals.bench.bench import Bench
from evals.bench.bodies import alert, body, instance
from evals.bench.figures import Measured, unmeasured
from evals.bench.healed import AT_ONCE_HEALED, ENDED, heal_one_after_another, healer, overheads, post
from evals.bench.posting import post_all, request
from evals.bench.servers import Server
from evals.bench.tools import target_log
from evals.lab.loopback_ssh import LoopbackSsh
from evals.lab.probing import wait_until
from evals.lab.processes import ProcessGroup
from evals.lab.stage import LabError

FIRST = ("first_action_ms_p50_local", "first_action_ms_p50_ssh")
OVERHEAD = ("overhead_ms_p50", "overhead_ms_p99")
RATE = ("heals_per_s_1",)
MODEL = ("llm_inflight_share",)
IN_FLIGHT, MODEL_CALLS, CALL_SECONDS = 64, 3, 2.0


def first_action(bench: Bench) -> dict[str, Measured]:
    """From the post to the line in the target's own log; a heal at a time, with the shipped defaults."""
    runs = 10 if bench.quick else 40
    local = _first_actions(bench, "local", {"transport": "local"}, runs)
    folder = bench.folder("sshd")
    processes = ProcessGroup(folder)
    try:
        ssh = LoopbackSsh(folder / "ssh")
        ssh.start(processes)
        over_ssh = _first_actions(bench, "ssh", {"transport": "ssh", "ssh": ssh.entry()}, runs)
    except LabError as error:
        over_ssh = unmeasured(f"no sshd to be had here: {str(error)[:200]}")
    finally:
        processes.stop()
    return {"first_action_ms_p50_local": local, "first_action_ms_p50_ssh": over_ssh}


def _first_actions(bench: Bench, name: str, resource: dict[str, object], runs: int) -> Measured:
    folder = bench.folder(f"first-{name}")
    with healer(folder, "Bench", runs + 1, resource=resource) as server:
        took = [_first_action(server, number) for number in range(runs + 1)][1:]  # the first warms up
    bench.say(f"first action, {name}: p50 {median(took):.0f} ms, slowest {max(took):.0f} ms")
    return Measured(median(took), tuple(round(one, 1) for one in took))


def _first_action(server: Server, number: int) -> float:
    log = target_log(server.folder.parent)
    content = request(server.port, server.token, body([alert(f"f{number:08}", instance(number), "Bench", "BenchDown")]))
    began = time.time()
    post_all(server.port, [content], 1)

    def missing() -> str | None:
        lines = log.read_text().splitlines() if log.exists() else []
        return None if len(lines) > number else f"{len(lines)} lines in the target's log"

    wait_until(missing, 30, f"the action of heal {number}", every=0.005)
    return (float(log.read_text().splitlines()[number].split()[1]) - began) * 1000


def overhead(bench: Bench) -> dict[str, Measured]:
    """Heals one after another, their tools doing nothing."""
    runs, folder = 40 if bench.quick else 200, bench.folder("overhead")
    with healer(folder, "BenchNoop", runs + 5, healing=AT_ONCE_HEALED) as server:
        heal_one_after_another(server, "BenchNoop", range(runs + 5))
        healed = server.number("SELECT count(*) FROM past_heals WHERE outcome = 'mitigated'")
    took = overheads(folder)[5:]
    cuts = quantiles(took, n=100)
    bench.say(f"overhead: p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms; {healed} of {runs + 5} mitigated")
    shown = tuple(round(one, 1) for one in took)
    return {"overhead_ms_p50": Measured(cuts[49], shown), "overhead_ms_p99": Measured(cuts[98], shown)}


def rate(bench: Bench) -> dict[str, Measured]:
    """All posted at once; from the first post to the last outcome."""
    count, runs = (200, 1) if bench.quick else (600, 3)
    rates = []
    for number in range(runs):
        folder = bench.folder(f"rate-{number}")
        with healer(folder, "BenchNoop", count, healing=AT_ONCE_HEALED) as server:
            began = time.time()
            post(server, "BenchNoop", range(count), per_post=50, at_once=4)
            server.wait_for(ENDED, count, 180)
            last = server.query("SELECT max(closed_at) FROM past_heals")[0][0]
            healed = server.number("SELECT count(*) FROM past_heals WHERE outcome = 'mitigated'")
        rates.append(count / (last - began))
        bench.say(f"heals: {rates[-1]:.1f} a second; {healed} of {count} mitigated")
    return {"heals_per_s_1": Measured(median(rates), tuple(round(one, 2) for one in rates))}


def model(bench: Bench) -> dict[str, Measured]:
    """Twice as many heals as are in flight at once; the ideal is that nothing but the model takes time."""
    count, folder = 2 * IN_FLIGHT, bench.folder("model")
    llm = {"model": "scripted", "structured_output": "json_schema"}
    with healer(
        folder, "BenchNoop", count + 1, healing=AT_ONCE_HEALED, llm=llm, worker_concurrency=IN_FLIGHT
    ) as server:
        heal_one_after_another(server, "BenchNoop", [count])  # the model's client is loaded by the first
        calls = server.number("SELECT count(*) FROM model_calls")
        began = time.time()
        post(server, "BenchNoop", range(count), per_post=32, at_once=4)
        server.wait_for(ENDED, count + 1, 180)
        last = server.query("SELECT max(closed_at) FROM past_heals")[0][0]
        made = server.number("SELECT count(*) FROM model_calls") - calls
    ideal = count / IN_FLIGHT * MODEL_CALLS * CALL_SECONDS
    share = ideal / (last - began)
    bench.say(f"{count} heals with {made} calls of the model took {last - began:.1f} s; ideally {ideal:.0f} s")
    return {"llm_inflight_share": Measured(share, (share,), detail={"model_calls": made, "heals": count})}

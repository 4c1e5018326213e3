"""SIGKILL under load, again and again on the same files: what was answered 202 must be there, and nothing done twice.

Alerts come in all the while, each about a resource of its own, and each is healed by one side effect that the target
itself writes down. The kills fall at random moments, so among them are those in the middle of accepting and of acting.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

from evals.bench.bench import Bench
from evals.bench.bodies import alert, body, fingerprint, instance
from evals.bench.figures import Measured
from evals.bench.healed import AT_ONCE_HEALED, healer
from evals.bench.posting import post_all, request
from evals.bench.servers import Server
from evals.bench.tools import target_log
from evals.lab.stage import LabError

NAMES = ("kill9_lost", "kill9_doubled")
KILLS, FEWER_KILLS = 24, 6
RESOURCES = 4_000
AT_ONCE = 4
SETTLE_SECONDS = 240.0


def measure(bench: Bench) -> dict[str, Measured]:
    """Both figures."""
    kills = FEWER_KILLS if bench.quick else KILLS
    folder = bench.folder("kill9")
    dice = random.Random(kills)
    taken: list[str] = []
    with healer(folder, "Bench", RESOURCES, resource={"transport": "local"}, healing=AT_ONCE_HEALED) as server:
        load = _Load(server)
        load.start()
        try:
            for number in range(kills):
                time.sleep(dice.uniform(0.2, 1.5))
                server.kill()
                server.start(ready=number % 2 == 0)  # every other time while it is still starting
        finally:
            taken = load.stop()
        _settled(server)
        kept = {row[0] for row in server.query("SELECT fingerprint FROM alerts")}
        twice = server.number("SELECT count(*) FROM (SELECT 1 FROM alerts GROUP BY fingerprint HAVING count(*) > 1)")
        outcomes = dict(server.query("SELECT outcome, count(*) FROM past_heals GROUP BY outcome"))
        unknown = server.number("SELECT count(*) FROM past_heals WHERE rule = 'effect_unknown'")
    lost = sum(fingerprint(case) not in kept for case in taken)
    log = target_log(folder)
    keys = Counter(line.split()[0] for line in log.read_text().splitlines()) if log.exists() else Counter()
    incidents = Counter(key.partition(":")[0] for key in keys.elements())
    doubled = sum(times - 1 for times in incidents.values()) + twice
    detail = {"kills": kills, "answered_202": len(taken), "side_effects": len(keys), "outcomes": outcomes}
    detail["escalated_unknown"] = unknown
    bench.say(f"kill -9: {detail}; {lost} lost, {doubled} doubled")
    return {
        "kill9_lost": Measured(lost, (lost,), detail=detail),
        "kill9_doubled": Measured(doubled, (doubled,), detail=detail),
    }


def _settled(server: Server) -> None:
    """Until every heal has ended; those that wait out the deadline of a broken run take their time."""
    under_way = "SELECT count(*) FROM incidents WHERE phase IN ('queued', 'running', 'waiting')"
    until = time.monotonic() + SETTLE_SECONDS
    while server.number(under_way):
        if time.monotonic() > until:
            raise LabError(f"{server.number(under_way)} heals have not ended after {SETTLE_SECONDS:g} s")
        time.sleep(0.5)


class _Load(threading.Thread):
    """Posts until told to stop; remembers what was answered 202."""

    def __init__(self, server: Server) -> None:
        super().__init__(name="load", daemon=True)
        self._server = server
        self._enough = threading.Event()
        self._taken: list[str] = []

    def run(self) -> None:
        number = 0
        while not self._enough.is_set() and number < RESOURCES:
            cases = [f"k{number + place:08}" for place in range(AT_ONCE)]
            bodies = [body([alert(case, instance(int(case[1:])), "Bench", "BenchDown")]) for case in cases]
            requests = [request(self._server.port, self._server.token, content) for content in bodies]
            answers = post_all(self._server.port, requests, AT_ONCE)
            self._taken += [case for case, status in zip(cases, answers.statuses, strict=True) if status == 202]
            number += AT_ONCE
            time.sleep(0.02 if 202 in answers.counts else 0.1)

    def stop(self) -> list[str]:
        """What was answered 202."""
        self._enough.set()
        self.join(60)
        return self._taken

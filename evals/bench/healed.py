"""A server that heals the benchmark's own resources, and what its spans say of where the time went."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from evals.bench.bodies import alert, body, instance
from evals.bench.posting import Answers, post_all, request
from evals.bench.program import ENDED as END
from evals.bench.program import HEALTH, SPANS, TAKEN
from evals.bench.servers import Server, serving
from evals.bench.stand_ins import stand_ins
from evals.bench.tools import AUTO, FOLDER

AT_ONCE_HEALED = {"soak_seconds": 0, "verify_timeout_seconds": 60}
"""Health need not hold for a time: that is waiting, and not our work."""
SETTINGS = "healing.soak_seconds: 0 (waiting for health to hold is no work)"
ENDED = "SELECT count(*) FROM incidents WHERE phase NOT IN ('queued', 'running', 'waiting')"
TOOLS = ("selfheal.evidence", "selfheal.model", HEALTH)
"""What asks the world. Not `selfheal.action`, which holds our journal: of an action that does nothing, that is all."""


@contextmanager
def healer(
    folder: Path,
    kind: str,
    count: int,
    policies: Sequence[Mapping[str, Any]] = AUTO,
    resource: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Iterator[Server]:
    """A server with that many resources of a kind of the benchmark's, ready."""
    with stand_ins(folder) as port:
        common = {"kind": kind, "address": "127.0.0.1", "transport": "none", "health": [{"tcp": f"127.0.0.1:{port}"}]}
        resources = [{"id": instance(number), **common, **(resource or {})} for number in range(count)]
        environment = {FOLDER: str(folder), SPANS: str(folder / "spans.jsonl"), "OPENAI_API_KEY": "none"}
        settings = {"prometheus": {"url": f"http://127.0.0.1:{port}"}, **settings}
        if "llm" in settings:
            settings["llm"] = {"base_url": f"http://127.0.0.1:{port}/v1", **settings["llm"]}
        made = Server(folder / "server", resources, policies, "evals.bench.program", environment, **settings)
        with serving(made) as server:
            yield server


def post(server: Server, kind: str, numbers: Sequence[int], per_post: int = 1, at_once: int = 1) -> Answers:
    """An alert about each of these resources."""
    alerts = [alert(f"{kind[:6]}{number:08}", instance(number), kind, "BenchDown") for number in numbers]
    parts = [alerts[start : start + per_post] for start in range(0, len(alerts), per_post)]
    return post_all(server.port, [request(server.port, server.token, body(part)) for part in parts], at_once)


def heal_one_after_another(server: Server, kind: str, numbers: Sequence[int]) -> None:
    """Each once the one before has ended."""
    ended = server.number(ENDED)
    for number in numbers:
        post(server, kind, [number])
        ended += 1
        server.wait_for(ENDED, ended, 60, every=0.005)


@dataclass(frozen=True)
class Line:
    """One line of the spans' file. Times are seconds since the epoch."""

    name: str
    incident: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass(frozen=True)
class TakenLeg:
    """A leg that a process took."""

    incident: str
    number: int


def spans(folder: Path) -> list[Line]:
    """All that was written so far."""
    return [Line(*json.loads(line)) for line in (folder / "spans.jsonl").read_text().splitlines()]


def legs(folder: Path) -> list[TakenLeg]:
    """Each as often as it was taken, by whichever process."""
    taken = (line for line in spans(folder) if line.name.startswith(TAKEN))
    return [TakenLeg(line.incident, int(line.name.rpartition(" ")[2])) for line in taken]


def overheads(server: Server) -> list[float]:
    """Of each heal, in milliseconds: its time less what its tools and models took, whichever ran side by side.

    From the moment its alert was received until its end is on disk, so that all our commits are in it.
    """
    lines = _by_incident(server.folder.parent)
    took = []
    latest = server.query("SELECT id, received_at FROM incidents ORDER BY number DESC LIMIT ?", len(lines))
    for incident, received in reversed(latest):
        ends = [line.ended for line in lines[incident] if line.name.startswith(END)]
        if ends:
            tools = _covered(line for line in lines[incident] if line.name.startswith(TOOLS))
            took.append((max(ends) - received - tools) * 1000)
    return took


def parts(folder: Path) -> dict[str, float]:
    """Where the time goes: medians in milliseconds, of each node less what its tools took, and of what lies between."""
    found: dict[str, list[float]] = defaultdict(list)
    for lines in _by_incident(folder).values():
        tools = [line for line in lines if line.name.startswith(TOOLS)]
        nodes = [line for line in lines if line.name.startswith("selfheal.node ")]
        for node in nodes:
            inside = _covered(tool for tool in tools if node.began <= tool.began and tool.ended <= node.ended)
            found[node.name.removeprefix("selfheal.")].append(node.seconds - inside)
        whole = [line for line in lines if line.name.startswith("selfheal.heal ")]
        found["the graph between nodes"] += [line.seconds - sum(node.seconds for node in nodes) for line in whole]
        found["taking the leg"] += [line.seconds for line in lines if line.name.startswith(TAKEN)]
        found["writing the end"] += [line.seconds for line in lines if line.name.startswith(END)]
    return {name: round(median(times) * 1000, 2) for name, times in found.items() if times}


def evidence_ms(folder: Path) -> float:
    """What asking all sources at once takes: the median in milliseconds."""
    asked = (
        [line for line in lines if line.name.startswith("selfheal.evidence ")]
        for lines in _by_incident(folder).values()
    )
    return round(median(_covered(lines) for lines in asked if lines) * 1000, 1)


def _by_incident(folder: Path) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = defaultdict(list)
    for line in spans(folder):
        found[line.incident].append(line)
    return found


def _covered(lines: Iterable[Line]) -> float:
    """Seconds in which at least one was under way."""
    covered, until = 0.0, float("-inf")
    for line in sorted(lines, key=lambda one: one.began):
        covered += max(0.0, line.ended - max(line.began, until))
        until = max(until, line.ended)
    return covered

"""A server that heals the benchmark's own resources, and what its spans say of where the time went."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evals.bench.bodies import alert, body, instance
from evals.bench.posting import Answers, post_all, request
from evals.bench.program import SPANS
from evals.bench.servers import Server, serving
from evals.bench.stand_ins import stand_ins
from evals.bench.tools import AUTO, FOLDER

AT_ONCE_HEALED = {"soak_seconds": 0, "verify_timeout_seconds": 60}
"""Health need not hold for a time: that is waiting, and not our work."""
SETTINGS = "healing.soak_seconds: 0 (waiting for health to hold is no work)"
ENDED = "SELECT count(*) FROM incidents WHERE phase NOT IN ('queued', 'running', 'waiting')"
TOOLS = ("selfheal.evidence", "selfheal.action", "selfheal.model")


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


def overheads(folder: Path) -> list[float]:
    """Of each heal, in milliseconds: its time less what its tools and models took, whichever ran side by side."""
    whole: dict[str, float] = defaultdict(float)
    tools: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in (folder / "spans.jsonl").read_text().splitlines():
        name, incident, began, ended = json.loads(line)
        if name.startswith("selfheal.heal"):
            whole[incident] += ended - began
        elif name.startswith(TOOLS):
            tools[incident].append((began, ended))
    return [(took - _covered(tools[incident])) * 1000 for incident, took in whole.items()]


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    """Seconds in which at least one was under way."""
    covered, until = 0.0, float("-inf")
    for began, ended in sorted(spans):
        covered += max(0.0, ended - max(began, until))
        until = max(until, ended)
    return covered

"""Kinds, sources and actions for measuring: they do next to nothing, so that what is left is our own work.

`Bench` looks and acts by one small command each on its host; `BenchNoop` by nothing at all; `BenchSlow` acts for long.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from graph.facts import Facts
from graph.kind import ActionSpec, Cause, Match, Remedy, ResourceKind
from graph.ports import ActionOutput, Finding, Probe
from graph.records import Incident, PlanStep, Resource
from tools.actions.action import Action, Params
from tools.actions.claimed import claim_of, probe_of_claim, run_claimed
from tools.evidence.context import EvidenceContext, raw_of, resource_of

FOLDER = "BENCH_FOLDER"
"""Variable that names where the target's own log and the claims are."""
QUERIES = 8
SLOW_SECONDS = 600.0


def folder() -> Path:
    """Of this run."""
    return Path(os.environ[FOLDER])


def target_log(where: Path) -> Path:
    """What was done to the target, as the target itself wrote it: a line for each side effect, key and time."""
    return where / "target.log"


class _Looking:
    """A source that says the service is down."""

    name = "bench"
    deadline_seconds = 10.0

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Says it at once."""
        return Finding("nothing", "it is down", {"bench.down": True})


class _LookingThere(_Looking):
    async def gather(self, incident: Incident) -> Finding:
        """Runs one command on the host."""
        result = await self._context.hosts.run(resource_of(incident), "cat /proc/loadavg")
        return Finding(result.command, result.stdout.strip(), {"bench.down": True}, raw=raw_of(result))


def _named(name: str, base: type[_Looking]) -> type[_Looking]:
    return type(name, (base,), {"name": name})


NOOP_SOURCES = tuple(_named(f"bench_noop_{number}", _Looking) for number in range(QUERIES))
HOST_SOURCES = tuple(_named(f"bench_host_{number}", _LookingThere) for number in range(QUERIES))


class BenchNoop(Action[Params]):
    """Succeeds at once."""

    spec = ActionSpec("bench_noop", "do nothing", "low", Params, 30.0)
    params = Params

    def render(self, resource: Resource, params: Params) -> str:
        """In words."""
        return f"nothing, on {resource.id}"

    async def precondition(self, resource: Resource, params: Params) -> str | None:
        """It may always run."""
        return None

    async def baseline(self, resource: Resource, params: Params) -> dict[str, Any]:
        """Nothing to compare."""
        return {}

    async def run(self, resource: Resource, params: Params, key: str, first_started_at: datetime) -> ActionOutput:
        """Nothing."""
        return ActionOutput("succeeded", "done")

    async def probe(self, resource: Resource, params: Params, key: str, baseline: Mapping[str, Any]) -> Probe:
        """It leaves nothing to find."""
        return Probe("took_effect", "nothing was to be done")


class BenchAct(BenchNoop):
    """Writes a line to the target's own log, claimed as every command on a host is."""

    spec = ActionSpec("bench_act", "write a line", "low", Params, 20.0)

    def render(self, resource: Resource, params: Params) -> str:
        """The command but for the key."""
        return f"write to {target_log(folder())}"

    async def run(self, resource: Resource, params: Params, key: str, first_started_at: datetime) -> ActionOutput:
        """One command on the host."""
        log = shlex.quote(str(target_log(folder())))
        return await run_claimed(self._apart, resource, key, f'echo {shlex.quote(key)} "$(date +%s.%N)" >> {log}', 10)

    async def probe(self, resource: Resource, params: Params, key: str, baseline: Mapping[str, Any]) -> Probe:
        """What the claim says."""
        claim = await claim_of(self._apart, resource, key)
        return probe_of_claim(claim, resource) or Probe("unknown", "begun, without an exit status")

    @property
    def _apart(self) -> Any:
        return replace(self.context, marker_root=str(folder() / "claims"), marker_memory=())


class BenchSleep(BenchNoop):
    """Takes longer than anybody measures."""

    spec = ActionSpec("bench_sleep", "sleep", "low", Params, SLOW_SECONDS + 10)

    async def run(self, resource: Resource, params: Params, key: str, first_started_at: datetime) -> ActionOutput:
        """Sleeps."""
        await asyncio.sleep(SLOW_SECONDS)
        return ActionOutput("succeeded", "slept")


def _down(facts: Facts, resource: Resource) -> Match | None:
    found = facts.first("bench.down")
    return Match(0.95, [found], "it is down", resource.id) if found is not None else None


def _kind(name: str, action: str, sources: tuple[type[_Looking], ...]) -> ResourceKind:
    def steps(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
        return (PlanStep(action=action, why="it is down", expect="it is up"),)

    remedy = Remedy(action, "mend it", steps, (action,))
    return ResourceKind(
        name=name,
        summary="something to measure with",
        issue_types=("service_down",),
        sources=tuple(source.name for source in sources),
        causes=(Cause("bench_down", "it is down", "service_down", _down, (remedy,)),),
        actions=(action,),
        no_fault=lambda facts, resource: None,
    )


KINDS = (
    _kind("Bench", "bench_act", HOST_SOURCES),
    _kind("BenchNoop", "bench_noop", NOOP_SOURCES),
    _kind("BenchSlow", "bench_sleep", NOOP_SOURCES),
)
SOURCES = (*NOOP_SOURCES, *HOST_SOURCES)
ACTIONS = (BenchNoop, BenchAct, BenchSleep)
AUTO = tuple(
    {"resource_kind": kind.name, "issue_type": "service_down", "auto_heal": True, "max_retries": 3} for kind in KINDS
)

"""What is measured: the product's own graph over a recorded world, from the alert to the gate and not one step further.

The reasoner, the rules, the catalogue and the graph are the shipped ones; only the world is replayed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, cast

from langchain_core.runnables import RunnableConfig

from agents import known_kinds
from agents.reasoning.ledger import MemoryLedger, Spent
from evals.case import Case, InvalidCase
from evals.replay import NoHealth, RecordedInquiries, Recording, replay_clock, sources_of
from evals.stage import playing
from graph.build import GRAPH_VERSION, RECURSION_LIMIT
from graph.fakes import FakeArchive, FakeChronicle, FakeDirectives, FakeFleet, FakeJournal
from graph.kind import ResourceKind
from graph.ports import Deps, HealSettings, Reasoner
from graph.reasoning import Inquiry
from graph.records import Attempt, Diagnosis, Evidence, Gate, Incident, Plan, Policy
from graph.rules.classify import issue_type_of
from graph.state import SCHEMA_VERSION, Heal, HealState, dump
from tools.actions.action import ActionContext
from tools.actions.catalogue import Catalogue
from tools.clients.databases import make_databases
from tools.clients.memory import MemoryHosts
from tools.clients.prometheus import PrometheusClient
from tools.clients.providers.memory import MemoryProvider
from tools.evidence.context import EvidenceContext
from tools.inquiries import InquiryTools
from tools.redaction import redact

LAST_NODES = frozenset({"verify", "escalate", "close", "approve", "execute"})
"""Before these a replay ends: what comes after needs the world itself."""
NOWHERE = "http://192.0.2.1:9090"
"""An address of documentation: nothing is asked there, but production's tools are offered as if there were one."""


@dataclass(frozen=True)
class CaseRun:
    """What a reasoner made of one case. `error` is why there is no more, where something broke."""

    case_id: str
    reasoner: str
    diagnosis: Diagnosis | None = None
    evidence: tuple[Evidence, ...] = ()
    plan: Plan | None = None
    gate: Gate | None = None
    path: tuple[str, ...] = ()
    """The nodes that ran, in order."""
    ended_before: str = ""
    """The node it would have gone to: `verify`, `escalate`, `execute` …"""
    inquiries: tuple[Inquiry, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    """What had been tried before."""
    not_recorded: tuple[str, ...] = ()
    """Calls that the recording had no answer for."""
    spent: Spent = field(default_factory=Spent)
    seconds: float = 0.0
    """Of the machine running it, not of the recording."""
    error: str = ""


@lru_cache(1)
def all_kinds() -> Mapping[str, ResourceKind]:
    """What agents declare, looked up once: entry points are searched for in every installed package."""
    return known_kinds()


async def run_case(
    case: Case,
    reasoner: Reasoner,
    ledger: MemoryLedger | None = None,
    kinds: Mapping[str, ResourceKind] | None = None,
    settings: HealSettings | None = None,
) -> CaseRun:
    """Replay one case. `ledger` is where the reasoner puts its calls on record. Raises InvalidCase for a kind that
    nobody declares; whatever else breaks is told in `error`."""
    kind = (kinds or all_kinds()).get(case.file.kind)
    if kind is None:
        raise InvalidCase(f"{case.folder}: kind {case.file.kind!r} is declared by no agent")
    began = time.perf_counter()
    recording = Recording(case)
    deps = _deps(case, kind, reasoner, recording, settings or HealSettings())
    incident = incident_of(case)
    path: list[str] = []
    state = HealState(schema_version=SCHEMA_VERSION, graph_version=GRAPH_VERSION, **_begin(incident, case))
    config = RunnableConfig(recursion_limit=RECURSION_LIMIT, configurable={"holder": ""})
    ended_before = error = ""
    try:
        with playing(deps) as graph:
            walk = graph.astream(state, config, stream_mode=["values", "tasks"])
            stream = cast("AsyncGenerator[Any, None]", walk)
            async with aclosing(stream):
                async for mode, part in stream:
                    if mode == "values":
                        state = part
                    elif "input" in part:
                        if part["name"] in LAST_NODES:
                            ended_before = part["name"]
                            break
                        path.append(part["name"])
    except Exception as broken:  # a case that breaks the product is a finding about it, not the end of the others
        error = f"{type(broken).__name__}: {broken}"
    heal = Heal.read(state)
    return CaseRun(
        case_id=case.id,
        reasoner=reasoner.name,
        diagnosis=heal.diagnosis,
        evidence=heal.evidence,
        plan=heal.plan,
        gate=heal.gate,
        path=tuple(path),
        ended_before=ended_before,
        inquiries=heal.inquiries,
        attempts=heal.attempts,
        not_recorded=tuple(str(missed) for missed in recording.missed),
        spent=await ledger.spent(incident.id) if ledger is not None else Spent(),
        seconds=round(time.perf_counter() - began, 4),
        error=error or heal.broken or "",
    )


def incident_of(case: Case) -> Incident:
    """The incident as intake would have opened it."""
    resource = case.context.resource
    alerts = case.alerts.alerts
    return Incident(
        id=f"case-{case.id}",
        number=1,
        resource_kind=case.file.kind,
        resource_id=resource.id if resource else alerts[0].labels.get("resource_id", "unknown"),
        issue_types=tuple(dict.fromkeys(issue_type_of(alert) for alert in alerts)),
        alerts=alerts,
        received_at=case.received_at,
        resource=resource,
    )


def _begin(incident: Incident, case: Case) -> HealState:
    begin = dump({"incident": incident, "attempts": case.context.attempts})
    return HealState(incident=begin["incident"], attempts=begin["attempts"])


def _deps(case: Case, kind: ResourceKind, reasoner: Reasoner, recording: Recording, settings: HealSettings) -> Deps:
    clock = replay_clock(case)
    resource = case.context.resource
    declared = ((resource,) if resource else ()) + case.context.inventory
    inventory = {each.key: each for each in declared}
    used = {each.provider.name for each in declared} - {"none"}
    providers = {name: MemoryProvider({}, now=clock.now) for name in sorted(used)}
    hosts, databases, health = MemoryHosts(), make_databases(), NoHealth()
    seen = EvidenceContext(hosts, clock, health, PrometheusClient(NOWHERE), providers, None, inventory, databases)
    tools = InquiryTools(seen, {kind.name: kind.sources})
    return Deps(
        kind=kind,
        reasoner=reasoner,
        sources=sources_of(kind, recording),
        archive=FakeArchive(),
        actions=Catalogue(ActionContext(hosts, clock, providers, inventory=inventory, databases=databases)),
        journal=FakeJournal(),
        health=health,
        fleet=FakeFleet(),
        directives=FakeDirectives(),
        chronicle=FakeChronicle(),
        clock=clock,
        redact=redact,
        inquiries=RecordedInquiries(recording, tools),
        policies=tuple(
            Policy(resource_kind=kind.name, issue_type=each, auto_heal=True, max_retries=3) for each in kind.issue_types
        ),
        settings=replace(settings, inline_waits=True),
    )

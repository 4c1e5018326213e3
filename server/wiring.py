"""The only file that names concrete tools. Unknown names fail here, at the start, not in the middle of a heal.

Imported behind the open port, as what it imports takes a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from pydantic import ValidationError

from agents import known_kinds
from agents.reasoning.budget import Budget, BudgetLimits
from agents.reasoning.fallback import FallbackReasoner
from agents.reasoning.ledger import Ledger
from agents.reasoning.llm import LlmReasoner
from agents.reasoning.llm import LlmSettings as ModelSettings
from agents.reasoning.lore import Lore
from agents.reasoning.runbook import RunbookReasoner
from agents.reasoning.when import UnknownOnly
from graph.kind import ResourceKind
from graph.ports import (
    Chronicle,
    CommandLog,
    Deps,
    Directives,
    EvidenceArchive,
    Fleet,
    HealSettings,
    Journal,
    PermanentError,
    Reasoner,
    TemporaryError,
)
from graph.records import Alert, Policy
from server.alertmanager_settings import AlertmanagerSettings
from server.auth import read_password, read_token
from server.lore import Pasts, StoredLore
from server.runbooks.shelf import Shelf
from server.services import Services
from server.settings import LlmSettings, Settings
from server.settings_errors import ConfigError
from server.silencing import Silencer, Silencing
from server.tracing import tracing
from tools.actions.action import ActionContext
from tools.actions.catalogue import Catalogue
from tools.clients.alertmanager import AlertmanagerClient
from tools.clients.circuit import Circuits
from tools.clients.databases import make_databases
from tools.clients.prometheus import PrometheusClient
from tools.clients.providers import make_providers
from tools.clients.recording import Recorder
from tools.clients.transports import TransportHosts
from tools.evidence import EvidenceContext, History, make_sources
from tools.health import OfIssue, OfKind, WorldHealth, health_client
from tools.health_cpu import cpu_observations
from tools.health_database import database_observations
from tools.health_disk import disk_room
from tools.inquiries import InquiryTools
from tools.redaction import redact
from tools.suppressions import AlertmanagerSuppressions

# Two calls of the model and what lies between them, before the runbook's turn.
REASONER_TIMEOUTS = 2.5


class Memory(Journal, Fleet, EvidenceArchive, Protocol):
    """What nodes remember by: the store."""


class Told(Directives, Chronicle, Protocol):
    """Who is asked whether to stop, and told what was done: the store, or what stands before it."""


class Remembered(History, CommandLog, Ledger, Pasts, Protocol):
    """What has happened before, and where commands and model calls are put on record: the store."""


class SystemClock:
    """The wall clock and real waiting."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True)
class Tools:
    """The outside world of one process: what the graphs of all kinds are given."""

    actions: Catalogue
    hosts: TransportHosts
    health: WorldHealth
    reasoner: Reasoner
    prometheus: PrometheusClient
    evidence: EvidenceContext
    clock: SystemClock
    alertmanager: AlertmanagerClient | None = None
    circuits: Circuits = field(default_factory=Circuits)
    """Who is not asked just now, as they failed again and again."""

    def inquiries(self, kind: ResourceKind) -> InquiryTools:
        """What a reasoner may ask of a resource of this kind."""
        return InquiryTools(self.evidence, {kind.name: kind.sources})

    async def condition(self, alert: Alert) -> bool | None:
        """Whether Prometheus shows the alert's condition now; None where it can't say."""
        try:
            found = await self.prometheus.alert_state(alert)
        except (TemporaryError, PermanentError):
            return None
        return {"firing": True, "pending": True, "inactive": False}.get(found.state)


@asynccontextmanager
async def open_tools(settings: Settings, remembered: Remembered | None = None) -> AsyncIterator[Tools]:
    """Clients, sources and actions as the settings declare them. Connects at the first question only.

    What heals send to the outside is put on record in `remembered`; they are traced where the environment asks.
    """
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(tracing())
        clock, recorder, circuits = SystemClock(), Recorder(remembered), Circuits()
        inventory = {resource.key: resource for resource in settings.resources}
        hosts = TransportHosts(recorder=recorder, circuits=circuits)
        stack.push_async_callback(hosts.close)
        prometheus = make_prometheus(settings, circuits)
        stack.push_async_callback(prometheus.close)
        alertmanager = make_alertmanager(settings.alertmanager, circuits)
        if alertmanager is not None:
            stack.push_async_callback(alertmanager.close)
        databases = make_databases(recorder, circuits)
        names = {"none", *(item.provider.name for item in settings.resources)}
        providers = make_providers(names, recorder, circuits)
        criteria = (
            OfKind("Database", partial(database_observations, databases, inventory)),
            OfIssue("disk_full", disk_room(hosts)),
            OfIssue("high_cpu", partial(cpu_observations, hosts), kinds=("Instance",)),
        )
        http = await stack.enter_async_context(health_client())
        health = WorldHealth(hosts, prometheus, http, criteria)
        yield Tools(
            actions=Catalogue(
                ActionContext(hosts, clock, providers, inventory=inventory, databases=databases, prometheus=prometheus)
            ),
            hosts=hosts,
            health=health,
            reasoner=make_reasoner(settings.llm, remembered, make_lore(settings, remembered)),
            prometheus=prometheus,
            evidence=EvidenceContext(hosts, clock, health, prometheus, providers, remembered, inventory, databases),
            clock=clock,
            alertmanager=alertmanager,
            circuits=circuits,
        )


def deps_of(
    kind: ResourceKind,
    tools: Tools,
    memory: Memory,
    told: Told,
    policies: Sequence[Policy],
    settings: HealSettings,
) -> Deps:
    """What the nodes of one kind's graph are given. Raises for a source or action that does not exist."""
    tools.actions.specs(kind)
    return Deps(
        kind=kind,
        reasoner=tools.reasoner,
        sources=make_sources(kind.sources, tools.evidence),
        archive=memory,
        actions=tools.actions,
        journal=memory,
        health=tools.health,
        fleet=memory,
        directives=told,
        chronicle=told,
        clock=tools.clock,
        redact=redact,
        inquiries=tools.inquiries(kind),
        suppressions=AlertmanagerSuppressions(tools.alertmanager) if tools.alertmanager else None,
        policies=policies,
        settings=settings,
    )


def for_studio(settings: HealSettings, execute: bool, decider: str) -> HealSettings:
    """Studio has no runner that wakes a heal, and touches nothing unless told to."""
    return replace(
        settings,
        inline_waits=True,
        asks_in_dry_run=True,
        dry_run=settings.dry_run or not execute,
        decider=decider,
    )


def make_lore(settings: Settings, remembered: Pasts | None) -> Lore:
    """Earlier incidents out of the store, and the operators' runbooks where a folder is set."""
    return StoredLore(remembered, Shelf(settings.runbooks, known_kinds()) if settings.runbooks else None)


def make_reasoner(llm: LlmSettings | None, ledger: Ledger | None = None, lore: Lore | None = None) -> Reasoner:
    """The runbook alone, or a model with the runbook behind it. Raises ConfigError."""
    runbook = RunbookReasoner()
    if llm is None:
        return runbook
    try:
        model = ModelSettings(**llm.model_dump(exclude={"when", "investigate", "budget"}))
    except ValidationError as error:
        said = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise ConfigError("llm", [f"{said} (the variable OPENAI_API_KEY gives the key)"]) from error
    deadline = REASONER_TIMEOUTS * llm.timeout_seconds
    budget = Budget(BudgetLimits(**llm.budget.model_dump()), ledger)
    reasoner = FallbackReasoner(LlmReasoner(model, budget, lore), runbook, deadline_seconds=deadline)
    return UnknownOnly(reasoner, runbook) if llm.when == "unknown_only" else reasoner


def make_prometheus(settings: Settings, circuits: Circuits | None = None) -> PrometheusClient:
    """A client of its own, with its own connections: close it."""
    return PrometheusClient(settings.prometheus.url, settings.prometheus.timeout_seconds, circuits)


def make_alertmanager(
    settings: AlertmanagerSettings | None, circuits: Circuits | None = None
) -> AlertmanagerClient | None:
    """Who is asked what is silenced, or None. Raises ConfigError for an unusable file."""
    if settings is None:
        return None
    token = read_token(settings.token_file) if settings.token_file else None
    basic = None
    if settings.user is not None and settings.password_file is not None:
        basic = (settings.user, read_password(settings.password_file))
    return AlertmanagerClient(settings.url, settings.timeout_seconds, basic, token, circuits=circuits)


def make_silencer(services: Services, tools: Tools) -> Silencer | None:
    """Who silences what is being repaired; None where no Alertmanager is set."""
    chosen = services.settings.alertmanager
    if chosen is None or tools.alertmanager is None:
        return None
    how = Silencing(
        enabled=chosen.silence,
        lasts=timedelta(minutes=chosen.silence_minutes),
        policies=services.policies,
        dry_run=services.settings.healing.dry_run,
        link=services.settings.incident_link,
        place=services.place,
        condition=tools.condition,
    )
    return Silencer(services.store, tools.alertmanager, how, services.metrics)

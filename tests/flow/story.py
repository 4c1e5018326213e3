"""A small world made of shipped fakes, for stories about the flow of a heal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from agents.agent import Agent
from agents.legs import LegEnd, Resting, WaitingForApproval
from graph.facts import Facts, FactValue, fact_key
from graph.fakes import (
    AnyParams,
    FakeActions,
    FakeArchive,
    FakeChronicle,
    FakeClock,
    FakeDirectives,
    FakeFleet,
    FakeHealth,
    FakeJournal,
    FakeReasoner,
    FakeSource,
)
from graph.kind import ActionSpec, Cause, Match, Remedy, ResourceKind
from graph.ports import Deps, HealSettings, Inquiries, Reasoner, Suppressions
from graph.records import Alert, Incident, Observation, PlanStep, Policy, Resource, Risk, SshAccess

HOLDER = "worker-1:1"
INCIDENT_ID = "0190d0a0-0000-7000-8000-000000000001"

PASS = Observation(criterion="service web", status="pass", observed="web is running")
NOT_YET = Observation(criterion="service web", status="pending", observed="web is starting")
FAIL = Observation(criterion="service web", status="fail", observed="web is failed")

RESOURCE = Resource(
    id="inst-1",
    kind="Instance",
    address="192.0.2.1",
    ssh=SshAccess(user="ops", key_file="key", known_hosts="known_hosts"),
    services=("web",),
)


def _crashed(facts: Facts, resource: Resource) -> Match | None:
    state = facts.first("unit.state", unit="web")
    return Match(0.9, [state], "web crashed", "web") if state and state.value == "failed" else None


def _broken_config(facts: Facts, resource: Resource) -> Match | None:
    line = facts.first("journal.config_error", unit="web")
    return Match(0.97, [line], f"web: {line.value}", "web") if line else None


def _healthy(facts: Facts, resource: Resource) -> Match | None:
    state = facts.first("unit.state", unit="web")
    return Match(0.9, [state], "web runs") if state and state.value == "running" else None


def _remedy(action: str) -> Remedy:
    return Remedy(action, action, lambda resource, target, facts: (PlanStep(action=action, params={"unit": target}),))


def _spec(name: str, risk: Risk) -> ActionSpec:
    return ActionSpec(name, name, risk, AnyParams, deadline_seconds=5.0)


SPECS = {
    "restart": _spec("restart", "disruptive"),
    "replace": _spec("replace", "disruptive"),
    "rebuild": _spec("rebuild", "destructive"),
    "look": _spec("look", "read_only"),
}

KIND = ResourceKind(
    name="Instance",
    summary="a made-up host",
    issue_types=("service_down",),
    sources=("units",),
    actions=("restart", "replace", "rebuild", "look"),
    no_fault=_healthy,
    causes=(
        Cause("bad_config", "bad configuration", "service_down", _broken_config, human_must="mend the configuration"),
        Cause(
            "crashed",
            "crashed",
            "service_down",
            _crashed,
            (_remedy("restart"), _remedy("replace"), _remedy("rebuild")),
            told_apart_by=("journal",),
        ),
    ),
)


def policy(auto_heal: bool = True, max_retries: int = 3, **more: Any) -> Policy:
    return Policy(
        resource_kind="Instance", issue_type="service_down", auto_heal=auto_heal, max_retries=max_retries, **more
    )


def crashed_web() -> dict[str, FactValue]:
    return {fact_key("unit.state", unit="web"): "failed"}


@dataclass
class Story:
    """One incident and its world. Change the world, then `heal()`."""

    policies: Sequence[Policy] = (policy(),)
    facts: Mapping[str, FactValue] = field(default_factory=crashed_web)
    rounds: Sequence[Sequence[Observation]] = ((PASS,),)
    settings: HealSettings = field(default_factory=lambda: HealSettings(soak_seconds=2, verify_timeout_seconds=20))

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.actions = FakeActions(SPECS)
        self.journal = FakeJournal(holder=HOLDER)
        self.chronicle = FakeChronicle(self.journal)
        self.health = FakeHealth(self.rounds)
        self.fleet = FakeFleet()
        self.archive = FakeArchive()
        self.reasoner: Reasoner = FakeReasoner()
        self.inquiries: Inquiries | None = None
        self.suppressions: Suppressions | None = None
        self.directives = FakeDirectives()
        self.sources: list[FakeSource] = [FakeSource("units", self.facts)]
        self.saver = InMemorySaver()
        self.ends: list[LegEnd] = []
        self.incident = Incident(
            id=INCIDENT_ID,
            number=1,
            resource_kind="Instance",
            resource_id="inst-1",
            issue_types=("service_down",),
            alerts=(Alert(status="firing", labels={"alertname": "WebDown"}),),
            received_at=self.clock.now(),
            resource=RESOURCE,
        )

    @property
    def deps(self) -> Deps:
        return Deps(
            kind=KIND,
            reasoner=self.reasoner,
            sources=self.sources,
            archive=self.archive,
            inquiries=self.inquiries,
            suppressions=self.suppressions,
            actions=self.actions,
            journal=self.journal,
            health=self.health,
            fleet=self.fleet,
            directives=self.directives,
            chronicle=self.chronicle,
            clock=self.clock,
            policies=self.policies,
            settings=self.settings,
        )

    def agent(self) -> Agent:
        """A new process, so to say: same checkpoints, same world."""
        return Agent(self.deps, self.saver)

    async def leg(self, **more: Any) -> LegEnd:
        end = await self.agent().heal(self.incident, holder=HOLDER, **more)
        self.ends.append(end)
        return end

    async def heal(self, **more: Any) -> LegEnd:
        """Leg after leg, moving the clock over each rest, until a human is asked or it is over."""
        end = await self.leg(**more)
        while isinstance(end, Resting):
            self.clock.at = max(self.clock.at, end.until)
            end = await self.leg()
        return end

    async def state(self) -> dict[str, Any]:
        snapshot = await self.agent()._graph.aget_state({"configurable": {"thread_id": INCIDENT_ID}})
        return dict(snapshot.values)


def answer(kind: str, end: LegEnd, **more: Any) -> dict[str, Any]:
    """A human's answer to what was asked."""
    assert isinstance(end, WaitingForApproval)
    decision: dict[str, Any] = {"type": kind, **more}
    return {"decisions": [decision], "by": "ada", "plan_fingerprint": end.plan.plan_fingerprint}

"""What an agent declares about its kind of resource: causes, their signatures and remedies, actions, evidence.

The same list of causes serves twice: the runbook reasoner ranks it, and the model gets it as vocabulary and known
remedies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from graph.facts import Fact, Facts
from graph.records import IssueType, JudgedBy, PlanStep, Resource, Risk

UNKNOWN_CAUSE = "unknown"
NO_FAULT = "no_fault"
STORM = "Storm"
"""What incidents are of that stand for many resources failing together. No agent, resource or alert may be."""


@dataclass(frozen=True)
class Match:
    """How well a cause explains the facts: `score` in 0..1, the facts that speak for it, and what it is about."""

    score: float
    cites: Sequence[Fact]
    summary: str
    target: str | None = None


Signature = Callable[[Facts, Resource], Match | None]


@dataclass(frozen=True)
class Remedy:
    """One way to mend a cause. `steps` makes the plan's steps from the resource, the diagnosis' target and what was
    seen; none where this remedy does not apply.

    `actions` names all that `steps` may use, for the documentation.
    """

    name: str
    summary: str
    steps: Callable[[Resource, str | None, Facts], tuple[PlanStep, ...]]
    actions: tuple[str, ...] = ()
    needs_provider: bool = False


@dataclass(frozen=True)
class Cause:
    """A declared cause: remedies in order of harm, least first; the next remedy is the next attempt.

    A cause without remedies is escalated: `human_must` says what a human has to do.
    """

    name: str
    summary: str
    issue_type: IssueType
    signature: Signature
    remedies: tuple[Remedy, ...] = ()
    human_must: str = ""
    told_apart_by: tuple[str, ...] = ()
    """Evidence sources that could show another cause behind the same signs: where one of them fails, it is asked again
    before this cause is acted on."""


@dataclass(frozen=True)
class ActionSpec:
    """A declared action. `params` validates its arguments; `deadline_seconds` bounds one run.

    `risk` is that of the action as such; a target may make it more or less (see `tools.actions.Action.risk`).
    `touches` names what a run needs the lease of (`Instance/inst-1`, `host/inst-1`, `cluster/orders`).
    `judged_by` says what proves it a success: the resource's own health, or that of the traffic that was moved away
    from it. `undone_by` is the action that takes it back, in words for the documentation.
    """

    name: str
    summary: str
    risk: Risk
    params: type[BaseModel]
    deadline_seconds: float
    touches: Callable[[Resource], tuple[str, ...]] = field(default=lambda resource: touches_host(resource))
    judged_by: JudgedBy = "resource"
    undone_by: str = ""


def touches_host(resource: Resource) -> tuple[str, ...]:
    """For what concerns the resource and the machine beneath it."""
    return (resource.key, resource.host_key)


def touches_cluster(resource: Resource) -> tuple[str, ...]:
    """For what concerns a database cluster: two of its members must not be repaired at the same time. The machines of
    its peers are added where they are declared (see `tools.actions.Action.touches`)."""
    return (*touches_host(resource), *((resource.cluster_key,) if resource.cluster_key else ()))


@dataclass(frozen=True)
class ResourceKind:
    """A kind of resource an agent is responsible for."""

    name: str
    summary: str
    issue_types: tuple[IssueType, ...]
    sources: tuple[str, ...]
    """Evidence sources to gather, by name."""
    causes: tuple[Cause, ...]
    actions: tuple[str, ...]
    """Actions of the catalogue this kind permits, by name."""
    no_fault: Signature
    """Whether the facts show a healthy resource."""

    def cause(self, name: str) -> Cause | None:
        """The declared cause of that name, or None."""
        return next((cause for cause in self.causes if cause.name == name), None)

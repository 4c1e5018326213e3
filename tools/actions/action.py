"""What an action is: validated params, an exact rendering, fresh preconditions, one side effect, and a probe.

An action never sees a model's words: its params are a pydantic model, and what it runs it has written itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from graph.kind import ActionSpec
from graph.ports import ActionOutput, Clock, PermanentError, Probe
from graph.records import PlanStep, Resource, Risk
from tools.actions.claims import IN_MEMORY
from tools.clients.databases.database import Databases
from tools.clients.databases.last_position import Remembers
from tools.clients.host import place as place
from tools.clients.providers.provider import Provider
from tools.clients.transports import ReachableHosts


class Params(BaseModel):
    """Arguments of an action. Unknown ones are refused, as a model may invent them."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NotAllowed(ValueError):
    """These params must not be used on this resource: `field_name` is the param, or `action` for the action itself."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(message)
        self.field_name = field_name


@dataclass(frozen=True)
class ActionContext:
    """What actions are given. `marker_root` overrides where claims are kept on hosts (tests, unusual hosts), and
    `marker_memory` where in memory they are decided (see `tools.actions.claims`)."""

    hosts: ReachableHosts
    clock: Clock
    providers: Mapping[str, Provider] = field(default_factory=dict)
    marker_root: str | None = None
    marker_memory: tuple[str, ...] | None = None
    inventory: Mapping[str, Resource] = field(default_factory=dict)
    """Every declared resource by its key: how an action finds the peers and hosts that its target names."""
    databases: Databases = field(default_factory=dict)
    """Clients of database servers by engine."""
    prometheus: Remembers | None = None
    """Who remembers what a lost resource can no longer say."""

    @property
    def memory(self) -> tuple[str, ...]:
        """Folders in memory for claims: none of the usual ones where claims are kept elsewhere."""
        if self.marker_memory is not None:
            return self.marker_memory
        return IN_MEMORY if self.marker_root is None else ()

    def provider(self, resource: Resource) -> Provider | None:
        """The provider of the resource's machine; None for hosts reached by SSH only.

        Raises PermanentError for a provider that is not configured.
        """
        name = resource.provider.name
        if name == "none":
            return None
        if name not in self.providers:
            known = ", ".join(sorted(self.providers)) or "none"
            raise PermanentError(f"{resource.key} names provider {name!r}; known providers: {known}")
        return self.providers[name]


P = TypeVar("P", bound=Params)


class Action(ABC, Generic[P]):
    """One declared action. The catalogue calls it with params that `admit` has passed."""

    spec: ClassVar[ActionSpec]
    params: type[P]

    def __init__(self, context: ActionContext) -> None:
        self.context = context

    def risk(self, resource: Resource, params: P) -> Risk:
        """How much harm it may do to this target. No I/O."""
        return self.spec.risk

    def touches(self, resource: Resource, params: P) -> tuple[str, ...]:
        """What a run needs the lease of: what the spec says, and the machines of peers where it is about a cluster.
        No I/O."""
        said = self.spec.touches(resource)
        if resource.cluster_key not in said:
            return said
        peers = (self.context.inventory.get(key) for key in resource.peer_keys)
        return (*said, *(peer.host_key for peer in peers if peer is not None))

    def admit(self, resource: Resource, params: P) -> P:
        """The params in their one canonical form. Raises NotAllowed, saying what is allowed. No I/O."""
        return params

    @abstractmethod
    def render(self, resource: Resource, params: P) -> str:
        """Exactly what `run` will do to the world, as one line for people. No I/O."""

    @abstractmethod
    async def precondition(self, resource: Resource, params: P) -> str | None:
        """Why it must not run now, judged on what is read now; or None. May raise HostUnreachable, ProviderError."""

    @abstractmethod
    async def baseline(self, resource: Resource, params: P) -> dict[str, Any]:
        """What `probe` compares with. JSON. Never raises for a host or provider that does not answer."""

    @abstractmethod
    async def run(self, resource: Resource, params: P, key: str, first_started_at: datetime) -> ActionOutput:
        """Do it. May raise HostUnreachable and ProviderError, whose `sent` decides between `failed` and `unknown`."""

    @abstractmethod
    async def probe(self, resource: Resource, params: P, key: str, baseline: Mapping[str, Any]) -> Probe:
        """Whether a run of this key took effect; asked once its deadline has passed. May raise HostUnreachable and
        ProviderError: then it is `unknown`."""

    def undo(self, resource: Resource, params: P) -> PlanStep | None:
        """The step that takes it back, where one exists."""
        return None

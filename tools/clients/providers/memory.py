"""A provider in memory, for tests and dry trials: instances that stop, start and reboot as a real one's do.

Stopping and starting take a number of looks, as with real providers, so that code which does not wait is found out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from graph.records import Resource
from tools.clients.providers.provider import InstanceState, ProviderError, ProviderStatus

CallName = Literal["status", "soft_reboot", "start", "stop", "force_stop"]


@dataclass
class MemoryInstance:
    """One instance. `looks` is how many more times it is seen in a passing state (pending, stopping)."""

    state: InstanceState = "running"
    launched_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    looks: int = 0


@dataclass
class MemoryProvider:
    """Implements Provider. `errors` are raised by the next calls of that name; `acts` lets a test move a real host."""

    instances: dict[str, MemoryInstance] = field(default_factory=dict)
    name: str = "memory"
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    looks: int = 1
    calls: list[str] = field(default_factory=list)
    errors: dict[CallName, list[ProviderError]] = field(default_factory=dict)
    acts: Callable[[CallName, Resource], None] = field(default=lambda _call, _resource: None)

    async def status(self, resource: Resource) -> ProviderStatus:
        """The state as of this look."""
        instance = self._called("status", resource)
        if instance.looks:
            instance.looks -= 1
        elif instance.state in ("pending", "stopping"):
            instance.state = "running" if instance.state == "pending" else "stopped"
        check: Literal["ok", "not-applicable"] = "ok" if instance.state == "running" else "not-applicable"
        return ProviderStatus(instance.state, check, check, instance.launched_at)

    async def soft_reboot(self, resource: Resource) -> str:
        """The launch time stays, as with EC2."""
        self._called("soft_reboot", resource)
        return "reboot asked for"

    async def start(self, resource: Resource) -> str:
        """Starting what runs changes nothing, as with EC2."""
        instance = self._called("start", resource)
        if instance.state == "stopped":
            instance.state, instance.looks, instance.launched_at = "pending", self.looks, self.now()
        elif instance.state not in ("running", "pending"):
            raise ProviderError(f"IncorrectInstanceState: it is {instance.state}", temporary=True)
        return f"{instance.state}"

    async def stop(self, resource: Resource, *, force: bool) -> str:
        """Stopping what is stopped changes nothing."""
        instance = self._called("force_stop" if force else "stop", resource)
        if instance.state in ("running", "pending"):
            instance.state, instance.looks = "stopping", self.looks
        return f"{instance.state}"

    def render(self, resource: Resource, call: Literal["soft_reboot", "start", "stop", "force_stop"]) -> str:
        """`memory.start(i-0abc)`."""
        return f"{self.name}.{call}({resource.provider.instance_id})"

    def _called(self, call: CallName, resource: Resource) -> MemoryInstance:
        if call != "status":
            self.calls.append(call)
        if waiting := self.errors.get(call):
            raise waiting.pop(0)
        instance = self.instances.get(resource.provider.instance_id or "")
        if instance is None:
            raise ProviderError(f"no instance {resource.provider.instance_id}", temporary=False)
        self.acts(call, resource)
        return instance

"""What a provider of machines can tell and do: the port behind `ec2` and `none`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from graph.records import Resource

InstanceState = Literal["pending", "running", "stopping", "stopped", "shutting-down", "terminated", "unknown"]
StatusCheck = Literal["ok", "impaired", "initializing", "insufficient-data", "not-applicable", "unknown"]


class ProviderError(Exception):
    """The provider refused or did not answer. `temporary` where the same call may work later;
    `sent` whether the provider may have begun it."""

    def __init__(self, message: str, *, temporary: bool, sent: bool = False) -> None:
        super().__init__(message)
        self.temporary = temporary
        self.sent = sent


@dataclass(frozen=True)
class ProviderStatus:
    """What the provider says of an instance. `events` are scheduled events and recent state changes, in words."""

    state: InstanceState
    instance_check: StatusCheck = "unknown"
    system_check: StatusCheck = "unknown"
    launched_at: datetime | None = None
    instance_type: str = ""
    state_reason: str = ""
    events: tuple[str, ...] = ()
    console_tail: str = ""


class Provider(Protocol):
    """One provider. Calls raise ProviderError. `render_*` give the exact API call as text, as shown in plans."""

    name: str

    async def status(self, resource: Resource) -> ProviderStatus: ...

    async def soft_reboot(self, resource: Resource) -> str:
        """Ask the guest to reboot; returns what the provider answered, in words."""

    async def start(self, resource: Resource) -> str:
        """Start a stopped instance."""

    async def stop(self, resource: Resource, *, force: bool) -> str:
        """Stop a running instance, with force without asking the guest."""

    def render(self, resource: Resource, call: Literal["soft_reboot", "start", "stop", "force_stop"]) -> str:
        """The exact call, e.g. `ec2.RebootInstances(InstanceIds=['i-0abc'], region=eu-west-1)`."""

"""What a provider of machines can tell and do: the port behind `ec2`, `rds` and `none`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_network
from typing import Any, Literal, Protocol

from graph.records import Resource
from graph.resources import Ingress

InstanceState = Literal["pending", "running", "stopping", "stopped", "shutting-down", "terminated", "unknown"]
StatusCheck = Literal["ok", "impaired", "initializing", "insufficient-data", "not-applicable", "unknown"]


class ProviderError(Exception):
    """The provider refused or did not answer. `temporary` where the same call may work later;
    `sent` whether the provider may have begun it; `away` where this says something of the provider, not of the call:
    it was not reached, did not answer, or could not do its work."""

    def __init__(self, message: str, *, temporary: bool, sent: bool = False, away: bool = False) -> None:
        super().__init__(message)
        self.temporary = temporary
        self.sent = sent
        self.away = away


class Throttled(ProviderError):
    """Too many calls: turned away before anything was begun."""

    def __init__(self, message: str) -> None:
        super().__init__(message, temporary=True, away=True)


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


@dataclass(frozen=True)
class VolumeStatus:
    """A disk as the provider knows it. `modifying` while an earlier change of it is still under way."""

    volume_id: str
    size_gib: int
    state: str = ""
    modifying: bool = False
    attached_to: str | None = None


@dataclass(frozen=True)
class Permission:
    """What a security group lets in: ports `first` to `last` of `protocol` (`all` for every one) from `cidr`."""

    protocol: str
    first: int
    last: int
    cidr: str

    def covers(self, rule: Ingress) -> bool:
        """Whether it lets in all that the rule would."""
        ours, theirs = ip_network(self.cidr, strict=False), ip_network(rule.cidr, strict=False)
        return (
            self.protocol in (rule.protocol, "all")
            and self.first <= rule.port <= self.last
            and ours.version == theirs.version
            and theirs.network_address in ours
            and theirs.prefixlen >= ours.prefixlen
        )


@dataclass(frozen=True)
class SecurityGroupStatus:
    """A security group with what it lets in."""

    id: str
    ingress: tuple[Permission, ...]

    def allows(self, rule: Ingress) -> bool:
        """Whether one of its rules lets in all that this one would."""
        return any(permission.covers(rule) for permission in self.ingress)


@dataclass(frozen=True)
class AddressStatus:
    """A floating address and the instance it leads to; None where to none."""

    allocation_id: str
    address: str
    instance_id: str | None


@dataclass(frozen=True)
class TargetStatus:
    """One target of a load balancer's group. `health` is the provider's word: healthy, unhealthy, initial, draining."""

    instance_id: str
    port: int | None
    health: str


@dataclass(frozen=True)
class CapacityStatus:
    """An Auto Scaling group. `in_service` of `desired` instances serve."""

    name: str
    minimum: int
    desired: int
    maximum: int
    in_service: int


@dataclass(frozen=True)
class ManagedDatabaseStatus:
    """A database that the provider runs. `state` is its own word: available, rebooting, modifying, storage-full …"""

    id: str
    state: str
    engine: str = ""
    source: str | None = None
    """What it is a read replica of, or None."""
    replicas: tuple[str, ...] = ()
    endpoint: str | None = None


Call = Literal[
    "soft_reboot", "start", "stop", "force_stop", "set_instance_type", "grow_volume", "allow_ingress", "revoke_ingress",
    "move_address", "register_target", "deregister_target", "set_capacity", "reboot_database", "promote_database",
]  # fmt: skip
"""What changes something, by the name of the method that does it."""


class Provider(Protocol):
    """One provider. Calls raise ProviderError; one it can't do at all is refused as permanent.

    Reading may be repeated. What changes something is sent once, and returns what the provider answered, in words.
    """

    name: str

    async def status(self, resource: Resource) -> ProviderStatus: ...

    async def soft_reboot(self, resource: Resource) -> str:
        """Ask the guest to reboot."""

    async def start(self, resource: Resource) -> str:
        """Start a stopped instance."""

    async def stop(self, resource: Resource, *, force: bool) -> str:
        """Stop a running instance, with force without asking the guest."""

    async def set_instance_type(self, resource: Resource, *, instance_type: str) -> str:
        """Change the type of a stopped instance."""

    async def volume(self, resource: Resource, *, volume_id: str) -> VolumeStatus: ...

    async def grow_volume(self, resource: Resource, *, volume_id: str, size_gib: int) -> str:
        """Grow a disk while it is in use. Never shrinks."""

    async def security_groups(self, resource: Resource, *, ids: Sequence[str]) -> tuple[SecurityGroupStatus, ...]: ...

    async def allow_ingress(self, resource: Resource, *, group_id: str, rule: Ingress) -> str: ...

    async def revoke_ingress(self, resource: Resource, *, group_id: str, rule: Ingress) -> str: ...

    async def address(self, resource: Resource, *, allocation_id: str) -> AddressStatus: ...

    async def move_address(self, resource: Resource, *, allocation_id: str, to_instance: str) -> str: ...

    async def targets(self, resource: Resource, *, target_group: str) -> tuple[TargetStatus, ...]: ...

    async def register_target(
        self, resource: Resource, *, target_group: str, instance_id: str, port: int | None
    ) -> str: ...

    async def deregister_target(
        self, resource: Resource, *, target_group: str, instance_id: str, port: int | None
    ) -> str: ...

    async def capacity(self, resource: Resource, *, group: str) -> CapacityStatus: ...

    async def set_capacity(self, resource: Resource, *, group: str, desired: int) -> str: ...

    async def managed_database(self, resource: Resource) -> ManagedDatabaseStatus:
        """Of a Database resource whose `provider.instance_id` is the provider's name of the database."""

    async def reboot_database(self, resource: Resource, *, failover: bool = False) -> str: ...

    async def promote_database(self, resource: Resource) -> str:
        """Make a read replica a primary of its own."""

    def render(self, resource: Resource, call: Call, **arguments: Any) -> str:
        """The exact call, e.g. `ec2.RebootInstances(InstanceIds=['i-0abc'], region=eu-west-1)`: the same arguments as
        the method of that name takes."""

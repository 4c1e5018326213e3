"""A provider in memory, for tests and dry trials: instances that stop, start and reboot as a real one's do.

Stopping and starting take a number of looks, as with real providers, so that code which does not wait is found out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from graph.records import Resource
from graph.resources import Ingress
from tools.clients.providers.provider import (
    AddressStatus,
    Call,
    CapacityStatus,
    InstanceState,
    ManagedDatabaseStatus,
    Permission,
    ProviderError,
    ProviderStatus,
    SecurityGroupStatus,
    StatusCheck,
    TargetStatus,
    VolumeStatus,
)

Reading = Literal["status", "volume", "security_groups", "address", "targets", "capacity", "managed_database"]
CallName = Call | Reading
T = TypeVar("T")


@dataclass
class MemoryInstance:
    """One instance. `looks` is how many more times it is seen in a passing state (pending, stopping)."""

    state: InstanceState = "running"
    launched_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    looks: int = 0
    instance_type: str = ""
    check: StatusCheck = "ok"


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
    volumes: dict[str, VolumeStatus] = field(default_factory=dict)
    groups: dict[str, SecurityGroupStatus] = field(default_factory=dict)
    addresses: dict[str, AddressStatus] = field(default_factory=dict)
    target_groups: dict[str, tuple[TargetStatus, ...]] = field(default_factory=dict)
    capacities: dict[str, CapacityStatus] = field(default_factory=dict)
    databases: dict[str, ManagedDatabaseStatus] = field(default_factory=dict)

    # -- instances ---------------------------------------------------------------------------------------

    async def status(self, resource: Resource) -> ProviderStatus:
        """The state as of this look."""
        instance = self._instance("status", resource)
        if instance.looks:
            instance.looks -= 1
        elif instance.state in ("pending", "stopping"):
            instance.state = "running" if instance.state == "pending" else "stopped"
        check: StatusCheck = instance.check if instance.state == "running" else "not-applicable"
        return ProviderStatus(instance.state, check, check, instance.launched_at, instance.instance_type)

    async def soft_reboot(self, resource: Resource) -> str:
        """The launch time stays, as with EC2."""
        self._instance("soft_reboot", resource)
        return "reboot asked for"

    async def start(self, resource: Resource) -> str:
        """Starting what runs changes nothing, as with EC2."""
        instance = self._instance("start", resource)
        if instance.state == "stopped":
            instance.state, instance.looks, instance.launched_at = "pending", self.looks, self.now()
        elif instance.state not in ("running", "pending"):
            raise ProviderError(f"IncorrectInstanceState: it is {instance.state}", temporary=True)
        return f"{instance.state}"

    async def stop(self, resource: Resource, *, force: bool) -> str:
        """Stopping what is stopped changes nothing."""
        instance = self._instance("force_stop" if force else "stop", resource)
        if instance.state in ("running", "pending"):
            instance.state, instance.looks = "stopping", self.looks
        return f"{instance.state}"

    async def set_instance_type(self, resource: Resource, *, instance_type: str) -> str:
        """Of a stopped instance only."""
        instance = self._instance("set_instance_type", resource)
        if instance.state != "stopped":
            raise ProviderError(f"IncorrectInstanceState: it is {instance.state}", temporary=True)
        instance.instance_type = instance_type
        return f"{instance_type} now"

    # -- volumes, network, groups, databases -------------------------------------------------------------

    async def volume(self, resource: Resource, *, volume_id: str) -> VolumeStatus:
        self._called("volume", resource)
        return _known(self.volumes, volume_id)

    async def grow_volume(self, resource: Resource, *, volume_id: str, size_gib: int) -> str:
        """Has its new size at once."""
        self._called("grow_volume", resource)
        volume = _known(self.volumes, volume_id)
        if size_gib < volume.size_gib:
            raise ProviderError(f"InvalidParameterValue: {volume_id} can't shrink", temporary=False)
        self.volumes[volume_id] = replace(volume, size_gib=size_gib)
        return f"{volume_id} has {size_gib} GiB"

    async def security_groups(self, resource: Resource, *, ids: Sequence[str]) -> tuple[SecurityGroupStatus, ...]:
        self._called("security_groups", resource)
        return tuple(_known(self.groups, group) for group in ids)

    async def allow_ingress(self, resource: Resource, *, group_id: str, rule: Ingress) -> str:
        """Refused where it is there already, as with EC2."""
        self._called("allow_ingress", resource)
        group, permission = _known(self.groups, group_id), _permission(rule)
        if permission in group.ingress:
            raise ProviderError("InvalidPermission.Duplicate", temporary=False)
        self.groups[group_id] = replace(group, ingress=(*group.ingress, permission))
        return f"{group_id} allows {rule}"

    async def revoke_ingress(self, resource: Resource, *, group_id: str, rule: Ingress) -> str:
        """Refused where it is not there."""
        self._called("revoke_ingress", resource)
        group, permission = _known(self.groups, group_id), _permission(rule)
        if permission not in group.ingress:
            raise ProviderError("InvalidPermission.NotFound", temporary=False)
        self.groups[group_id] = replace(group, ingress=tuple(item for item in group.ingress if item != permission))
        return f"{group_id} allows {rule} no more"

    async def address(self, resource: Resource, *, allocation_id: str) -> AddressStatus:
        self._called("address", resource)
        return _known(self.addresses, allocation_id)

    async def move_address(self, resource: Resource, *, allocation_id: str, to_instance: str) -> str:
        self._called("move_address", resource)
        self.addresses[allocation_id] = replace(_known(self.addresses, allocation_id), instance_id=to_instance)
        return f"{allocation_id} leads to {to_instance}"

    async def targets(self, resource: Resource, *, target_group: str) -> tuple[TargetStatus, ...]:
        self._called("targets", resource)
        return _known(self.target_groups, target_group)

    async def register_target(
        self, resource: Resource, *, target_group: str, instance_id: str, port: int | None
    ) -> str:
        """Registering again changes nothing."""
        self._called("register_target", resource)
        others = [item for item in _known(self.target_groups, target_group) if item.instance_id != instance_id]
        self.target_groups[target_group] = (*others, TargetStatus(instance_id, port, "healthy"))
        return f"{instance_id} is a target"

    async def deregister_target(
        self, resource: Resource, *, target_group: str, instance_id: str, port: int | None
    ) -> str:
        self._called("deregister_target", resource)
        others = [item for item in _known(self.target_groups, target_group) if item.instance_id != instance_id]
        self.target_groups[target_group] = tuple(others)
        return f"{instance_id} is a target no more"

    async def capacity(self, resource: Resource, *, group: str) -> CapacityStatus:
        self._called("capacity", resource)
        return _known(self.capacities, group)

    async def set_capacity(self, resource: Resource, *, group: str, desired: int) -> str:
        self._called("set_capacity", resource)
        self.capacities[group] = replace(_known(self.capacities, group), desired=desired, in_service=desired)
        return f"{group} shall have {desired}"

    async def managed_database(self, resource: Resource) -> ManagedDatabaseStatus:
        self._called("managed_database", resource)
        return _known(self.databases, resource.provider.instance_id or "")

    async def reboot_database(self, resource: Resource, *, failover: bool = False) -> str:
        self._called("reboot_database", resource)
        _known(self.databases, resource.provider.instance_id or "")
        return "reboot asked for"

    async def promote_database(self, resource: Resource) -> str:
        self._called("promote_database", resource)
        name = resource.provider.instance_id or ""
        self.databases[name] = replace(_known(self.databases, name), source=None)
        return f"{name} is on its own"

    def render(self, resource: Resource, call: Call, **arguments: Any) -> str:
        """`memory.start(i-0abc)`, `memory.set_capacity(i-0abc, group=web, desired=3)`."""
        words = [str(resource.provider.instance_id), *(f"{name}={value}" for name, value in arguments.items())]
        return f"{self.name}.{call}({', '.join(words)})"

    def _called(self, call: CallName, resource: Resource) -> None:
        if call not in _READINGS:
            self.calls.append(call)
        if waiting := self.errors.get(call):
            raise waiting.pop(0)
        self.acts(call, resource)

    def _instance(self, call: CallName, resource: Resource) -> MemoryInstance:
        if resource.provider.instance_id not in self.instances:
            self.calls += [call] if call != "status" else []
            raise ProviderError(f"no instance {resource.provider.instance_id}", temporary=False)
        self._called(call, resource)
        return self.instances[resource.provider.instance_id]


_READINGS = ("status", "volume", "security_groups", "address", "targets", "capacity", "managed_database")


def _permission(rule: Ingress) -> Permission:
    return Permission(rule.protocol, rule.port, rule.port, rule.cidr)


def _known(things: dict[str, T], name: str) -> T:
    if name not in things:
        raise ProviderError(f"NotFound: nothing is named {name!r}", temporary=False)
    return things[name]

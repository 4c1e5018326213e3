"""A provider that can do nothing: what others say of what they can't do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from graph.records import Resource
from graph.resources import Ingress
from tools.clients.providers.provider import (
    AddressStatus,
    Call,
    CapacityStatus,
    ManagedDatabaseStatus,
    ProviderError,
    ProviderStatus,
    SecurityGroupStatus,
    TargetStatus,
    VolumeStatus,
)


class RefusingProvider:
    """Implements Provider by refusing every call as permanent; a provider overrides what it can do."""

    name = "none"

    async def status(self, resource: Resource) -> ProviderStatus:
        self._refuse(resource, "status")

    async def soft_reboot(self, resource: Resource) -> str:
        self._refuse(resource, "soft_reboot")

    async def start(self, resource: Resource) -> str:
        self._refuse(resource, "start")

    async def stop(self, resource: Resource, *, force: bool) -> str:
        self._refuse(resource, "force_stop" if force else "stop")

    async def set_instance_type(self, resource: Resource, *, instance_type: str) -> str:
        self._refuse(resource, "set_instance_type")

    async def volume(self, resource: Resource, *, volume_id: str) -> VolumeStatus:
        self._refuse(resource, "volume")

    async def grow_volume(self, resource: Resource, *, volume_id: str, size_gib: int) -> str:
        self._refuse(resource, "grow_volume")

    async def security_groups(self, resource: Resource, *, ids: Sequence[str]) -> tuple[SecurityGroupStatus, ...]:
        self._refuse(resource, "security_groups")

    async def allow_ingress(self, resource: Resource, *, group_id: str, rule: Ingress) -> str:
        self._refuse(resource, "allow_ingress")

    async def revoke_ingress(self, resource: Resource, *, group_id: str, rule: Ingress) -> str:
        self._refuse(resource, "revoke_ingress")

    async def address(self, resource: Resource, *, allocation_id: str) -> AddressStatus:
        self._refuse(resource, "address")

    async def move_address(self, resource: Resource, *, allocation_id: str, to_instance: str) -> str:
        self._refuse(resource, "move_address")

    async def targets(self, resource: Resource, *, target_group: str) -> tuple[TargetStatus, ...]:
        self._refuse(resource, "targets")

    async def register_target(
        self, resource: Resource, *, target_group: str, instance_id: str, port: int | None
    ) -> str:
        self._refuse(resource, "register_target")

    async def deregister_target(
        self, resource: Resource, *, target_group: str, instance_id: str, port: int | None
    ) -> str:
        self._refuse(resource, "deregister_target")

    async def capacity(self, resource: Resource, *, group: str) -> CapacityStatus:
        self._refuse(resource, "capacity")

    async def set_capacity(self, resource: Resource, *, group: str, desired: int) -> str:
        self._refuse(resource, "set_capacity")

    async def managed_database(self, resource: Resource) -> ManagedDatabaseStatus:
        self._refuse(resource, "managed_database")

    async def reboot_database(self, resource: Resource, *, failover: bool = False) -> str:
        self._refuse(resource, "reboot_database")

    async def promote_database(self, resource: Resource) -> str:
        self._refuse(resource, "promote_database")

    def render(self, resource: Resource, call: Call, **arguments: Any) -> str:
        """Says that there is nothing to call."""
        return f"(provider {self.name} of {resource.key}: {call} is not possible)"

    async def close(self) -> None:
        """Nothing is kept open."""

    def _refuse(self, resource: Resource, call: str) -> NoReturn:
        raise ProviderError(
            f"provider {self.name} of {resource.key} can't do {call}: declare a `provider` (name, instance_id) that can"
            " for this resource, or do it by hand",
            temporary=False,
            sent=False,
        )

"""RDS: databases that the provider runs, reached by its API and by their own port only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graph.records import Resource
from tools.clients.providers.aws_requests import Request, instance_of
from tools.clients.providers.ec2 import AwsProvider
from tools.clients.providers.provider import InstanceState, ManagedDatabaseStatus, ProviderError, ProviderStatus

_STATES: Mapping[str, InstanceState] = {
    "available": "running",
    "stopped": "stopped",
    "stopping": "stopping",
    "starting": "pending",
    "creating": "pending",
    "rebooting": "pending",
    "deleting": "shutting-down",
}
"""RDS's words for what EC2 has words for too (RDS User Guide, "Viewing DB instance status")."""


class RdsProvider(AwsProvider):
    """`provider.instance_id` is the DB instance's identifier."""

    name = "rds"

    async def status(self, resource: Resource) -> ProviderStatus:
        """Its state in the words that instances have."""
        found = await self.managed_database(resource)
        return ProviderStatus(_STATES.get(found.state, "unknown"), state_reason=f"RDS says {found.state}")

    async def managed_database(self, resource: Resource) -> ManagedDatabaseStatus:
        """DescribeDBInstances."""
        asked = Request("rds", "DescribeDBInstances", {"DBInstanceIdentifier": instance_of(resource)})
        return database_of(instance_of(resource), await self._api.read(resource, asked))

    async def reboot_database(self, resource: Resource, *, failover: bool = False) -> str:
        """RebootDBInstance; with failover, the standby in another zone takes over."""
        words = f"RDS took the request to reboot {instance_of(resource)}"
        return await self._done(words, resource, "reboot_database", failover=failover)

    async def promote_database(self, resource: Resource) -> str:
        """PromoteReadReplica: for good, as RDS makes no replica of it again."""
        words = f"RDS took the request to promote {instance_of(resource)}"
        return await self._done(words, resource, "promote_database")


def database_of(name: str, told: Mapping[str, Any]) -> ManagedDatabaseStatus:
    """From DescribeDBInstances. Raises ProviderError where there is no such database."""
    found = told.get("DBInstances", ())
    if not found:
        raise ProviderError(f"RDS knows no database {name!r}: check instance_id and region", temporary=False)
    database = found[0]
    endpoint = database.get("Endpoint", {})
    return ManagedDatabaseStatus(
        id=name,
        state=str(database.get("DBInstanceStatus", "")),
        engine=" ".join(str(database.get(key, "")) for key in ("Engine", "EngineVersion")).strip(),
        source=database.get("ReadReplicaSourceDBInstanceIdentifier") or None,
        replicas=tuple(database.get("ReadReplicaDBInstanceIdentifiers", ())),
        endpoint=f"{endpoint['Address']}:{endpoint.get('Port', '')}" if endpoint.get("Address") else None,
    )

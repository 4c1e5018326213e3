"""What the books say of the network around the lab's instances: a security group each, and a floating address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evals.lab.network import in_network
from evals.lab.stage import LabError
from evals.lab.surroundings import current

INSIDE = "10.77.1.0/24"
"""The lab's own network: what its security groups let in."""

OPEN_PORTS = (22, current().port, 9100)
"""What is reached on a host from outside: sshd, its service, node_exporter."""

INGRESS: list[dict[str, Any]] = [{"protocol": "tcp", "port": port, "cidr": INSIDE} for port in OPEN_PORTS]
"""The same, as a resource declares it."""


@dataclass(frozen=True)
class NetworkBooks:
    """Security groups by resource id; the floating address' allocation, None where there is no standby."""

    groups: Mapping[str, str]
    allocation_id: str | None = None


def enter_network_books(client: Any, instances: Mapping[str, str], holder: str | None) -> NetworkBooks:
    """Enter a group for each instance (by resource id), and an address that leads to the holder. Raises LabError."""
    from botocore.exceptions import BotoCoreError, ClientError

    with in_network():
        try:
            vpc = client.describe_vpcs()["Vpcs"][0]["VpcId"]
            groups = {name: _group(client, vpc, name, instance) for name, instance in instances.items()}
            return NetworkBooks(groups, _address(client, holder) if holder else None)
        except (BotoCoreError, ClientError) as error:
            raise LabError(f"moto's server did not take the lab's network: {error}") from error


def _group(client: Any, vpc: str, name: str, instance_id: str) -> str:
    group = str(client.create_security_group(GroupName=name, Description=f"for {name}", VpcId=vpc)["GroupId"])
    permissions = [
        {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": INSIDE}]} for port in OPEN_PORTS
    ]
    client.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)
    client.modify_instance_attribute(InstanceId=instance_id, Groups=[group])
    return group


def _address(client: Any, instance_id: str) -> str:
    allocation = str(client.allocate_address(Domain="vpc")["AllocationId"])
    client.associate_address(AllocationId=allocation, InstanceId=instance_id)
    return allocation

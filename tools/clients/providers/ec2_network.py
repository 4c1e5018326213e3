"""What EC2 answers about security groups and floating addresses, in the words of the port. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tools.clients.providers.provider import AddressStatus, Permission, ProviderError, SecurityGroupStatus

_ALL = "-1"


def groups_of(told: Mapping[str, Any]) -> tuple[SecurityGroupStatus, ...]:
    """From DescribeSecurityGroups."""
    return tuple(
        SecurityGroupStatus(str(group.get("GroupId", "")), tuple(_permissions(group.get("IpPermissions", ()))))
        for group in told.get("SecurityGroups", ())
    )


def address_of(allocation_id: str, told: Mapping[str, Any]) -> AddressStatus:
    """From DescribeAddresses. Raises ProviderError where there is no such address."""
    found = told.get("Addresses", ())
    if not found:
        raise ProviderError(f"EC2 knows no address {allocation_id}: check failover.allocation_id", temporary=False)
    return AddressStatus(allocation_id, str(found[0].get("PublicIp", "")), found[0].get("InstanceId") or None)


def _permissions(told: Any) -> Iterator[Permission]:
    """Those from addresses. Permissions for members of other groups and for prefix lists say nothing of addresses."""
    for item in told:
        protocol = str(item.get("IpProtocol", ""))
        first, last = item.get("FromPort"), item.get("ToPort")
        if protocol == _ALL or first in (None, -1):
            first, last = 0, 65535
        ranges = [*(each.get("CidrIp") for each in item.get("IpRanges", ()))]
        ranges += [*(each.get("CidrIpv6") for each in item.get("Ipv6Ranges", ()))]
        for cidr in ranges:
            if cidr:
                yield Permission("all" if protocol == _ALL else protocol, int(first), int(last or first), str(cidr))

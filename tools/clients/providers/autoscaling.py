"""What Auto Scaling answers about a group, in the words of the port. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.clients.providers.provider import CapacityStatus, ProviderError


def capacity_of(group: str, told: Mapping[str, Any]) -> CapacityStatus:
    """From DescribeAutoScalingGroups. Raises ProviderError where there is no such group."""
    found = told.get("AutoScalingGroups", ())
    if not found:
        raise ProviderError(
            f"Auto Scaling knows no group {group!r}: check scaling.auto_scaling_group and region", temporary=False
        )
    instances = found[0].get("Instances", ())
    return CapacityStatus(
        name=group,
        minimum=int(found[0].get("MinSize", 0)),
        desired=int(found[0].get("DesiredCapacity", 0)),
        maximum=int(found[0].get("MaxSize", 0)),
        in_service=sum(item.get("LifecycleState") == "InService" for item in instances),
    )

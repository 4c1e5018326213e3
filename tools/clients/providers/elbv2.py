"""What a load balancer answers about the targets of a group, in the words of the port. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.clients.providers.provider import TargetStatus


def targets_of(told: Mapping[str, Any]) -> tuple[TargetStatus, ...]:
    """From DescribeTargetHealth. A target that is draining has been deregistered already."""
    return tuple(
        TargetStatus(
            instance_id=str(item.get("Target", {}).get("Id", "")),
            port=item.get("Target", {}).get("Port"),
            health=str(item.get("TargetHealth", {}).get("State", "unknown")),
        )
        for item in told.get("TargetHealthDescriptions", ())
    )

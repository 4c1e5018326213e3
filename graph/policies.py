"""What may be done unasked, per kind and issue type, as operators write it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from graph.record import Record

IssueType = Literal["service_down", "disk_full", "high_cpu", "replication_lag", "connection_timeout", "unknown"]
OnExpiry = Literal["escalate", "close"]


class Policy(Record):
    """What may be done unasked. The four fields of the mission; more keys are optional."""

    resource_kind: str
    issue_type: IssueType
    auto_heal: bool
    max_retries: int = Field(ge=0, le=100)
    allow_destructive: tuple[str, ...] = ()
    """Destructive actions that may run unasked, by name."""
    dry_run: bool = False
    """Plan and render, touch nothing, and say what would have been done."""
    approval_timeout_seconds: float | None = Field(default=None, gt=0, le=30 * 86_400)
    """How long a human is waited for, where it is another time than `healing.approval_timeout_seconds`."""
    on_expiry: OnExpiry = "escalate"
    """What follows when nobody has decided in time: call a human, or close the incident without having acted."""
    heal_silenced: bool = False
    """Act although others have silenced or inhibited all of the incident's alerts in Alertmanager."""
    notify_opened: bool = False
    """Tell people as soon as such an incident is opened, before anything is known or done."""


class PolicyList(Record):
    """Policies as the mission writes them: no duplicates."""

    policies: tuple[Policy, ...] = ()

    @field_validator("policies")
    @classmethod
    def _unique(cls, policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
        seen: dict[tuple[str, str], int] = {}
        for index, policy in enumerate(policies):
            pair = (policy.resource_kind, policy.issue_type)
            if pair in seen:
                raise ValueError(
                    f"policies[{index}] ({pair[0]}, {pair[1]}) duplicates policies[{seen[pair]}]: keep one of them"
                )
            seen[pair] = index
        return policies

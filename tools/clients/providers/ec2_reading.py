"""What EC2 answers about an instance, in the words of the port. Pure, redacted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from tools.clients.providers.provider import InstanceState, ProviderError, ProviderStatus, StatusCheck
from tools.redaction import redact

CONSOLE_TAIL_CHARS = 2048
_STATES = ("pending", "running", "stopping", "stopped", "shutting-down", "terminated")
_CHECKS = ("ok", "impaired", "initializing", "insufficient-data", "not-applicable")


def status_of(
    asked: str,
    told: Mapping[str, Any],
    checks: Mapping[str, Any] | ProviderError,
    console: Mapping[str, Any] | ProviderError,
) -> ProviderStatus:
    """From DescribeInstances, DescribeInstanceStatus and GetConsoleOutput. Raises ProviderError where there is no such
    instance."""
    instances = [item for reservation in told.get("Reservations", ()) for item in reservation.get("Instances", ())]
    if not instances:
        raise ProviderError(
            f"{asked}: EC2 knows no such instance: check instance_id and region",
            temporary=False,
        )
    instance = instances[0]
    found = [] if isinstance(checks, ProviderError) else checks.get("InstanceStatuses", [])
    check: Mapping[str, Any] = found[0] if found else {}
    state = instance.get("State", {}).get("Name")
    return ProviderStatus(
        state=cast(InstanceState, state if state in _STATES else "unknown"),
        instance_check=_check(check, "InstanceStatus"),
        system_check=_check(check, "SystemStatus"),
        launched_at=_aware(instance.get("LaunchTime")),
        instance_type=str(instance.get("InstanceType", "")),
        state_reason=redact(_reason(instance)),
        events=tuple(redact(_event(event)) for event in check.get("Events", ())),
        console_tail="" if isinstance(console, ProviderError) else _tail(console.get("Output")),
    )


def change_of(instance: str, changes: Any) -> str:
    """What StartInstances and StopInstances answer, in words."""
    for change in changes or ():
        if change.get("InstanceId") == instance:
            before, after = (change.get(key, {}).get("Name") for key in ("PreviousState", "CurrentState"))
            return f"EC2 says {instance} goes from {before} to {after}"
    return f"EC2 took the request for {instance}, without telling its state"


def _reason(instance: Mapping[str, Any]) -> str:
    """Why the state last changed, e.g. `Client.UserInitiatedShutdown …; User initiated (2026-11-24 12:00:00 GMT)`."""
    words = (instance.get("StateReason", {}).get("Message"), instance.get("StateTransitionReason"))
    return "; ".join(str(word) for word in words if word)[:300]


def _event(event: Mapping[str, Any]) -> str:
    begins = _aware(event.get("NotBefore"))
    when = f" not before {begins:%Y-%m-%d %H:%M} UTC" if begins else ""
    return f"{event.get('Code', 'event')}{when}: {event.get('Description', '')}"[:300]


def _check(status: Mapping[str, Any], which: str) -> StatusCheck:
    value = status.get(which, {}).get("Status")
    return cast(StatusCheck, value if value in _CHECKS else "unknown")


def _tail(output: Any) -> str:
    # Redacted before it is cut: half a secret is not recognised as one.
    return redact(str(output or "")[-8 * CONSOLE_TAIL_CHARS :])[-CONSOLE_TAIL_CHARS:]


def _aware(value: Any) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)

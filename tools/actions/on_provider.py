"""What actions through a machine's provider have in common: its state before, and asking it anew."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from graph.ports import PermanentError, Probe
from graph.records import Resource
from tools.actions.action import ActionContext, NotAllowed, Params
from tools.clients.providers.provider import Provider, ProviderError, ProviderStatus


class NoParams(Params):
    """The resource says all there is to say."""


def provider_of(context: ActionContext, resource: Resource) -> Provider:
    """The provider of the resource's machine. Raises NotAllowed where it has none."""
    try:
        provider = context.provider(resource)
    except PermanentError as error:
        raise NotAllowed("action", str(error)) from error
    if provider is None:
        raise NotAllowed("action", f"{resource.key} has no provider: its machine is reached by SSH only")
    return provider


def named(resource: Resource) -> str:
    """The instance in words: `i-0abc (ec2)`."""
    return f"{resource.provider.instance_id} ({resource.provider.name})"


def must_be(state: str, status: ProviderStatus, resource: Resource) -> str | None:
    """Why not, where the provider says another state."""
    if status.state == state:
        return None
    reason = f": {status.state_reason}" if status.state_reason else ""
    return f"the provider says {named(resource)} is {status.state}, not {state}{reason}"


async def provider_baseline(context: ActionContext, resource: Resource) -> dict[str, Any]:
    """`provider_state`, `launched_at`; None each where the provider does not answer."""
    try:
        status = await provider_of(context, resource).status(resource)
    except ProviderError as error:
        return {"provider_state": None, "launched_at": None, "provider_unknown": str(error)}
    launched = status.launched_at.isoformat() if status.launched_at else None
    return {"provider_state": status.state, "launched_at": launched}


def launched_anew(status: ProviderStatus, baseline: Mapping[str, Any]) -> bool:
    """Whether the instance was started since the baseline: a provider's launch time changes with every start."""
    before = baseline.get("launched_at")
    return bool(before and status.launched_at and status.launched_at > datetime.fromisoformat(before))


def too_early(probe: Probe, baseline: Mapping[str, Any], deadline_seconds: float, now: datetime) -> Probe:
    """The probe; but what has not happened yet may still happen until the deadline is over."""
    passed = (now - datetime.fromisoformat(str(baseline["at"]))).total_seconds()
    if probe.effect == "no_effect" and passed < deadline_seconds:
        return Probe("unknown", f"{probe.observed}; but it may still take effect")
    return probe

"""What the provider says of the machine: the view from outside, which a dead host can't give."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from graph.facts import FactValue
from graph.ports import Finding, PermanentError
from graph.records import Incident, Resource
from tools.clients.providers.provider import Provider, ProviderError, ProviderStatus
from tools.evidence.context import SOURCE_SECONDS, EvidenceContext, ago, asked_of, line, resource_of, text_of, whole
from tools.evidence.provider_more import More, more_of


class ProviderSource:
    """One status of the instance, with checks, events and the end of its console."""

    name = "provider"
    deadline_seconds = SOURCE_SECONDS + 1

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Facts provider.name, provider.state, provider.instance_type, provider.instance_check, provider.system_check;
        with a declared Auto Scaling group, provider.capacity and provider.capacity_most. Raises ProviderError, and
        PermanentError for a provider that is not configured."""
        resource = resource_of(incident)
        access = resource.provider
        if access.name == "none":
            return Finding("(no provider declared)", "the resource has no provider to ask", status="no_data")
        provider = self._context.providers.get(access.name)
        if provider is None:
            known = ", ".join(sorted(self._context.providers)) or "none"
            raise PermanentError(f"{resource.key} names provider {access.name!r}; known providers: {known}")
        where = f"{access.instance_id}, region={access.region or 'default'}"
        asked = asked_of(f"{access.name}: instance state, status checks, events and console of {where}")
        status, more = await asyncio.gather(provider.status(resource), more_of(provider, resource))
        facts: dict[str, FactValue] = {"provider.name": access.name, "provider.state": status.state}
        if status.instance_check != "unknown":
            facts["provider.instance_check"] = status.instance_check
        if status.system_check != "unknown":
            facts["provider.system_check"] = status.system_check
        if status.instance_type:
            facts["provider.instance_type"] = line(status.instance_type, 40)
        facts |= await self._capacity(provider, resource)
        for item in more:
            facts |= item.facts
        return Finding(asked, self._text(status, more), facts, raw=whole(_raw(status, more)))

    async def _capacity(self, provider: Provider, resource: Resource) -> dict[str, FactValue]:
        """How many instances its group is to have, and may have; nothing where the provider can't tell just now."""
        group = resource.scaling.auto_scaling_group
        if group is None:
            return {}
        try:
            now = await provider.capacity(resource, group=group)
        except ProviderError:  # the machine's own state was told, and matters more
            return {}
        return {"provider.capacity": now.desired, "provider.capacity_most": now.maximum}

    def _text(self, status: ProviderStatus, more: Sequence[More]) -> str:
        launched = ""
        if status.launched_at is not None:
            launched = f"launched {ago((self._context.clock.now() - status.launched_at).total_seconds())} ago"
        checks = f"instance check {status.instance_check}, system check {status.system_check}"
        console = [item for item in status.console_tail.splitlines() if item.strip()]
        return text_of(
            f"{status.state} {status.instance_type}".strip(),
            *(item.words for item in more),
            checks,
            launched,
            line(status.state_reason, 80),
            *(line(event, 80) for event in status.events[:2]),
            f"console ends: {line(console[-1], 80)}" if console else "",
        )


def _raw(status: ProviderStatus, more: Sequence[More]) -> str:
    launched = status.launched_at.isoformat() if status.launched_at else "?"
    return "\n".join(
        (
            f"state {status.state} ({status.state_reason}), type {status.instance_type}, launched {launched}",
            f"instance check {status.instance_check}, system check {status.system_check}",
            *(item.words for item in more if item.words),
            *status.events,
            "-- console",
            status.console_tail,
        )
    )

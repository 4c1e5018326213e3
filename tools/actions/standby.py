"""Whether traffic may go somewhere else: the standby must be up and answer by all that it declares, seen just now."""

from __future__ import annotations

import asyncio

from graph.records import Resource
from tools.actions.action import ActionContext, NotAllowed
from tools.actions.on_provider import named, provider_of
from tools.clients.host import HostUnreachable
from tools.health import CHECK_SECONDS, health_client, probed
from tools.services import ManagerSilent, UnknownUnit, unit_states

_HOST_SECONDS = 5.0


def standby_of(context: ActionContext, resource: Resource) -> Resource:
    """The declared standby, of the same provider. Raises NotAllowed."""
    if resource.failover is None:
        raise NotAllowed("action", f"{resource.key} declares no failover")
    key = f"{resource.kind}/{resource.failover.to}"
    standby = context.inventory.get(key)
    if standby is None:
        raise NotAllowed("action", f"failover.to names {key}, which is not declared")
    if standby.key == resource.key or standby.provider.instance_id in (None, resource.provider.instance_id):
        raise NotAllowed("action", f"failover.to names {key}, which is no other machine")
    if standby.provider.name != resource.provider.name:
        raise NotAllowed("action", f"{key} is of another provider, which cannot take this traffic")
    return standby


async def answers(context: ActionContext, resource: Resource) -> bool:
    """Whether its own declared checks pass as clients see them; where it declares none, whether its host greets."""
    found = await asyncio.gather(context.hosts.answers(resource), _failing(resource))
    return found[0] and not found[1]


async def not_fit(context: ActionContext, standby: Resource) -> str | None:
    """Why the standby cannot take the traffic now, or None. Raises ProviderError."""
    status = await provider_of(context, standby).status(standby)
    if status.state != "running":
        return f"the standby {named(standby)} is {status.state}"
    if "impaired" in (status.instance_check, status.system_check):
        return f"the standby {named(standby)} is impaired, says its provider"
    if failing := await _failing(standby):
        return f"the standby {standby.key} does not answer itself: {failing[0]}"
    return await _services_down(context, standby)


async def _failing(resource: Resource) -> list[str]:
    checks = [check for check in resource.health if check.service is None]
    if not checks:
        return []
    async with health_client() as http:
        async with asyncio.timeout(CHECK_SECONDS + 1):
            seen = await asyncio.gather(*(probed(http, check) for check in checks))
    return [f"{item.criterion}: {item.observed}" for item in seen if item.status != "pass"]


async def _services_down(context: ActionContext, standby: Resource) -> str | None:
    if not standby.services:
        return None
    try:
        states = await unit_states(context.hosts, standby, standby.services, _HOST_SECONDS)
    except (HostUnreachable, ManagerSilent, UnknownUnit) as error:
        return f"the standby {standby.key} cannot be asked for its services: {error}"
    down = [f"{unit} is {state.state}" for unit, state in states.items() if state.state != "running"]
    return f"on the standby {standby.key} {', '.join(down)}" if down else None

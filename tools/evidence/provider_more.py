"""What the provider says of what hangs on a machine: its security groups and its traffic; or of a database that the
provider runs. Only what the resource declares is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field

from graph.facts import FactValue, fact_key
from graph.records import Resource
from tools.clients.providers.provider import Provider, ProviderError
from tools.evidence.context import line


@dataclass(frozen=True)
class More:
    """Facts, and a few words for people."""

    facts: Mapping[str, FactValue] = field(default_factory=dict)
    words: str = ""


async def more_of(provider: Provider, resource: Resource) -> list[More]:
    """All at once. What is refused or not answered is told in words, and yields no fact."""
    asked: list[Awaitable[More]] = []
    if resource.security_groups:
        asked.append(_ingress(provider, resource))
    if resource.failover is not None:
        asked.append(_traffic(provider, resource))
    if resource.database is not None and resource.transport == "none":
        asked.append(_database(provider, resource))
    return list(await asyncio.gather(*(_or_words(each) for each in asked)))


async def _or_words(asked: Awaitable[More]) -> More:
    try:
        return await asked
    except ProviderError as error:
        # what was asked comes first in its words, and is told elsewhere
        return More(words=line(f"not told: {str(error)[-70:]}", 80))


async def _ingress(provider: Provider, resource: Resource) -> More:
    """`provider.ingress_missing{group, protocol, port, cidr}` for each declared rule that no declared group allows;
    `provider.ingress_ok` where none is missing."""
    groups = await provider.security_groups(resource, ids=[group.id for group in resource.security_groups])
    missing = [
        (group.id, rule)
        for group in resource.security_groups
        for rule in group.ingress
        if not any(found.allows(rule) for found in groups)
    ]
    if not missing:
        return More({"provider.ingress_ok": True})
    facts: dict[str, FactValue] = {
        fact_key(
            "provider.ingress_missing", group=group, protocol=rule.protocol, port=str(rule.port), cidr=rule.cidr
        ): True
        for group, rule in missing[:4]
    }  # fmt: skip
    return More(facts, f"{missing[0][0]} does not allow {missing[0][1]}, as declared")


async def _traffic(provider: Provider, resource: Resource) -> More:
    """`provider.serves`: whether floating address or target group lead to this instance."""
    way = resource.failover
    assert way is not None, "asked only where it is declared"
    if way.allocation_id is not None:
        at = (await provider.address(resource, allocation_id=way.allocation_id)).instance_id
        serves = at == resource.provider.instance_id
    else:
        targets = await provider.targets(resource, target_group=way.target_group or "")
        serves = any(item.instance_id == resource.provider.instance_id for item in targets if item.health != "draining")
    return More({"provider.serves": serves}, "" if serves else "its traffic goes elsewhere")


async def _database(provider: Provider, resource: Resource) -> More:
    """`provider.database_state`, and `provider.database_source` of a replica."""
    found = await provider.managed_database(resource)
    facts: dict[str, FactValue] = {"provider.database_state": line(found.state, 40)}
    if found.source:
        facts["provider.database_source"] = line(found.source, 60)
    return More(facts, f"{found.engine} {found.state}".strip())

"""Whether the declared resources fit together: whoever names another must find it there.

A peer that does not exist would be learnt of in the middle of a rebuild; a failover to nowhere during an outage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from graph.records import Resource

_ADDRESS = re.compile(r".+:\d{1,5}")


def misfits(resources: Sequence[Resource]) -> list[str]:
    """What is wrong between them, each line naming the entry, the key and the remedy."""
    by_key = {resource.key: resource for resource in resources}
    return [
        f"resources[{index}] ({resource.key}): {problem}"
        for index, resource in enumerate(resources)
        for problem in (
            *_host(resource, by_key),
            *_failover(resource, by_key),
            *_peers(resource, by_key),
            *_dependencies(resource, by_key),
        )
    ]


def _host(resource: Resource, by_key: Mapping[str, Resource]) -> list[str]:
    if resource.host is None or f"Instance/{resource.host}" in by_key:
        return []
    return [f"host: no Instance {resource.host!r} is declared: declare it, or leave `host` out"]


def _failover(resource: Resource, by_key: Mapping[str, Resource]) -> list[str]:
    if resource.failover is None:
        return []
    to = by_key.get(f"{resource.kind}/{resource.failover.to}")
    if to is None:
        return [f"failover.to: no {resource.kind} {resource.failover.to!r} is declared: declare it"]
    if to.provider.name != resource.provider.name or to.provider.name == "none":
        return [f"failover.to: {to.key} must be of the same provider, as traffic is moved through that"]
    return []


def _peers(resource: Resource, by_key: Mapping[str, Resource]) -> list[str]:
    if resource.database is None:
        return []
    found = []
    for peer_id in resource.database.peers:
        peer = by_key.get(f"Database/{peer_id}")
        if peer is None or peer.database is None:
            found.append(f"database.peers: no Database {peer_id!r} is declared: declare it")
        elif peer.id == resource.id:
            found.append("database.peers: names itself: name the other members only")
        elif (peer.database.cluster, peer.database.engine) != (resource.database.cluster, resource.database.engine):
            found.append(f"database.peers: {peer.key} is of another cluster or engine: they must be the same")
    return found


def _dependencies(resource: Resource, by_key: Mapping[str, Resource]) -> list[str]:
    found = []
    for name in resource.depends_on:
        if name == resource.key:
            found.append("depends_on: names itself: name what it needs beside itself only")
        elif "/" in name and name not in by_key:
            found.append(f"depends_on: no {name!r:.100} is declared: declare it, or give its address (host:port)")
        elif "/" not in name and not _ADDRESS.fullmatch(name):
            found.append(f"depends_on: {name!r:.100} is neither the key of a resource (Kind/id) nor host:port")
    return found

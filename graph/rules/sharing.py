"""What resources share, by what was declared of them: a dependency, a group, a zone, a provider's region."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from graph.records import Resource

ShareKind = Literal["dependency", "group", "zone", "provider"]
RANKS: tuple[ShareKind, ...] = ("provider", "zone", "group", "dependency")


@dataclass(frozen=True)
class Share:
    """One thing that resources may have in common. `name` of a dependency is a resource's key, or `host:port`."""

    kind: ShareKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def rank(self) -> int:
        """The higher, the more it says."""
        return RANKS.index(self.kind)

    @property
    def in_words(self) -> str:
        """What they do, in the plural: `depend on Database/db-1`."""
        verb = {"dependency": "depend on", "group": "are in group", "zone": "are in zone", "provider": "are at"}
        return f"{verb[self.kind]} {self.name}"

    @property
    def members_in_words(self) -> str:
        """Those who share it: `in group web`."""
        those = {"dependency": "that depend on", "group": "in group", "zone": "in zone", "provider": "at"}
        return f"{those[self.kind]} {self.name}"


@dataclass(frozen=True)
class Shares:
    """What each resource shares, by its key, and who shares what."""

    of: Mapping[str, frozenset[Share]] = field(default_factory=dict)
    members: Mapping[Share, frozenset[str]] = field(default_factory=dict)


def shares_of(resources: Iterable[Resource]) -> Shares:
    """What the declared resources share. Dependencies count through others too: who needs a database needs its host."""
    by_key = {resource.key: resource for resource in resources}
    owners = {address: resource.key for resource in by_key.values() for address in _addresses(resource)}
    direct = {key: _direct(resource, by_key, owners) for key, resource in by_key.items()}
    of = {
        key: frozenset({*_placed(resource), *(Share("dependency", name) for name in _closure(key, direct))})
        for key, resource in by_key.items()
    }
    members: dict[Share, set[str]] = {}
    for key, shares in of.items():
        for share in shares:
            members.setdefault(share, set()).add(key)
    return Shares(of, {share: frozenset(keys) for share, keys in members.items()})


def _placed(resource: Resource) -> Iterable[Share]:
    if resource.group:
        yield Share("group", resource.group)
    if resource.zone:
        yield Share("zone", resource.zone)
    if resource.provider.name != "none":
        where = resource.provider.region or resource.provider.endpoint_url or ""
        yield Share("provider", f"{resource.provider.name} {where}".strip())


def _direct(resource: Resource, by_key: Mapping[str, Resource], owners: Mapping[str, str]) -> frozenset[str]:
    found = {owners.get(name, name) for name in resource.depends_on}
    if resource.host is not None and f"Instance/{resource.host}" in by_key:
        found.add(f"Instance/{resource.host}")
    return frozenset(found - {resource.key})


def _addresses(resource: Resource) -> Iterable[str]:
    ports = (resource.database.port,) if resource.database else resource.network.ports
    return (f"{resource.address}:{port}" for port in ports)


def _closure(key: str, direct: Mapping[str, frozenset[str]]) -> set[str]:
    """All it depends on, directly or not; itself never, though they may depend on each other."""
    found: set[str] = set()
    todo = list(direct[key])
    while todo:
        name = todo.pop()
        if name not in found and name != key:
            found.add(name)
            todo += direct.get(name, ())
    return found

"""The cloud's network around the hosts: security groups and floating addresses as rules of the lab's own network.

A port that a group shuts is dropped at the host's cable, outside the guest, which looks clean. Of a host's ports only
those its group is about are ever shut: faults and databases use others. A floating address leads to whichever host
holds it by address translation, as a cloud does it.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from evals.lab.machine_commands import call
from evals.lab.network import GATEWAY

FLOATING = "10.77.1.200"
"""The floating address of a stage, which none of its hosts has."""
TABLE = "cloud"


@dataclass(frozen=True)
class Guarded:
    """A host's cable at the bridge, and the ports that its group is about."""

    cable: str
    ports: frozenset[int]


class CloudNetwork:
    """Rules of the lab's network, for threads that are in it. `guarded` is by group id, `hosts` address by instance."""

    def __init__(self, guarded: Mapping[str, Guarded], hosts: Mapping[str, str]) -> None:
        self.guarded = dict(guarded)
        self._hosts = dict(hosts)
        self._open: dict[str, Collection[int]] = {group: one.ports for group, one in guarded.items()}
        self._holder: str | None = None
        self._writing = threading.Lock()

    def regroup(self, answer: bytes) -> None:
        """Let in what moto's DescribeSecurityGroups says. Raises LabError."""
        with self._writing:
            self._open |= {group: ports for group, ports in open_ports(answer).items() if group in self.guarded}
            self._write()

    def lead(self, instance_id: str | None) -> None:
        """Have the floating address lead to that instance, None to nobody. Raises LabError."""
        with self._writing:
            self._holder = instance_id if instance_id in self._hosts else None
            self._write()

    def rules(self) -> str:
        """All rules, as one transaction of nft."""
        lines = [f"add table {family} {TABLE}; delete table {family} {TABLE}" for family in ("bridge", "ip")]
        lines.append(f"add table bridge {TABLE}; add table ip {TABLE}")
        for hook in ("forward", "output"):
            lines.append(f"add chain bridge {TABLE} {hook} {{ type filter hook {hook} priority 0 ; }}")
            for group, one in self.guarded.items():
                if shut := sorted(one.ports - set(self._open[group])):
                    ports = ", ".join(map(str, shut))
                    lines.append(f'add rule bridge {TABLE} {hook} oifname "{one.cable}" tcp dport {{ {ports} }} drop')
        lines.append(f"add chain ip {TABLE} output {{ type nat hook output priority -100 ; }}")
        if self._holder is not None:
            lead = f"ip daddr {FLOATING} dnat to {self._hosts[self._holder]}"
            lines.append(f"add rule ip {TABLE} output {lead}")
        return "; ".join(lines)

    def _write(self) -> None:
        call(["nft", self.rules()])


def open_ports(answer: bytes) -> dict[str, set[int]]:
    """Ports by group id that moto's DescribeSecurityGroups lets the lab's own network in to."""
    root = ET.fromstring(answer)
    space = root.tag.partition("}")[0] + "}"
    found: dict[str, set[int]] = {}
    for group in root.iterfind(f"{space}securityGroupInfo/{space}item"):
        ports: set[int] = set()
        for permission in group.iterfind(f"{space}ipPermissions/{space}item"):
            ranges = permission.iterfind(f"{space}ipRanges/{space}item")
            if any(_ours(item.findtext(f"{space}cidrIp", "")) for item in ranges):
                ports |= _ports(permission.findtext(f"{space}ipProtocol", ""), permission, space)
        found[group.findtext(f"{space}groupId", "")] = ports
    return found


def _ours(cidr: str) -> bool:
    return bool(cidr) and ipaddress.ip_address(GATEWAY) in ipaddress.ip_network(cidr, strict=False)


def _ports(protocol: str, permission: ET.Element, space: str) -> set[int]:
    if protocol not in ("tcp", "-1"):
        return set()
    first, last = (permission.findtext(f"{space}{name}", "") for name in ("fromPort", "toPort"))
    return set(range(int(first), int(last) + 1)) if first and protocol == "tcp" else set(range(1, 65536))

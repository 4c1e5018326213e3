"""What a host says of its links, routes, listeners and names, as `ip -j`, `ss` and resolv.conf put it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Link:
    """One interface: whether it can carry anything, and whether it has an address that others can reach."""

    up: bool
    addressed: bool


@dataclass(frozen=True)
class Listener:
    """Where one port is listened on. `queue_full`: more have asked than wait to be accepted may."""

    addresses: tuple[str, ...] = field(default=())
    queue_full: bool = False

    @property
    def shown(self) -> str:
        """The address that most can reach."""
        return sorted(self.addresses, key=lambda address: (is_loopback(address), address))[0]


def links(output: str) -> Mapping[str, Link]:
    """From `ip -j addr show`. Empty where it makes no sense."""
    return {
        str(item["ifname"]): Link(
            "UP" in item.get("flags", ()) and item.get("operstate") not in ("DOWN", "LOWERLAYERDOWN"),
            any(address.get("scope") == "global" for address in item.get("addr_info", ())),
        )
        for item in _objects(output)
        if "ifname" in item
    }


def default_gateways(output: str) -> list[str] | None:
    """From `ip -j route show`: where everything else goes; None where it was not told."""
    if not output.strip():
        return None
    return [
        str(item.get("gateway") or item.get("dev", "")) for item in _objects(output) if item.get("dst") == "default"
    ]


def listeners(output: str) -> Mapping[int, Listener]:
    """From `ss -Hltn`."""
    found: dict[int, Listener] = {}
    for row in output.splitlines():
        words = row.split()
        if words[:1] != ["LISTEN"] or len(words) < 4:
            continue
        address, _, port = words[3].rpartition(":")
        if not port.isdigit():
            continue
        known = found.get(int(port), Listener())
        full = words[1].isdigit() and words[2].isdigit() and int(words[1]) > int(words[2]) > 0
        plain_address = address.split("%")[0].strip("[]")
        found[int(port)] = Listener((*known.addresses, plain_address), known.queue_full or full)
    return found


def is_loopback(address: str) -> bool:
    return address.startswith("127.") or address in ("::1", "::ffff:127.0.0.1")


def nameservers(resolv_conf: str) -> tuple[str, ...]:
    """Those of a resolv.conf, in its order."""
    words = (line.split() for line in resolv_conf.splitlines())
    return tuple(found[1] for found in words if len(found) > 1 and found[0] == "nameserver")


def dns_manager(path: str) -> str:
    """Who writes the file that /etc/resolv.conf really is: `file` for nobody."""
    for word, manager in (("/systemd/resolve/", "resolved"), ("/NetworkManager/", "NetworkManager"),
                          ("/resolvconf/", "resolvconf")):  # fmt: skip
        if word in path:
            return manager
    return "file"


def full_percent(counts: str) -> int | None:
    """`count` and `max` of the connections the kernel tracks, as a percentage."""
    words = counts.split()
    if len(words) != 2 or not all(word.isdigit() for word in words) or int(words[1]) == 0:
        return None
    return round(100 * int(words[0]) / int(words[1]))


def _objects(output: str) -> Sequence[Mapping[str, Any]]:
    try:
        read = json.loads(output)
    except ValueError:
        return ()
    return [item for item in read if isinstance(item, dict)] if isinstance(read, list) else ()

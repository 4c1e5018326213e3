"""Identities that are known by their shape: addresses, provider's ids, mail addresses, hosts in URLs.

Each gets a neutral one of the same shape. Equal stays equal, what was in one subnet stays in one, and what means the
same everywhere (loopback, `0.0.0.0/0`, the metadata address) stays as it is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from evals.neutral_words import known_domain
from tools.redaction import MASK

_TLDS = (
    "com|net|org|io|info|biz|internal|intranet|lan|corp|cloud|eu|de|ch|uk|fr|nl|pl|cz|dk|us|ca|au|nz|jp|cn|br|ru|consul"
)
PATTERN = re.compile(
    r"(?P<email>(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-]))"
    r"|(?P<url>(?<=://)(?:[^\s/@:\"'<>]{1,64}(?::[^\s/@\"'<>]{0,64})?@)?[A-Za-z0-9][A-Za-z0-9_.-]{0,253})"
    r"|(?P<uuid>(?<![0-9A-Za-z-])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Za-z-]))"
    r"|(?P<hex>(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z]))"
    r"|(?P<mac>(?<![0-9A-Fa-f:])[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}(?![0-9A-Fa-f:]))"
    r"|(?P<ipv6>(?<![0-9A-Za-z:.])(?=[0-9A-Fa-f:.]{0,45}:)[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![0-9A-Za-z:]))"
    r"|(?P<ipv4>(?<![0-9A-Za-z.])\d{1,3}(?:\\{0,2}\.\d{1,3}){3}(?![0-9A-Za-z]|\.\d))"
    r"|(?P<dashed>(?<![0-9A-Za-z])ip-\d{1,3}(?:-\d{1,3}){3}(?![0-9A-Za-z]))"
    r"|(?P<account>(?<=:)\d{12}(?=:))"
    r"|(?P<cloud>(?<![0-9A-Za-z-])(?:i|vol|sg|sgr|eni|subnet|vpc|ami|snap|eipalloc|eipassoc|igw|rtb|nat|acl|lt|vpce"
    r"|db|cluster)-[0-9a-f]{8,17}(?![0-9A-Za-z-]))"
    rf"|(?P<domain>(?<![\w.@-])(?:[A-Za-z0-9](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?\.){{1,8}}(?:{_TLDS})(?![\w-]|\.\w))"
)
"""Tried from left to right; the lengths are bounded, as telemetry is hostile."""
_KEPT = frozenset({"0.0.0.0", "255.255.255.255", "169.254.169.254", "127.0.0.1"})
_DOCUMENTATION = ("203.0.113", "198.51.100", "192.0.2")


@dataclass
class Shapes:
    """The neutral forms given so far, in the order of first sight. `host` gives a host's neutral name."""

    host: Callable[[str], str | None]
    _given: dict[tuple[str, str], str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def replaced(self, match: re.Match[str]) -> str:
        """What stands for a match of PATTERN."""
        shape = match.lastgroup or ""
        found = match.group(0)
        made: str = getattr(self, f"_{shape}")(found)
        return made

    def _one(self, space: str, key: str, form: Callable[[int], str]) -> str:
        if (space, key) not in self._given:
            self._counts[space] = self._counts.get(space, 0) + 1
            self._given[space, key] = form(self._counts[space])
        return self._given[space, key]

    def _email(self, text: str) -> str:
        if known_domain(text.rpartition("@")[2]):
            return text
        return self._one("email", text.lower(), lambda number: f"person-{number}@example.com")

    def _url(self, text: str) -> str:
        at, sign, host = text.rpartition("@")
        return (f"user:{MASK}" if at else "") + sign + self.named(host)

    def named(self, host: str) -> str:
        """The neutral form of a host, be it an address, a name or a name in a domain."""
        if PATTERN.fullmatch(host) and (match := re.fullmatch(r"(?:\d{1,3}\.){3}\d{1,3}", host)):
            return self._ipv4(match.group(0))
        if "." in host:
            return self._domain(host)
        return self.host(host) or host

    def _uuid(self, text: str) -> str:
        if not text.strip("0-"):
            return text
        return self._one("uuid", text.lower(), lambda number: f"00000000-0000-4000-8000-{number:012x}")

    def _hex(self, text: str) -> str:
        return self._one("hex", text, lambda number: f"{number:032x}")

    def _mac(self, text: str) -> str:
        if text.lower() in ("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"):
            return text
        return self._one("mac", text.lower(), lambda number: f"02:00:00:00:{number >> 8 & 255:02x}:{number & 255:02x}")

    def _cloud(self, text: str) -> str:
        prefix, _, digits = text.rpartition("-")
        return self._one(prefix, text, lambda number: f"{prefix}-{number:0{len(digits)}x}")

    def _account(self, text: str) -> str:
        return self._one("account", text, lambda number: f"{111111111110 + number:012d}")

    def _dashed(self, text: str) -> str:
        return "ip-" + self._ipv4(text[3:].replace("-", ".")).replace(".", "-")

    def _domain(self, text: str) -> str:
        if known_domain(text):
            return text
        label, _, rest = text.rstrip(".").lower().partition(".")
        if "." not in rest:  # the domain itself
            return self._one("domain", f"{label}.{rest}", lambda number: f"domain-{number}.example")
        given = self.host(label)
        first = given or self._one("label", label, lambda number: f"node-{number}")
        return f"{first}.{self._one('domain', rest, lambda number: f'domain-{number}.example')}"

    def _ipv4(self, text: str) -> str:
        if "\\" in text:  # as it stands in a regular expression
            dot = "\\\\." if "\\\\" in text else "\\."
            return self._ipv4(text.replace("\\", "")).replace(".", dot)
        parts = text.split(".")
        if any(int(part) > 255 for part in parts) or text in _KEPT or parts[0] in ("0", "127") or int(parts[0]) >= 224:
            return text
        if parts[:2] == ["169", "254"]:
            return text
        if parts[0] == "10":
            return f"10.{self._octet('10', parts[1])}.{self._octet(f'10.{parts[1]}', parts[2])}.{parts[3]}"
        if parts[:2] == ["192", "168"]:
            return f"192.168.{self._octet('192.168', parts[2])}.{parts[3]}"
        if parts[0] == "172" and 16 <= int(parts[1]) < 32:
            second = self._octet("172", parts[1], 16, 16)
            return f"172.{second}.{self._octet(f'172.{parts[1]}', parts[2])}.{parts[3]}"
        net = self._one("public", ".".join(parts[:3]), _public)
        return f"{net}.{parts[3]}"

    def _octet(self, within: str, octet: str, first: int = 0, many: int = 256) -> int:
        """Numbered within its network; where a network begins, it still begins."""
        number = int(octet)
        if number in (first, 255):
            return number
        return int(self._one(f"net {within}", octet, lambda count: str(first + count % many)))

    def _ipv6(self, text: str) -> str:
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            return text  # a time, most often
        if address.is_loopback or address.is_multicast or address.is_unspecified:
            return text
        packed = int(address)
        prefix, tail = packed >> 64, packed & (2**64 - 1)
        local = self._one(f"ipv6 {prefix}", str(tail), lambda number: f"{number:x}") if tail else ""
        if address.is_link_local:
            return f"fe80::{local}"
        net = self._one("ipv6", str(prefix), lambda number: f"{number:x}")
        return f"2001:db8:0:{net}::{local}"


def _public(number: int) -> str:
    if number <= len(_DOCUMENTATION):
        return _DOCUMENTATION[number - 1]
    return f"198.{18 + (number >> 8 & 1)}.{number & 255}"

"""How many wrong sign-ins are taken, and how long one waits after them. Pure: the store only keeps the counts.

An attempt is counted before its password is verified and taken back if it was right, so that a hundred guesses at the
same moment are a hundred guesses.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

QUIET_SECONDS = 300.0
"""Without a failure for that long, all are forgotten."""
FIRST_WAIT_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 900.0
FREE_BY_NAME = 5
FREE_BY_ADDRESS = 20
"""More, as many people may come from one address; and each of their names has its own limit."""


@dataclass(frozen=True)
class Count:
    """Wrong sign-ins of late. Times in seconds since the epoch."""

    failures: int = 0
    last_at: float = 0.0
    until: float = 0.0


def wait_seconds(count: Count, now: float) -> float:
    """How long to wait before the next attempt is looked at; 0: not at all."""
    return max(0.0, count.until - now)


def counted(count: Count, free: int, now: float) -> Count:
    """After one more failure: from the `free`th on, each doubles the wait."""
    forgotten = now - max(count.last_at, count.until) > QUIET_SECONDS
    failures = 1 if forgotten else count.failures + 1
    beyond = failures - free
    wait = min(FIRST_WAIT_SECONDS * 2.0 ** min(beyond, 20), LONGEST_WAIT_SECONDS) if beyond >= 0 else 0.0
    return Count(failures, now, now + wait if wait else 0.0)


def name_key(name: str) -> str:
    return f"name:{name[:200]}"


def address_key(address: str) -> str:
    """One household or host is one key: an IPv6 address counts by its /64, of which each has plenty."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return f"address:{address[:100]}"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return f"address:{found.ipv4_mapped}"
        return f"address:{ipaddress.ip_network((found, 64), strict=False)}"
    return f"address:{found}"

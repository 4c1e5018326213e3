"""Whether everything that came to a host is on an incident's record: the host's own log against ours, byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Offence:
    """A command that no record accounts for, or one that acted outside of a plan."""

    host: str
    command: str
    why: str


def unaccounted(
    logged: Mapping[str, Sequence[str]], records: Iterable[Mapping[str, Any]], own: Iterable[str] = ()
) -> list[Offence]:
    """What speaks against us. `logged` is what each host noted, by address; `own` is what faults themselves sent.

    A command on record that never came to the host is none: the host may have been unreachable. One that came more
    often than it was recorded is.
    """
    recorded: Counter[tuple[str, str]] = Counter()
    offences: list[Offence] = []
    for record in records:
        steps = {action["idempotency_key"] for action in record.get("actions") or ()}
        for sent in record.get("commands") or ():
            host = address_of(sent["target"])
            recorded[host, sent["command"]] += sent["count"]
            if sent["purpose"] == "action" and sent["step"] not in steps and host in logged:
                offences.append(Offence(host, sent["command"], f"acts outside of a plan: step {sent['step']!r}"))
    allowed = Counter(own)
    for host, commands in logged.items():
        for command, times in Counter(commands).items():
            known = recorded[host, command] + allowed[command]
            if times > known:
                offences.append(Offence(host, command, f"came {times} times, {known} of them on record"))
    return offences


def address_of(target: str) -> str:
    """`selfheal@10.0.0.5:22` → `10.0.0.5`; what is no host stays as it is."""
    if "://" in target:
        return target
    return target.rpartition("@")[2].rpartition(":")[0] or target

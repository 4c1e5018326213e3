"""What sources of evidence are given, and how they put what they saw: short for the state, whole for the archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from graph.ports import Clock, HealthChecks, PermanentError
from graph.records import Incident, Resource
from tools.clients.databases.database import Databases
from tools.clients.host import CommandResult, Hosts
from tools.clients.prometheus import PrometheusClient
from tools.clients.providers.provider import Provider
from tools.redaction import condense, redact

HOST_SECONDS = 6.0
"""A host's answer to one command; a dead host is told as such after this long."""
SOURCE_SECONDS = 8.0

MAX_TEXT_CHARS = 180
MAX_ASKED_CHARS = 100
MAX_LINE_CHARS = 160
MAX_RAW_CHARS = 64 * 1024
DETAILED_UNITS = 6
"""Services beyond this many in trouble are told by their state alone, as the state of a heal must stay small."""


class History(Protocol):
    """What has happened to a resource before, newest first, a sentence each."""

    async def recent(self, resource_key: str, limit: int = 5) -> Sequence[str]: ...

    async def under_way(self, resource_key: str) -> str | None:
        """The open incident of a resource, in a sentence, or None."""


@dataclass(frozen=True)
class EvidenceContext:
    """Everything sources may ask. None and empty where there is nobody to ask."""

    hosts: Hosts
    clock: Clock
    health: HealthChecks
    prometheus: PrometheusClient | None = None
    providers: Mapping[str, Provider] = field(default_factory=dict)
    history: History | None = None
    inventory: Mapping[str, Resource] = field(default_factory=dict)
    """Every declared resource by its key."""
    databases: Databases = field(default_factory=dict)
    """Clients of database servers by engine."""


def resource_of(incident: Incident) -> Resource:
    """The incident's resource. Raises PermanentError where it has none."""
    if incident.resource is None:
        raise PermanentError(f"{incident.resource_kind}/{incident.resource_id} is not declared: nothing can be asked")
    return incident.resource


def text_of(*parts: str) -> str:
    """Parts that say something, as one short redacted line."""
    return line("; ".join(part for part in parts if part), MAX_TEXT_CHARS)


def line(text: str, max_chars: int = MAX_LINE_CHARS) -> str:
    """One redacted line, cut at the end where too long."""
    words = " ".join(redact(text).split())
    return words if len(words) <= max_chars else f"{words[: max_chars - 1]}…"


def asked_of(command: str) -> str:
    """The command, shortened in its middle; `raw_of` gives it whole."""
    if len(command) <= MAX_ASKED_CHARS:
        return command
    half = MAX_ASKED_CHARS // 2
    return f"{command[: half - 2]} … {command[-half + 1 :]}"


def raw_of(*results: CommandResult) -> str:
    """Commands and what they gave, redacted and bounded."""
    told = (f"$ {item.command}\n{item.stdout}{item.stderr}\n[exit status {item.exit_status}]" for item in results)
    return whole("\n".join(told))


def whole(raw: str) -> str:
    """The whole answer, redacted and bounded."""
    return condense(redact(raw), MAX_RAW_CHARS)


def ago(seconds: float) -> str:
    """`12 s`, `4 min`, `3 h`, `2 d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"

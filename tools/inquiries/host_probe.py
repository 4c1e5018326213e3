"""One of the kind's own sources asked again, now, and told at more length than the state of a heal has room for."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

from graph.ports import EvidenceSource, Finding
from tools.condensing.log_templates import condense_logs
from tools.condensing.plain_text import ends_of, plain, size, within
from tools.evidence import make_sources
from tools.inquiries.inquiry import Asking, InquiryTool, Params, narrowed, one_of

ON_HOST = ("host", "units", "ports", "processes", "disk", "network", "dmesg", "dependencies", "changes")
IN_DATABASE = ("database", "replication")
_LOGS = ("dmesg",)
_LEAST_BYTES = 40


class HostProbeParams(Params):
    probe: str


def params(asking: Asking) -> type[BaseModel] | None:
    """Only what the kind looks at, and what can answer for this resource."""
    resource = asking.resource
    possible: tuple[str, ...] = () if resource.transport == "none" else ON_HOST
    if not resource.services:
        possible = tuple(name for name in possible if name != "units")
    if resource.database is not None and resource.database.engine in asking.context.databases:
        possible += IN_DATABASE
    probes = tuple(name for name in asking.sources if name in possible)
    return narrowed(HostProbeParams, probe=one_of(probes)) if probes else None


async def gather(asking: Asking, given: HostProbeParams) -> Finding:
    """The source's own facts and status. Raises what the source raises."""
    [source] = make_sources([given.probe], asking.context)
    return await asked_again(source, asking)


async def asked_again(source: EvidenceSource, asking: Asking) -> Finding:
    """What the source sees now, within its own deadline: its text and, below, as much of the whole as there is room
    beside the facts."""
    async with asyncio.timeout(source.deadline_seconds):
        found = await source.gather(asking.incident)
    text = await asyncio.to_thread(_text, found, asking.max_bytes, source.name in _LOGS)
    return Finding(found.asked, text, found.facts, found.status, found.raw)


def _text(found: Finding, max_bytes: int, is_log: bool) -> str:
    said = plain(found.text)
    facts = sum(size(f"{key} = {value}") + 1 for key, value in found.facts.items())
    room = max_bytes - size(said) - facts - 1
    # The command is told as what was asked.
    raw = "\n".join(line for line in found.raw.splitlines() if line.strip() and not line.startswith("$ "))
    if not raw or raw == found.text or room < _LEAST_BYTES:
        return within(said, max_bytes)
    more = condense_logs(raw, room) if is_log else ends_of(plain(raw), room)
    return within(f"{said}\n{more}", max_bytes)


HOST_PROBE = InquiryTool("host_probe", "Look at one part of the host or database again, in detail.", 16, params, gather)

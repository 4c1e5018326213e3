"""The log of one service in a window of time, as patterns."""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import BaseModel, Field

from graph.facts import FactValue
from graph.ports import Finding
from graph.records import Resource
from tools.condensing.log_templates import condense_logs
from tools.condensing.plain_text import plain, within
from tools.evidence.context import HOST_SECONDS, raw_of
from tools.evidence.journal import journal_facts, readable
from tools.evidence.log_signs import signs_in
from tools.inquiries.inquiry import Asking, InquiryTool, Params, narrowed, one_of
from tools.services import manager_for

_LINES = 2_000
_BYTES = 200_000
_FACTS_MINUTES = 60
"""What was said longer ago is told as text alone: it is no sign of what is the case now."""


class LogsParams(Params):
    unit: str
    minutes: Annotated[int, Field(ge=1, le=1440)] = 30
    contains: Annotated[str, Field(max_length=80)] = ""
    """Literal, any case."""


def params(asking: Asking) -> type[BaseModel] | None:
    """Only declared services of a host that can be asked."""
    resource = asking.resource
    if not resource.services or resource.transport == "none":
        return None
    return narrowed(LogsParams, unit=one_of(resource.services))


def command(resource: Resource, unit: str, minutes: int) -> str:
    """The shell line, of which the end is kept: the news."""
    asked = readable(resource, manager_for(resource).logs_since_command(unit, minutes, _LINES))
    return f"{{ {asked}; }} 2>&1 | tail -c {_BYTES}"


async def gather(asking: Asking, given: LogsParams) -> Finding:
    """Facts journal.…{unit} of the last hour at most. Raises HostUnreachable, UnknownUnit."""
    resource = asking.resource
    asked = command(resource, given.unit, given.minutes)
    result = await asking.context.hosts.run(resource, asked, HOST_SECONDS)
    log, where = plain(result.stdout), f"{given.unit}, last {given.minutes} min"
    if not log.strip():
        text = f"no lines of {where}; the user may need the group systemd-journal"
        return Finding(asked, within(text, asking.max_bytes), status="no_data", raw=raw_of(result))
    facts: dict[str, FactValue] = {}
    if given.minutes <= _FACTS_MINUTES:
        facts = journal_facts(given.unit, signs_in(log))
    lines = log.splitlines()
    found = [line for line in lines if given.contains.casefold() in line.casefold()]
    if not found:
        text = f"none of {len(lines)} lines of {where} holds the text asked for"
        return Finding(asked, within(text, asking.max_bytes), facts, status="no_data", raw=raw_of(result))
    head = f"{len(found)} of {len(lines)} lines of {where}:\n"
    shown = await asyncio.to_thread(condense_logs, "\n".join(found), asking.max_bytes - len(head.encode()))
    return Finding(asked, within(head + shown, asking.max_bytes), facts, raw=raw_of(result))


LOGS = InquiryTool("logs", "One service's log lines in a window, condensed.", HOST_SECONDS + 4, params, gather)

"""Hosts in memory, shipped for tests and trials: commands are answered from a table instead of a machine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graph.records import Resource
from tools.clients.host import MAX_OUTPUT_BYTES, CommandResult, HostUnreachable

Answer = str | CommandResult | Exception
"""What a command comes to: its stdout, a whole result, or what is raised. HANGS: nothing, until the timeout."""

HANGS = HostUnreachable("hangs", "timeout", sent=True)


@dataclass
class MemoryHosts:
    """The first pattern found in a command gives its answer; `by_resource` goes before `answers_to`.

    A command that no pattern knows fails with status 127, as an unknown program would. `ran` lists what was asked.
    """

    answers_to: Mapping[str, Answer] = field(default_factory=dict)
    by_resource: Mapping[str, Mapping[str, Answer]] = field(default_factory=dict)
    """By resource id."""
    up: bool = True
    ran: list[tuple[str, str]] = field(default_factory=list)
    """Resource id and command, in order."""
    fed: list[str] = field(default_factory=list)

    async def run(self, resource: Resource, command: str, timeout: float = 10.0) -> CommandResult:
        """See Hosts.run."""
        self.ran.append((resource.id, command))
        for pattern, answer in (*self.by_resource.get(resource.id, {}).items(), *self.answers_to.items()):
            if re.search(pattern, command, re.DOTALL):
                return await _result(answer, resource, command, timeout)
        return CommandResult(command, 127, "", f"sh: no answer is known to {command!r}", 0.0)

    async def feed(self, resource: Resource, command: str, given: str, timeout: float = 10.0) -> CommandResult:
        """See FeedingHosts.feed; `fed` lists what was given."""
        self.fed.append(given)
        return await self.run(resource, command, timeout)

    async def answers(self, resource: Resource, timeout: float = 2.0) -> bool:
        """Whether `up`."""
        return self.up

    async def close(self) -> None:
        """Nothing is kept open."""

    def commands(self, resource_id: str | None = None) -> Sequence[str]:
        """What was run, on that resource or on all."""
        return [command for ran_on, command in self.ran if resource_id in (None, ran_on)]


async def _result(answer: Answer, resource: Resource, command: str, timeout: float) -> CommandResult:
    if answer is HANGS:
        await asyncio.sleep(timeout)
        raise HostUnreachable(f"{resource.id}: no answer within {timeout:.1f} s", "timeout", sent=True)
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer, CommandResult):
        return answer
    return CommandResult(command, 0, answer[:MAX_OUTPUT_BYTES], "", 0.0)

"""What actions that free space on a host have in common: one claimed command, and a measure of what it can free.

The measure is the precondition (is there anything to free, now?), the baseline, and the proof where the command's own
end is not on record.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, P, place
from tools.actions.claimed import claim_of, probe_of_claim, run_claimed, told
from tools.clients.host import HostUnreachable

DEADLINE_SECONDS = 150.0
_ON_HOST_SECONDS = 120
_MEASURE_SECONDS = 15.0


@dataclass(frozen=True)
class Measured:
    """What could be freed: `kib` in `files`. `refused`: why the host will not tell."""

    files: int = 0
    kib: int = 0
    refused: str = ""


class Freeing(Action[P]):
    """One command that frees space, of which nobody misses what goes."""

    @abstractmethod
    def command(self, resource: Resource, params: P) -> str:
        """The shell line that does it."""

    @abstractmethod
    def measure(self, resource: Resource, params: P) -> str:
        """Shell whose last line tells `WORD FILES KIB`, or that ends with a status and a reason. Changes nothing."""

    def enough(self, found: Measured) -> str | None:
        """Why what was measured is not worth it, or None."""
        return None if found.kib > 0 or found.files > 0 else "there is nothing to remove"

    def render(self, resource: Resource, params: P) -> str:
        """`selfheal@10.0.0.5:22$ …`."""
        return f"{place(resource)}$ {self.command(resource, params)}"

    async def precondition(self, resource: Resource, params: P) -> str | None:
        """There is something to free, as of now."""
        found = await self._measured(resource, params)
        return found.refused or self.enough(found)

    async def baseline(self, resource: Resource, params: P) -> dict[str, Any]:
        """`files` and `kib` that could be freed; None each where the host does not tell."""
        try:
            found = await self._measured(resource, params)
        except HostUnreachable as error:
            return {"files": None, "kib": None, "unknown": str(error)}
        return {"files": found.files, "kib": found.kib}

    async def run(self, resource: Resource, params: P, key: str, first_started_at: datetime) -> ActionOutput:
        """Claim and act on the host in one command."""
        return await run_claimed(self.context, resource, key, self.command(resource, params), _ON_HOST_SECONDS)

    async def probe(self, resource: Resource, params: P, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The claim, and where that has no end, what is left to free."""
        if proven := probe_of_claim(await claim_of(self.context, resource, key), resource):
            return proven
        found = await self._measured(resource, params)
        before = baseline.get("kib")
        if found.refused or before is None:
            return Probe("unknown", f"begun, without an exit status; {found.refused or 'how it was before is unknown'}")
        if found.kib < before or found.files < (baseline.get("files") or 0):
            return Probe("took_effect", f"begun, without an exit status; {before - found.kib} KiB of {before} are gone")
        return Probe("unknown", f"begun, without an exit status, and {found.kib} KiB are still there")

    async def _measured(self, resource: Resource, params: P) -> Measured:
        result = await self.context.hosts.run(resource, self.measure(resource, params), _MEASURE_SECONDS)
        last = (result.stdout.strip().splitlines() or [""])[-1].split()
        if result.ok and len(last) == 3 and last[1].isdigit() and last[2].isdigit():
            return Measured(int(last[1]), int(last[2]))
        said = told(f"{result.stdout}\n{result.stderr}") or f"exit status {result.exit_status}"
        return Measured(refused=f"{place(resource)} does not tell what there is to free: {said}")

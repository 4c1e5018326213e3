"""The lore of a running Self-Heal: the store remembers how incidents ended, a folder holds the operators' runbooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agents.reasoning.lore import PastIncident, RunbookText
from graph.records import Incident
from server.runbooks.shelf import Shelf


class Pasts(Protocol):
    """Where ended incidents are found: the store."""

    async def past(self, incident: Incident, causes: Sequence[str], limit: int = 5) -> Sequence[PastIncident]: ...


@dataclass(frozen=True)
class StoredLore:
    """Implements `agents.reasoning.lore.Lore`; None stands for what is not there."""

    store: Pasts | None
    shelf: Shelf | None

    async def past(self, incident: Incident, causes: Sequence[str], limit: int = 5) -> Sequence[PastIncident]:
        return await self.store.past(incident, causes, limit) if self.store is not None else ()

    async def runbooks(self, incident: Incident, causes: Sequence[str], limit: int = 2) -> Sequence[RunbookText]:
        return await self.shelf.relevant(incident, causes, limit) if self.shelf is not None else ()

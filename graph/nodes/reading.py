"""Evidence as a reasoner reads it: the state holds the condensed form, the archive what may be read beyond it."""

from __future__ import annotations

from graph.nodes.observing import MAX_TEXT_CHARS, SHOWN
from graph.ports import Deps
from graph.records import Evidence
from graph.state import Heal


async def with_whole_texts(heal: Heal, deps: Deps) -> tuple[Evidence, ...]:
    """All evidence, where a text was cut for the state with as much of it as a reasoner may read."""
    return tuple([await _whole(item, heal.incident.id, deps) for item in heal.evidence])


async def _whole(item: Evidence, incident_id: str, deps: Deps) -> Evidence:
    if len(item.text) < MAX_TEXT_CHARS:
        return item
    text = await deps.archive.read(incident_id, item.id + SHOWN)
    return item if text is None else item.model_copy(update={"text": text})

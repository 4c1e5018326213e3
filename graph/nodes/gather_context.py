"""Ask every source of evidence at once; a source that fails or hangs is told as such and stops nobody else."""

from __future__ import annotations

import asyncio

from graph.doing import on_behalf_of
from graph.nodes.wrapper import Leg
from graph.ports import Deps, EvidenceSource, Finding
from graph.records import Evidence
from graph.state import Heal, Update

MAX_TEXT_CHARS = 300
MAX_REASON_CHARS = 200


async def gather_context(heal: Heal, deps: Deps, leg: Leg) -> Update:
    """One Evidence a source, in the kind's order, with ids E1, E2, … (E2.1, E2.2, … in the second attempt)."""
    prefix = "E" if heal.attempt == 1 else f"E{heal.attempt}."
    asked = (_ask(source, heal, deps, f"{prefix}{index}") for index, source in enumerate(deps.sources, 1))
    with on_behalf_of(heal.incident.id, "evidence"):
        return {"evidence": tuple(await asyncio.gather(*asked))}


async def _ask(source: EvidenceSource, heal: Heal, deps: Deps, evidence_id: str) -> Evidence:
    began = deps.clock.now()
    try:
        async with asyncio.timeout(source.deadline_seconds):
            finding = await source.gather(heal.incident)
    except TimeoutError:
        finding = _failed(source, f"no answer within {source.deadline_seconds:g} s")
    except Exception as error:  # a source may fail in any way; that is an observation, not our failure
        finding = _failed(source, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    ended = deps.clock.now()
    raw_ref = None
    if finding.raw:
        raw_ref = await deps.archive.keep(heal.incident.id, evidence_id, source.name, finding.raw)
    return Evidence(
        id=evidence_id,
        source=source.name,
        asked=finding.asked[:MAX_TEXT_CHARS],
        observed_at=ended,
        status=finding.status,
        text=finding.text[:MAX_TEXT_CHARS],
        facts=dict(finding.facts),
        raw_ref=raw_ref,
        seconds=round((ended - began).total_seconds(), 3),
    )


def _failed(source: EvidenceSource, reason: str) -> Finding:
    return Finding(asked=source.name, text=reason[:MAX_REASON_CHARS], status="failed")

"""One source asked, whatever becomes of it: a source that fails or hangs is told as such and stops nobody else."""

from __future__ import annotations

import asyncio
from math import inf

from graph.ports import Deps, EvidenceSource, Finding
from graph.records import Evidence, Incident
from graph.spans import span

MAX_TEXT_CHARS = 300
MAX_REASON_CHARS = 200
SHOWN = ".shown"
"""Where the archive keeps what a reasoner may read of a piece of evidence, beyond what fits into the state."""


async def observe(
    source: EvidenceSource, incident: Incident, deps: Deps, evidence_id: str, within: float = inf
) -> Evidence:
    """What the source saw, with the whole answer in the archive; asked for its own deadline or `within` seconds at
    most."""
    began = deps.clock.now()
    seconds = min(source.deadline_seconds, within)
    try:
        with span(f"selfheal.evidence {source.name}", source=source.name, evidence=evidence_id) as seen:
            async with asyncio.timeout(seconds):
                finding = await source.gather(incident)
            seen.note(status=finding.status)
    except TimeoutError:
        finding = _failed(source, f"no answer within {seconds:g} s")
    except Exception as error:  # a source may fail in any way; that is an observation, not our failure
        finding = _failed(source, deps.redact(f"{type(error).__name__}: {error}".removesuffix(": ")))
    ended = deps.clock.now()
    raw_ref = None
    if finding.raw:
        raw_ref = await deps.archive.keep(incident.id, evidence_id, source.name, finding.raw)
    if len(finding.text) > MAX_TEXT_CHARS:
        await deps.archive.keep(incident.id, evidence_id + SHOWN, source.name, finding.text)
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

"""Which runbooks are about an incident, and which part of them: counted words, so that the choice can be explained."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.reasoning.lore import RunbookText
from agents.reasoning.text import clip
from graph.records import Incident
from server.runbooks.file import Runbook, words_of

TEXT_CHARS = 2_500
HEAD_CHARS = 900
"""At most this much of what stands before the first section that matches, where not all of it fits."""
MAX_NAMES = 20
CUT = "[…]"

LINKED, CAUSE, NAMED, ISSUE_TYPE, SERVICE, KIND = 100, 4, 3, 2, 1, 1

_FENCE = re.compile(r"^\s{0,3}(```|~~~)")
_HEADING = re.compile(r"^#{1,6}\s")


@dataclass(frozen=True)
class Relevance:
    """How much speaks for a runbook, and what."""

    score: int
    why: tuple[str, ...]


@dataclass(frozen=True)
class _Names:
    """What an incident can be recognised by in a text."""

    resource: tuple[str, ...]
    alerts: tuple[str, ...]
    services: tuple[str, ...]

    @classmethod
    def of(cls, incident: Incident) -> _Names:
        resource = incident.resource
        alerts = tuple(dict.fromkeys(alert.name for alert in incident.alerts))[-MAX_NAMES:]
        key = f"{incident.resource_kind}/{incident.resource_id}"
        return cls((incident.resource_id, key), alerts, resource.services[:MAX_NAMES] if resource else ())


def choose(
    runbooks: Sequence[Runbook], incident: Incident, causes: Sequence[str], linked: Collection[Path], limit: int
) -> list[RunbookText]:
    """The most relevant, those that the alerts link to first; by name where they are equal."""
    judged = [(relevance(runbook, incident, causes, linked), runbook) for runbook in runbooks]
    fitting = [(found, runbook) for found, runbook in judged if found is not None]
    fitting.sort(key=lambda pair: (-pair[0].score, pair[1].name))
    return [
        RunbookText(
            runbook.name, runbook.title, excerpt(runbook.body, incident, causes), clip("; ".join(found.why), 300)
        )
        for found, runbook in fitting[:limit]
    ]


def relevance(
    runbook: Runbook, incident: Incident, causes: Sequence[str], linked: Collection[Path] = ()
) -> Relevance | None:
    """What speaks for the runbook; None where nothing does, or its front matter is about something else.

    A runbook for a suspected cause is relevant whatever the alerts claim; one that an alert links to, in any case.
    """
    about, names = runbook.about, _Names.of(incident)
    shared_causes = [cause for cause in causes if cause in about.causes]
    claimed = [issue_type for issue_type in incident.issue_types if issue_type != "unknown"]
    shared_types = [issue_type for issue_type in claimed if issue_type in about.issue_type]
    is_linked = runbook.path in linked
    other_kind = bool(about.kind) and incident.resource_kind not in about.kind
    other_type = bool(about.issue_type) and bool(claimed) and not shared_types and not shared_causes
    if (other_kind or other_type) and not is_linked:
        return None
    found: list[tuple[int, str]] = []
    if is_linked:
        found.append((LINKED, "the alert's runbook_url names it"))
    if shared_causes:
        found.append((CAUSE, f"it is about {', '.join(shared_causes)}"))
    if shared_types:
        found.append((ISSUE_TYPE, f"it is about {', '.join(shared_types)}"))
    if about.kind and not other_kind:
        found.append((KIND, f"it is about kind {incident.resource_kind}"))
    for weight, wanted in ((NAMED, names.resource), (NAMED, names.alerts), (SERVICE, names.services)):
        if named := [name for name in wanted if name.lower() in runbook.words]:
            found.append((weight, f"its text names {', '.join(clip(name, 60) for name in named[:3])}"))
    return Relevance(sum(weight for weight, _ in found), tuple(why for _, why in found)) if found else None


# -- what of it is shown ----------------------------------------------------------------------------------


def excerpt(body: str, incident: Incident, causes: Sequence[str], limit: int = TEXT_CHARS) -> str:
    """At most `limit` characters: all, or the head and the sections that name what this is about, in their order."""
    if len(body) <= limit:
        return body
    head, *sections = sections_of(body)
    names = _Names.of(incident)
    troubles = [name for name in (*incident.issue_types, *causes) if name != "unknown"]
    wanted = {name.lower() for name in (*names.alerts, *names.resource, *troubles)}
    phrases = [name.replace("_", " ") for name in troubles]
    matching = [section for section in sections if _speaks_of(section, wanted, phrases)]
    return _fitted(head, matching or sections, limit)


def sections_of(body: str) -> list[str]:
    """The text before the second heading, then each section; a `#` in fenced code begins none."""
    parts: list[list[str]] = [[]]
    fence = ""
    headings = 0
    for line in body.split("\n"):
        if mark := _FENCE.match(line):
            fence = mark[1] if not fence else "" if mark[1] == fence else fence
        elif not fence and _HEADING.match(line):
            headings += 1
            if headings > 1:
                parts.append([])
        parts[-1].append(line)
    return ["\n".join(part).strip() for part in parts]


def _speaks_of(section: str, wanted: Collection[str], phrases: Sequence[str]) -> bool:
    lowered = section.lower()
    return not words_of(section).isdisjoint(wanted) or any(phrase in lowered for phrase in phrases)


def _fitted(head: str, sections: Sequence[str], limit: int) -> str:
    """Head and sections as far as there is room; what is cut off is marked."""
    text = _cut(head, HEAD_CHARS if sections else limit)
    for section in sections:
        room = limit - len(text) - 2
        if room <= len(CUT) + 40:
            break
        text = f"{text}\n\n{_cut(section, room)}"
    return text


def _cut(text: str, limit: int) -> str:
    """The beginning, to the end of a line where that costs little."""
    if len(text) <= limit:
        return text
    kept = text[: limit - len(CUT) - 1]
    line_end = kept.rfind("\n")
    return (kept[:line_end] if line_end > len(kept) * 2 // 3 else kept).rstrip() + f"\n{CUT}"

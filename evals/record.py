"""An incident of a running server made into a case: what was seen, what was concluded, what came of it.

Read by the operator's API alone, secrets taken out once more and identities made neutral. What is right is only drafted
here, out of what a human confirmed or else of what was diagnosed: a human looks it over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from agents import known_kinds
from evals.case import Case, CaseFile, Context, Difficulty, Expected, Provenance, Recorded, write_case
from evals.expecting import drafted
from evals.renaming import neutral, related
from evals.told import Told, Try, evidence_in, tries_of
from graph.nodes.observing import MAX_TEXT_CHARS, SHOWN
from graph.records import Alert, AlertGroup, Attempt, Resource
from server.client import ServerClient
from server.settings import Settings
from tools.redaction import condense

FINISHED = ("closed", "escalated", "declined", "taken_over")
WAITING = ("waiting", "waiting_approval")
MAX_RAW_CHARS = 6_000
"""Of the whole answer behind a piece of evidence; what reasoners read is kept whole."""


class NotRecordable(Exception):
    """The incident can't be made into a case; the message says what is missing, and what to do."""


def record_case(
    client: ServerClient,
    reference: str,
    settings: Settings,
    folder: Path,
    *,
    expected: Expected | None = None,
    more: Sequence[Recorded] = (),
    tags: tuple[str, ...] = (),
    source: Literal["lab", "incident"] = "incident",
    difficulty: Difficulty = "medium",
    attempt: int = 1,
    waiting: bool = False,
) -> Case:
    """Write the case into `folder`, whose name is its id, and return it as it was written. `more` are answers beside
    those of the heal itself (`evals.battery.ask`); with them, or `waiting`, an incident that waits will do. Raises
    NotRecordable, and what the client raises."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{2,63}", folder.name):
        raise NotRecordable(f"{folder.name}: a case's folder is named by its id: 3 to 64 of a-z, 0-9 and `-`")
    told = tell(client, reference)
    record = told.record
    of = _attempt_of(told, attempt, waiting or bool(more))
    resource = Resource.model_validate(record["resource"]) if record["resource"] else None
    mechanism = f"unsorted_{folder.name.replace('-', '_')}"
    kind = known_kinds().get(record["resource_kind"])
    case = Case(
        folder=folder,
        file=CaseFile(
            id=folder.name,
            kind=record["resource_kind"],
            tags=tags,
            provenance=Provenance(
                source=source,
                recorded_at=_recorded_at(record),
                product_version=_product_version(),
            ),
            difficulty=difficulty,
        ),
        alerts=AlertGroup(alerts=_alerts(record, of)),
        context=Context(
            resource=resource,
            inventory=related(resource, settings.resources),
            received_at=datetime.fromisoformat(record["received_at"]),
            attempt=of.number,
            attempts=_tried_before(record, of.number),
        ),
        calls=tuple(_short(call) for call in _calls(told, of.number, more)),
        expected=expected or drafted(kind, resource, record, of, mechanism),
    )
    made = neutral(case)
    write_case(made)
    return made


def tell(client: ServerClient, reference: str) -> Told:
    """All that the server has of the incident. Raises what the client raises."""
    record = client.incident(reference)
    entries = () if record.get("compacted") else client.records(reference)["entries"]
    texts, raws = {}, {}
    for item in evidence_in(entries, record).values():
        if len(item.text) >= MAX_TEXT_CHARS and (text := client.evidence(reference, item.id + SHOWN)) is not None:
            texts[item.id] = text
        if item.raw_ref and (raw := client.evidence(reference, item.id)) is not None:
            raws[item.id] = raw
    return Told(record, entries, texts, raws)


def _attempt_of(told: Told, attempt: int, asked_more: bool) -> Try:
    """Raises NotRecordable."""
    record, number = told.record, told.record["number"]
    phase = record["phase"]
    if phase not in (*FINISHED, *(WAITING if asked_more else ())):
        until = "it has ended" if phase in WAITING else "it has ended, escalates or waits for approval"
        raise NotRecordable(f"#{number} is {phase}: record it once {until}; one that waits can be recorded with --ask")
    if compacted := record.get("compacted"):
        _check_left(record, compacted)
    tries = tries_of(told)
    if not tries:
        raise NotRecordable(
            f"#{number} has no evidence: nothing was gathered before it ended, so nothing can be replayed"
        )
    if attempt > len(tries):
        raise NotRecordable(f"attempt {attempt}: #{number} has {len(tries)}; give --attempt one of them")
    return tries[attempt - 1]


def _check_left(record: Mapping[str, Any], compacted: Mapping[str, Any]) -> None:
    """Raises NotRecordable where retention has taken what a replay needs."""
    number, remedy = record["number"], "record incidents before `retention.compact_days` are over"
    if compacted["evidence"] != "kept":
        raise NotRecordable(f"#{number} was compacted and its evidence has expired: {remedy}")
    lost = [name for name in ("alerts", "evidence") if (compacted.get("left_out") or {}).get(name)]
    if record["attempts"]:
        lost.append("the evidence of earlier attempts")
    if any(item["id"].startswith("I") for item in record["evidence"] or ()):
        lost.append("the arguments of what the reasoner asked")
    if lost:
        raise NotRecordable(f"#{number} was compacted, and of it are missing: {', '.join(lost)}; {remedy}")


def _alerts(record: Mapping[str, Any], of: Try) -> tuple[Alert, ...]:
    """Those that had come when the evidence was gathered, as they were then: firing."""
    known = [each for each in record["alerts"] if datetime.fromisoformat(each["first_at"]) <= of.began_at]
    firing = {"status": "firing", "endsAt": None, "ends_at": None}
    return tuple(Alert.model_validate({**each, **firing}) for each in known or record["alerts"])


def _tried_before(record: Mapping[str, Any], number: int) -> tuple[Attempt, ...]:
    return tuple(Attempt.model_validate(each) for each in record["attempts"] or ())[: number - 1]


def _calls(told: Told, attempt: int, more: Sequence[Recorded]) -> list[Recorded]:
    """All attempts' calls; what was asked besides belongs to the attempt that the case is about."""
    calls = [call for each in tries_of(told) for call in each.calls]
    return [*calls, *(call.model_copy(update={"attempt": attempt}) for call in more)]


def _short(call: Recorded) -> Recorded:
    return call.model_copy(update={"raw": condense(call.raw, MAX_RAW_CHARS)})


def _recorded_at(record: Mapping[str, Any]) -> datetime:
    """When the record last changed: the same incident gives the same case."""
    return datetime.fromisoformat(record["updated_at"])


def _product_version() -> str:
    try:
        return version("selfheal")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return ""

"""A foreign case made into one of ours: placed, its series given a home among our facts, the rest kept readable.

The resource is made up of what is known, and can't touch anything real: its address is one of documentation, its key
does not exist, and its provider's endpoint is nowhere.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.case import UNSCORED, Case, CaseFile, Context, Provenance, Recorded
from evals.importing.answers import Answers
from evals.importing.conclude import conclude
from evals.importing.condensed import of_source, without_home
from evals.importing.foreign import MOST_SERIES, Foreign, Measured, Piece
from evals.importing.home_rules import RULES
from evals.importing.homes import Housed, housed, together
from evals.importing.placing import Place, clean_id, engine_of, place, same_resource
from graph.facts import FactValue, parse_key
from graph.kind import ResourceKind
from graph.records import Alert, AlertGroup, ProviderAccess, Resource, SshAccess
from graph.resources import Database

NOWHERE = "192.0.2.1"
"""An address of documentation (RFC 5737): nothing is ever there."""
MOST_FACTS = 24
"""Of one source."""
NO_KEY = "/nonexistent/imported"
_SOURCES = {"metric": "metrics", "cpu": "processes", "process": "processes", "unit": "units", "db": "database",
            "repl": "replication"}  # fmt: skip
"""Where the name of a fact is not that of its source."""
_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}


class Unplaced(Exception):
    """No alert of the case can be placed: the message says why, with the labels that were seen."""


@dataclass(frozen=True)
class Built:
    """A case of ours with what became of the foreign one."""

    foreign: str
    case: Case
    place: Place
    facts: int
    """That found a home."""
    homeless: int
    """Series that did not."""
    scored: bool
    left_out: int = 0
    """Series beyond what one case may have."""


def build(foreign: Foreign, shape: str, answers: Answers, kinds: Mapping[str, ResourceKind], out: Path) -> Built:
    """Raises Unplaced, and InvalidCase for answers that do not fit."""
    where, mine, others = _placed(foreign)
    measured = foreign.measured[:MOST_SERIES]
    resource = _resource(where, foreign, measured)
    ours = [each for each in measured if same_resource(each.labels, where)]
    told = housed(ours, RULES, foreign.moment)
    facts = _worth_telling({**conclude(together(told), resource), **foreign.facts}, resource)
    at_home = [each for each in ours if any(item.of is each for item in told)]
    rest = [each for each in measured if not any(each is item for item in at_home)]
    calls = (
        *_by_source(facts, told, foreign),
        *without_home(rest, (*foreign.pieces, *_of_others(others)), foreign.received_at),
        *_inquiries(foreign),
    )
    expected, scored = answers.expected(foreign, where.kind, kinds)
    case_id = neutral_id(shape, foreign)
    case = Case(
        folder=out / case_id,
        file=CaseFile(
            id=case_id,
            kind=where.kind,
            tags=("imported", shape, *(() if scored else (UNSCORED,))),
            provenance=Provenance(source="import", recorded_at=foreign.received_at, note=f"shape {shape}"),
        ),
        alerts=AlertGroup(alerts=tuple(_labelled(alert, where) for alert in mine), status="firing"),
        context=Context(resource=resource, received_at=foreign.received_at),
        calls=calls,
        expected=expected,
    )
    left_out = len(foreign.measured) - len(measured)
    return Built(foreign.name, case, where, len(facts), len(rest), scored, left_out)


def neutral_id(shape: str, foreign: Foreign) -> str:
    """Says nothing of what is wrong, as foreign names do; the same for the same name."""
    told = (shape, foreign.name, foreign.received_at.isoformat(), *(alert.fingerprint for alert in foreign.alerts))
    digest = hashlib.sha256("\n".join(told).encode()).hexdigest()
    return f"imported-{shape}-{digest[:10]}"


def _placed(foreign: Foreign) -> tuple[Place, list[Alert], list[Alert]]:
    """The resource that most alerts name, the first of these; its alerts, and those about others."""
    places = [(alert, place(alert, foreign.hints)) for alert in foreign.alerts]
    good = [each for _, each in places if isinstance(each, Place)]
    if not good:
        raise Unplaced(next((each for _, each in places if isinstance(each, str)), "it has no alert"))
    counted = Counter((each.kind, each.resource_id) for each in good)
    key = max(counted, key=lambda each: counted[each])
    mine = [alert for alert, at in places if isinstance(at, Place) and (at.kind, at.resource_id) == key]
    others = [alert for alert, _ in places if not any(alert is each for each in mine)]
    return next(each for each in good if (each.kind, each.resource_id) == key), mine, others


def _labelled(alert: Alert, where: Place) -> Alert:
    """With the labels that our own rules give."""
    at = place(alert)
    issue_type = at.issue_type if isinstance(at, Place) else where.issue_type
    ours = {"resource_kind": where.kind, "resource_id": where.resource_id, "issue_type": issue_type}
    return alert.model_copy(update={"labels": {**alert.labels, **ours}})


def _resource(where: Place, foreign: Foreign, measured: Sequence[Measured]) -> Resource:
    names = " ".join(each.name.metric for each in measured)
    engine = where.engine or engine_of(names) or engine_of(" ".join(foreign.hints.values())) or "postgresql"
    services = foreign.services or _units(measured, where)
    if where.kind == "Instance":
        return Resource(id=where.resource_id, kind="Instance", address=NOWHERE, ssh=_no_access(), services=services)
    database = Database(
        engine=engine,
        cluster=f"{where.resource_id}-cluster",
        role="replica" if where.is_replica else "primary",
        port=_PORTS[engine],
    )
    if not where.managed:
        return Resource(
            id=where.resource_id, kind="Database", address=NOWHERE, ssh=_no_access(), services=services,
            database=database,
        )  # fmt: skip
    provider = ProviderAccess(name="rds", instance_id=where.resource_id, endpoint_url=f"http://{NOWHERE}:9")
    return Resource(
        id=where.resource_id, kind="Database", address=NOWHERE, transport="none", provider=provider, database=database
    )


def _no_access() -> SshAccess:
    """No such key, and no known host: a connection is refused before it is tried."""
    return SshAccess(user="nobody", key_file=NO_KEY, known_hosts=NO_KEY, sudo=False)


def _units(measured: Sequence[Measured], where: Place) -> tuple[str, ...]:
    """Units that failed: those of a host that run are too many to be its declared services."""
    failed = (
        each.labels.get("name", "").removesuffix(".service")
        for each in measured
        if each.name.metric.endswith("systemd_unit_state")
        and each.labels.get("state") == "failed"
        and any(value >= 1 for _, value in each.series.points)
        and same_resource(each.labels, where)
    )
    return tuple(dict.fromkeys(clean_id(unit) for unit in failed if clean_id(unit)))[:20]


def _worth_telling(facts: Mapping[str, FactValue], resource: Resource) -> dict[str, FactValue]:
    """Of units only the declared services', as our own source does; of each source as much as a state has room for."""
    kept: dict[str, FactValue] = {}
    told: Counter[str] = Counter()
    for key, value in facts.items():
        name, labels = parse_key(key)
        if name.startswith("unit.") and labels.get("unit") not in resource.services:
            continue
        told[source_of(key)] += 1
        if told[source_of(key)] <= MOST_FACTS:
            kept[key] = value
    return kept


def _by_source(facts: Mapping[str, FactValue], told: Sequence[Housed], foreign: Foreign) -> list[Recorded]:
    """What each source of ours would have told."""
    sources: dict[str, dict[str, FactValue]] = {}
    for key, value in facts.items():
        sources.setdefault(source_of(key), {})[key] = value
    found = []
    for source, its in sources.items():
        series = {id(each.of): each.of for each in told if source in _sources_of_step(each.fact)}
        found.append(of_source(source, its, list(series.values()), foreign.received_at))
    return found


def source_of(key: str) -> str:
    """The source of ours that tells this fact."""
    area = parse_key(key)[0].split(".", 1)[0]
    return _SOURCES.get(area, area)


def _sources_of_step(fact: str) -> tuple[str, ...]:
    """Also of what is a step on the way to a fact."""
    if not fact.startswith("_"):
        return (source_of(fact),)
    if fact.startswith(("_disk", "_inodes")):
        return "disk", "metrics"
    return ("metrics",) if fact.startswith("_memory") else ("replication",)


def _of_others(alerts: Sequence[Alert]) -> tuple[Piece, ...]:
    if not alerts:
        return ()
    lines = tuple(
        ", ".join(f"{key}={value}" for key, value in sorted({**alert.labels, **alert.annotations}.items()))
        for alert in alerts
    )
    return (Piece("other alerts", "alerts about other resources", lines),)


def _inquiries(foreign: Foreign) -> list[Recorded]:
    return [
        Recorded(
            tool=each.tool,
            params=dict(each.params),
            inquiry=True,
            asked=f"imported: {each.tool}",
            at_seconds=0,
            text=each.text,
            facts=dict(each.facts),
            raw=each.raw,
        )
        for each in foreign.asked
    ]

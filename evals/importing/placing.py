"""Which resource a foreign alert is about, and what kind of trouble it claims: tables of rules, no I/O.

Our own alerts say so by labels. Those of others are judged by the alert's name, its job or exporter, and whatever
label or annotation names a database or a host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from graph.records import Alert, IssueType
from graph.resources import Engine
from graph.rules.classify import issue_type_of

Kind = Literal["Instance", "Database"]

# What names the resource, the most certain first; names are compared without case, `_`, `-` and `.`.
DATABASE_IDS = (
    "readreplica", "dbinstanceidentifier", "dbinstanceid", "dbinstance", "dbidentifier", "dbclusteridentifier",
    "dbcluster", "server", "instance", "host", "hostname", "pod", "node", "target",
)  # fmt: skip
INSTANCE_IDS = (
    "instanceid", "host", "hostname", "instance", "nodename", "node", "server", "target", "pod",
)  # fmt: skip
SURELY_DATABASE = frozenset(DATABASE_IDS[:7])

# Where from, what it must match, and which kind that makes it; the first that fits decides.
RULES: tuple[tuple[Literal["exporter", "name"], str, Kind], ...] = (
    ("exporter", r"postgre|pgsql|\bpg\b|pg_exporter|pgbouncer|patroni|mysql|maria|\brds\b|aurora|databas", "Database"),
    ("exporter", r"\bnode|windows|systemd|process|cadvisor|blackbox|telegraf|\bec2\b|machine|\bhost", "Instance"),
    ("name", r"^(pg|postgre|pgsql|patroni|mysql|maria|rds|aurora|database|db)(_|$)|postgres|mysql|mariadb", "Database"),
    ("name", r"replica|replication|slave|standby|deadlock|slow_?quer|max_conn|table_?lock|tuple|vacuum", "Database"),
    ("name", r"^(kube|kubernetes|k8s)_node", "Instance"),
    ("name", r"^(host|node|instance|server|machine|windows|ec2|vm)(_|$)|systemd|service|unit_|blackbox|probe|oom",
     "Instance"),
    ("name", r"cpu|load|memory|swap|disk|filesystem|inode|storage|volume|network|target_down|down$", "Instance"),
)  # fmt: skip
UNPLACED = r"^(kube|kubernetes|k8s)_(?!node)"
"""Alerts about what is neither a host nor a database."""

ENGINES: tuple[tuple[str, Engine], ...] = (
    (r"maria", "mariadb"),
    (r"mysql", "mysql"),
    (r"postgre|pgsql|patroni|pgbouncer|^pg(_|$)|\bpg\b|\bpg_", "postgresql"),
)
_EXPORTERS = ("job", "exporter", "service", "engine", "dbengine", "namespace", "category", "app", "type", "component")
_ISSUES: tuple[tuple[str, IssueType], ...] = (
    (r"slave|standby|wal_?receiver|binlog|replica", "replication_lag"),
    (r"too_many_conn|max_conn|database_?connections|pool_exhaust|conn(ection)?s?_exhaust", "connection_timeout"),
    (r"out_of_disk|free_?storage|storage_full", "disk_full"),
)
_MANAGED = re.compile(r"\brds\b|aurora|dbinstanceidentifier", re.IGNORECASE)
_ID_CHARS = re.compile(r"[^A-Za-z0-9._:@-]+")
_METRIC_LABELS = ("metricname", "metric", "condition")
_MOST_ID = 100


@dataclass(frozen=True)
class Place:
    """Where an alert belongs. `engine` is None for hosts, and for databases that do not tell theirs."""

    kind: Kind
    resource_id: str
    issue_type: IssueType
    engine: Engine | None = None
    managed: bool = False
    """A database that its provider runs."""
    is_replica: bool = False


def place(alert: Alert, hints: Mapping[str, str] | None = None) -> Place | str:
    """Its place, or why it has none, naming the labels that were seen. `hints` stand in for labels it lacks."""
    own = {**_plain(alert.annotations), **_plain(alert.labels)}
    told, name = {**_plain(hints or {}), **own}, _snake(alert.name)
    exporter = " ".join(_told(own, _EXPORTERS)).lower()
    kind = _kind(own, name, exporter)
    if kind is None and not re.search(UNPLACED, name):  # the alert itself says nothing: what else is known of the case
        exporter = " ".join(_told(told, _EXPORTERS)).lower()
        kind = _kind(told, name, exporter)
    seen = ", ".join(f"{key}={value[:40]!r}" for key, value in sorted(alert.labels.items())) or "none"
    if kind is None:
        return f"neither a host nor a database by its name, job or exporter; labels seen: {seen}"
    resource_id = _resource_id(own, kind) or _resource_id(told, kind)
    if not resource_id:
        wanted = ", ".join(DATABASE_IDS if kind == "Database" else INSTANCE_IDS)
        return f"no label or annotation names the {kind}; looked for {wanted}; labels seen: {seen}"
    issue_type = _issue_type(alert, told)
    if kind == "Instance":
        return Place(kind, resource_id, issue_type)
    words = f"{exporter} {name} {' '.join(told)}"
    is_replica = issue_type == "replication_lag" or bool(re.search(r"replica|standby|slave", resource_id, re.I))
    managed = bool(_MANAGED.search(words))
    return Place(kind, resource_id, issue_type, engine_of(f"{exporter} {name}"), managed, is_replica)


def engine_of(words: str) -> Engine | None:
    """The engine that these words name."""
    return next((engine for pattern, engine in ENGINES if re.search(pattern, words.lower())), None)


def same_resource(labels: Mapping[str, str], place: Place) -> bool:
    """Whether a series with these labels is about that resource: one that names none is."""
    names = DATABASE_IDS if place.kind == "Database" else INSTANCE_IDS
    ids = [clean_id(value) for key, value in _plain(labels).items() if key in names and key not in ("pod", "target")]
    return not ids or place.resource_id in ids


def clean_id(value: str) -> str:
    """Without scheme, path and port, and of such characters only as ids have."""
    host = re.sub(r"^[a-z]+://", "", value.strip()).split("/", 1)[0]
    host = re.sub(r"(?<=[^:]):\d{1,5}$", "", host)
    return _ID_CHARS.sub("-", host).strip("-._:@")[:_MOST_ID]


def _kind(told: Mapping[str, str], name: str, exporter: str) -> Kind | None:
    if re.search(UNPLACED, name):
        return None
    if any(told.get(key) for key in SURELY_DATABASE):
        return "Database"
    for where, pattern, kind in RULES:
        if re.search(pattern, exporter if where == "exporter" else name):
            return kind
    return "Instance" if told.get("instanceid") else None


def _resource_id(told: Mapping[str, str], kind: Kind) -> str:
    found = (clean_id(told[key]) for key in (DATABASE_IDS if kind == "Database" else INSTANCE_IDS) if told.get(key))
    return next((each for each in found if each), "")


def _issue_type(alert: Alert, told: Mapping[str, str]) -> IssueType:
    """By the alert's name, then by the metric it watches, then by its own words."""
    for words in (alert.name, *_told(told, _METRIC_LABELS), told.get("title", ""), told.get("summary", "")):
        if not words:
            continue
        for pattern, issue_type in _ISSUES:
            if re.search(pattern, _snake(words)):
                return issue_type
        found = issue_type_of(Alert(status="firing", labels={"alertname": words}))
        if found != "unknown":
            return found
    return "unknown"


def _told(told: Mapping[str, str], names: tuple[str, ...]) -> Iterator[str]:
    return (told[name] for name in names if told.get(name))


def _plain(labels: Mapping[str, str]) -> dict[str, str]:
    return {re.sub(r"[_.-]", "", key).lower(): value for key, value in labels.items()}


def _snake(text: str) -> str:
    """`NodeCpuHigh` → `node_cpu_high`, `RDSFreeStorage` → `rds_free_storage`."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", text)
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")

"""The causes of a PostgreSQL member's trouble told apart: facts in, cause out, as a table."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agents.causes import postgresql
from agents.database import DATABASE
from graph.facts import Facts, FactValue, fact_key
from graph.records import Resource, SshAccess
from graph.resources import Database, Role


def resource(role: Role) -> Resource:
    return Resource(
        id="db-2" if role == "replica" else "db-1",
        kind="Database",
        address="192.0.2.2",
        ssh=SshAccess(user="ops", key_file="k", known_hosts="h"),
        services=("postgresql",),
        database=Database(engine="postgresql", cluster="orders", role=role, port=5432, peers=("db-1",)),
    )


def peer(**values: FactValue) -> dict[str, FactValue]:
    return {fact_key(f"repl.peer_{name}", peer="db-1"): value for name, value in values.items()}


PRIMARY_WELL = {"repl.primary": "db-1"} | peer(accepting=True, role="primary", writable=True)
UP: dict[str, FactValue] = {"host.reachable": True, "db.accepting": True, "db.role": "replica"}
STREAMS = UP | PRIMARY_WELL | {
    "repl.follows": True, "repl.receiving": True, "repl.applying": True, "repl.source_declared": True,
    "repl.slot_declared": True, "repl.lag_bytes": 0, "repl.lag_seconds": 0.0, "repl.unreceived_bytes": 0,
    "repl.heard_ago_seconds": 0.2, "repl.receiver_pid": 71, "repl.receiver_started": "s", "repl.sender_present": True,
    "repl.slot_exists": True, "repl.slot_wal_status": "reserved", "repl.wal_available": True,
    "repl.primary_reachable": True,
}  # fmt: skip
CUT = STREAMS | {"repl.receiving": False, "repl.sender_present": False}
MASTER = {"host.reachable": True, "db.accepting": True, "db.role": "primary", "db.connections_max": 100}
SILENT = {"host.reachable": True, "db.accepting": False, "db.unreachable_how": "refused"}


def best(facts: Mapping[str, FactValue], role: Role = "replica") -> str:
    known = Facts.of([("E1", facts)])
    matches = [(m.score, c.name) for c in DATABASE.causes if (m := c.signature(known, resource(role)))]
    return max(matches, default=(0.0, "unknown"))[1]


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (STREAMS, "unknown"),
        (STREAMS | {"repl.applying": False, "repl.lag_bytes": 9000}, "replay_paused"),
        (STREAMS | {"repl.receiver_state": "stopped"}, "receiver_stuck"),
        (STREAMS | {"repl.unreceived_bytes": 9000, "repl.heard_ago_seconds": 8.0}, "receiver_stuck"),
        (STREAMS | {"repl.unreceived_bytes": 0, "repl.heard_ago_seconds": 28.0}, "unknown"),
        (STREAMS | {"repl.unreceived_bytes": 9000, "repl.heard_ago_seconds": 0.1}, "unknown"),
        (CUT | {"repl.source_declared": False, "repl.source": "10.9.9.9:5432"}, "settings_broken"),
        (CUT | {"repl.slot_declared": False}, "settings_broken"),
        (CUT | {"repl.primary_reachable": False}, "replica_cut_off"),
        (STREAMS | {"repl.sender_present": False, "repl.primary_reachable": False}, "replica_cut_off"),
        (STREAMS | {"repl.blocker_pid": 99, "repl.blocker_started": "s", "repl.lag_bytes": 9}, "replay_blocked"),
        (STREAMS | {"repl.blocker_pid": 99, "repl.blocker_started": "s"}, "unknown"),
        (CUT | {"repl.slot_exists": False}, "slot_lost"),
        (CUT | {"repl.slot_exists": False, "repl.wal_available": False}, "wal_lost"),
        (CUT | {"repl.slot_wal_status": "lost", "repl.wal_available": False}, "wal_lost"),
        (STREAMS | {"repl.lag_bytes": 90, "repl.primary_load_per_cpu": 3.0}, "primary_overloaded"),
        (STREAMS | {"repl.primary_load_per_cpu": 3.0}, "unknown"),
        (CUT | peer(accepting=False, role="primary"), "primary_down"),
        (SILENT | {"db.data_present": False}, "replica_data_lost"),
        (UP, "unknown"),
        ({}, "unknown"),
    ],
)
def test_the_facts_tell_a_replicas_cause(facts: dict[str, FactValue], cause: str) -> None:
    assert best(facts) == cause


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (SILENT | {"db.data_present": False}, "primary_lost"),
        (SILENT | {"db.data_present": True}, "unknown"),
        (MASTER | {"db.idle_in_transaction": 60, "db.connections_percent": 95.0}, "connections_exhausted"),
        (MASTER | {"db.idle_in_transaction": 3, "db.connections_percent": 95.0}, "unknown"),
        (SILENT | {"db.unreachable_how": "too_many"}, "connections_full"),
        (MASTER | {"db.query_pid": 7, "db.query_started": "s", "db.query_seconds": 900.0}, "runaway_query"),
        (MASTER | {"db.query_pid": 7, "db.query_started": "s", "db.query_seconds": 9.0}, "unknown"),
        (MASTER | {"repl.dead_slot": "old", "repl.dead_slot_bytes": 10**9}, "wal_retained"),
        (MASTER | {"repl.dead_slot": "old", "repl.dead_slot_bytes": 4096}, "unknown"),
        (MASTER | peer(role="primary"), "two_primaries"),
        (MASTER, "unknown"),
    ],
)
def test_the_facts_tell_a_primarys_cause(facts: dict[str, FactValue], cause: str) -> None:
    assert best(facts, "primary") == cause


def test_facts_of_postgresql_are_no_evidence_for_another_engine() -> None:
    database = Database(engine="mariadb", cluster="orders", role="replica", port=3306, peers=("db-1",))
    other = resource("replica").model_copy(update={"database": database})
    known = Facts.of([("E1", STREAMS | {"repl.receiver_state": "stopped", "db.data_present": False})])
    assert not [cause.name for cause in postgresql.CAUSES if cause.signature(known, other)]


def test_every_cause_has_a_remedy_or_says_what_a_human_must_do_and_uses_permitted_actions() -> None:
    facts = Facts.of([("E1", STREAMS | peer(safe=True) | {"repl.blocker_pid": 1, "repl.blocker_started": "s"})])
    for cause in postgresql.CAUSES:
        assert cause.remedies or cause.human_must, cause.name
        for remedy in cause.remedies:
            used = {step.action for step in remedy.steps(resource("primary"), "x", facts)}
            assert used <= set(remedy.actions) <= set(DATABASE.actions)


def test_the_slot_of_a_declared_member_is_never_planned_to_be_dropped() -> None:
    dead = {"repl.dead_slot": "rep1", "repl.dead_slot_bytes": 10**9, "repl.dead_slot_peer": "db-2"}
    known = Facts.of([("E1", MASTER | dead)])
    cause = next(cause for cause in postgresql.CAUSES if cause.name == "wal_retained")
    assert cause.signature(known, resource("primary"))
    assert not [step for remedy in cause.remedies for step in remedy.steps(resource("primary"), "rep1", known)]


def test_a_lost_primary_is_not_replaced_where_no_replica_is_safe() -> None:
    facts = SILENT | {"db.data_present": False} | peer(safe=False, unsafe_why="it lacks 8192 bytes")
    known = Facts.of([("E1", facts)])
    cause = next(cause for cause in postgresql.CAUSES if cause.name == "primary_lost")
    match = cause.signature(known, resource("primary"))
    assert match is not None and "8192" in match.summary
    assert not cause.remedies[0].steps(resource("primary"), None, known)

"""Why a MariaDB replica is behind, or its server crowded: facts in, cause out, as a table."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agents.causes import mariadb
from agents.causes.mariadb_remedies import FAIL_OVER
from agents.database import DATABASE
from graph.facts import Facts, FactValue, fact_key
from graph.records import Resource, SshAccess
from graph.resources import Database

RESOURCE = Resource(
    id="db-2",
    kind="Database",
    address="192.0.2.2",
    ssh=SshAccess(user="ops", key_file="k", known_hosts="h"),
    services=("mariadb",),
    database=Database(
        engine="mariadb", cluster="orders", role="replica", port=3306, peers=("db-1",), max_lag_seconds=10
    ),
)
PRIMARY = {fact_key("repl.peer_accepting", peer="db-1"): True, "repl.primary": "db-1", "repl.source_declared": True}
REPLICA: dict[str, FactValue] = {"db.accepting": True, "db.role": "replica", "repl.follows": True, **PRIMARY}
RUNS = REPLICA | {
    "repl.receiving": True,
    "repl.applying": True,
    "repl.receiver": "yes",
    "repl.applier": "yes",
    "repl.lag_seconds": 0.0,
    "repl.source": "192.0.2.1:3306",
}
LOST = RUNS | {"repl.receiving": False, "repl.receiver": "connecting"}
FAILED = RUNS | {"repl.applying": False, "repl.applier": "no"}
BEHIND = RUNS | {"repl.lag_seconds": 60.0}
BLOCKER: dict[str, FactValue] = {
    "repl.blocker_pid": 17, "repl.blocker_started": "#120 192.0.2.9:40112", "repl.blocker_user": "reports",
    "repl.blocker_seconds": 61.0, "repl.waits_for_lock": True,
}  # fmt: skip
GONE = "Got fatal error 1236 from master when reading data from binary log: 'Could not find GTID state requested by"
BOGUS = "Got fatal error 1236 from master when reading data from binary log: 'bogus data in log event'"
CROWD: dict[str, FactValue] = {
    "db.accepting": True, "db.connections_percent": 98.0, "db.connections_used": 98, "db.connections_max": 100,
}  # fmt: skip
SAFE: dict[str, FactValue] = {fact_key("repl.peer_safe", peer="db-2"): True}
PRIMARY_ITSELF = RESOURCE.model_copy(
    update={
        "id": "db-1",
        "database": Database(engine="mariadb", cluster="orders", role="primary", port=3306, peers=("db-2",)),
    }
)


def best(facts: Mapping[str, FactValue], resource: Resource = RESOURCE) -> str:
    known = Facts.of([("E1", facts)])
    found = [(match.score, cause.name) for cause in DATABASE.causes if (match := cause.signature(known, resource))]
    return max(found, default=(0.0, "unknown"))[1]


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (RUNS | {"repl.receiving": False, "repl.receiver": "no", "repl.applying": False, "repl.applier": "no"},
         "replication_stopped"),
        (RUNS | {"repl.receiving": False, "repl.receiver": "no"}, "replication_stopped"),
        (FAILED, "replication_stopped"),
        (FAILED | {"repl.applier_errno": 1205, "repl.error": "Lock wait timeout exceeded"}, "replication_stopped"),
        (FAILED | {"repl.applier_errno": 1062, "repl.error": "Duplicate entry"}, "applier_failed"),
        (FAILED | {"repl.applier_errno": 1950, "repl.own_writes": True}, "applier_failed"),
        (FAILED | {"repl.applier_errno": 1062, "repl.receiver": "no", "repl.receiving": False}, "applier_failed"),
        (LOST | {"repl.receiver_errno": 1045}, "source_settings_broken"),
        (LOST | {"repl.receiver_errno": 2003, "repl.source_declared": False}, "source_settings_broken"),
        (LOST | {"repl.receiver_errno": 2005}, "source_settings_broken"),
        (LOST | {"repl.receiver_errno": 2003, "repl.primary_reachable": False}, "source_out_of_reach"),
        (LOST | {"repl.receiver_errno": 2003, "repl.primary_reachable": True}, "unknown"),
        (LOST | {"repl.receiver_errno": 1045, fact_key("repl.peer_accepting", peer="db-1"): False}, "unknown"),
        (LOST | {"repl.receiver": "no", "repl.receiver_errno": 1236, "repl.error": GONE}, "binlog_lost"),
        (LOST | {"repl.receiver": "no", "repl.receiver_errno": 1236, "repl.error": BOGUS}, "source_refuses_log"),
        (BEHIND | BLOCKER, "applier_blocked"),
        (BEHIND | {"repl.waits_for_lock": True}, "applier_blocked"),
        (BEHIND, "applier_slow"),
        (BEHIND | {fact_key("repl.peer_active", peer="db-1"): 40}, "applier_slow"),
        (RUNS | {"repl.unreceived": 25}, "receiver_stalled"),
        (RUNS | {"repl.unreceived": 1}, "unknown"),
        (RUNS, "unknown"),
        (REPLICA | {"repl.follows": False, "db.writable": False}, "source_forgotten"),
        (REPLICA | {"repl.follows": False, "db.writable": True}, "unknown"),
        ({"db.accepting": False, "db.unreachable_how": "auth"}, "database_access_refused"),
        (CROWD | {"db.idle_in_transaction": 60}, "sessions_idle"),
        (CROWD | {"db.idle_in_transaction": 3}, "unknown"),
        (CROWD | {"db.idle_in_transaction": 60, "db.connections_percent": 70.0}, "unknown"),
        ({}, "unknown"),
    ],
)  # fmt: skip
def test_the_facts_tell_the_cause(facts: dict[str, FactValue], cause: str) -> None:
    assert best(facts) == cause


def test_facts_of_another_engine_are_none_of_ours() -> None:
    database = RESOURCE.database
    assert database is not None
    other = RESOURCE.model_copy(update={"database": database.model_copy(update={"engine": "postgresql"})})
    known = Facts.of([("E1", FAILED | {"repl.applier_errno": 1062})])
    assert not [cause.name for cause in mariadb.CAUSES if cause.signature(known, other)]


def test_a_blocker_that_is_not_certain_is_not_ended() -> None:
    known = Facts.of([("E1", BEHIND | {"repl.waits_for_lock": True})])
    cause = DATABASE.cause("applier_blocked")
    assert cause is not None
    assert cause.remedies[0].steps(RESOURCE, None, known) == ()
    assert "metadata_lock_info" in cause.human_must


@pytest.mark.parametrize(("seconds", "actions"), [(3.0, ["wait", "end_idle_sessions"]), (60.0, ["end_idle_sessions"])])
def test_only_who_is_idle_for_long_is_ended(seconds: float, actions: list[str]) -> None:
    cause = DATABASE.cause("sessions_idle")
    assert cause is not None
    steps = cause.remedies[0].steps(RESOURCE, None, Facts.of([("E1", {"db.idle_seconds": seconds})]))
    assert [step.action for step in steps] == actions


@pytest.mark.parametrize("name", ["applier_failed", "binlog_lost"])
def test_lost_events_are_never_skipped_but_copied_anew(name: str) -> None:
    cause = DATABASE.cause(name)
    assert cause is not None
    steps = cause.remedies[0].steps(RESOURCE, "db-2", Facts.of([("E1", RUNS)]))
    assert [step.action for step in steps] == ["rebuild_mariadb_replica", "repoint_replica"]


@pytest.mark.parametrize(
    ("safe", "host", "actions"),
    [
        (True, "inst-1", ["fence_primary", "promote_mariadb_replica"]),
        (True, None, []),
        (False, "inst-1", []),
    ],
)
def test_a_silent_primary_is_left_only_where_it_can_be_fenced_and_a_replica_lacks_nothing(
    safe: bool, host: str | None, actions: list[str]
) -> None:
    lost: dict[str, FactValue] = {
        "db.accepting": False,
        "db.unreachable_how": "timeout",
        "host.reachable": False,
        "host.unreachable_how": "timeout",
        fact_key("repl.peer_safe", peer="db-2"): safe,
    }
    resource = PRIMARY_ITSELF.model_copy(update={"host": host})
    assert best(lost, resource) == "primary_out_of_reach"
    cause = DATABASE.cause("primary_out_of_reach")
    assert cause is not None
    steps = cause.remedies[0].steps(resource, None, Facts.of([("E1", lost)]))
    assert [step.action for step in steps] == actions
    assert all(step.params.get("by") in ("provider", None) for step in steps)


def test_every_remedy_uses_only_permitted_actions_and_says_which() -> None:
    known = Facts.of([("E1", BEHIND | BLOCKER | SAFE | {"db.idle_seconds": 3.0})])
    for cause in mariadb.CAUSES:
        assert cause.remedies or cause.human_must, cause.name
        for remedy in cause.remedies:
            beneath = PRIMARY_ITSELF.model_copy(update={"host": "inst-1"})
            resource = beneath if remedy is FAIL_OVER else RESOURCE
            used = {step.action for step in remedy.steps(resource, None, known)}
            assert used == set(remedy.actions) <= set(DATABASE.actions)


@pytest.mark.parametrize(
    ("more", "resource", "actions"),
    [
        ({}, RESOURCE, ["rebuild_mariadb_replica", "repoint_replica"]),
        (SAFE, PRIMARY_ITSELF, ["fence_primary", "promote_mariadb_replica"]),
        ({fact_key("repl.peer_safe", peer="db-2"): False}, PRIMARY_ITSELF, []),
    ],
)
def test_damaged_data_is_copied_anew_or_left_behind_but_a_primary_only_for_a_safe_replica(
    more: dict[str, FactValue], resource: Resource, actions: list[str]
) -> None:
    damaged: dict[str, FactValue] = {
        fact_key("unit.state", unit="mariadb"): "failed",
        fact_key("unit.result", unit="mariadb"): "exit-code",
        fact_key("journal.data_damaged", unit="mariadb"): True,
        "host.reachable": True,
        "repl.primary": "db-1",
    }
    assert best(damaged | more, resource) == "data_damaged"
    cause = DATABASE.cause("data_damaged")
    assert cause is not None
    steps = [remedy.steps(resource, "mariadb", Facts.of([("E1", damaged | more)])) for remedy in cause.remedies]
    assert [step.action for each in steps for step in each] == actions

"""A database is well when it is what it was declared to be and, as a replica, follows closely."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graph.records import Resource
from graph.resources import Database
from tools.clients.databases.database import DatabaseStatus, DatabaseUnreachable, ReplicationStatus
from tools.clients.databases.memory import MemoryDatabase
from tools.health_database import database_observations

PRIMARY = DatabaseStatus("primary", True, "10.11", 60.0, 5, 100)
REPLICA = replace(PRIMARY, role="replica", writable=False)
FED = ReplicationStatus(receiving=True, applying=True, lag_seconds=1.0)


def member(name: str, role: str, peer: str) -> Resource:
    database = Database.model_validate(
        {"engine": "mariadb", "cluster": "c", "role": role, "port": 3306, "peers": (peer,), "max_lag_seconds": 10}
    )
    return Resource(id=name, kind="Database", address="192.0.2.1", transport="none", database=database)


INVENTORY = {"Database/db-1": member("db-1", "primary", "db-2"), "Database/db-2": member("db-2", "replica", "db-1")}


async def seen(name: str, database: MemoryDatabase) -> dict[str, str]:
    database.engine = "mariadb"
    found = await database_observations({"mariadb": database}, INVENTORY, INVENTORY[f"Database/{name}"])
    return {item.criterion: item.status for item in found}


def world(status: DatabaseStatus | Exception = REPLICA, fed: ReplicationStatus | Exception = FED) -> MemoryDatabase:
    return MemoryDatabase(statuses={"db-1": PRIMARY, "db-2": status}, replications={"db-2": fed})


async def test_a_replica_that_follows_closely_is_well() -> None:
    assert await seen("db-2", world()) == {
        "database answers": "pass",
        "follows its primary": "pass",
        "primary db-1": "pass",
    }


@pytest.mark.parametrize(
    ("status", "fed", "answers", "follows"),
    [
        (REPLICA, replace(FED, receiving=False), "pass", "pending"),
        (REPLICA, replace(FED, applying=False), "pass", "pending"),
        (REPLICA, replace(FED, lag_seconds=11.0), "pass", "pending"),
        (REPLICA, replace(FED, lag_seconds=None), "pass", "pending"),
        (PRIMARY, FED, "fail", "pass"),
        (replace(REPLICA, connections_used=95), FED, "pending", "pass"),
        (DatabaseUnreachable("refused", "refused"), DatabaseUnreachable("refused", "refused"), "pending", "pending"),
        (DatabaseUnreachable("no", "auth"), DatabaseUnreachable("no", "auth"), "unknown", "unknown"),
    ],
)
async def test_a_replica_that_does_not_is_not(
    status: DatabaseStatus | Exception, fed: ReplicationStatus | Exception, answers: str, follows: str
) -> None:
    found = await seen("db-2", world(status, fed))
    assert (found["database answers"], found["follows its primary"]) == (answers, follows)


async def test_a_replica_without_a_source_is_not_well() -> None:
    found = await seen("db-2", MemoryDatabase(statuses={"db-1": PRIMARY, "db-2": REPLICA}))
    assert found["follows its primary"] == "pending"


async def test_a_primary_is_asked_for_itself_alone_and_is_told_beside_its_replica() -> None:
    assert await seen("db-1", world()) == {"database answers": "pass"}
    assert (await seen("db-1", MemoryDatabase(statuses={"db-1": REPLICA})))["database answers"] == "fail"
    lost = MemoryDatabase(statuses={"db-2": REPLICA}, replications={"db-2": FED})
    assert (await seen("db-2", lost))["primary db-1"] == "pending"

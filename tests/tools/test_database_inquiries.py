"""Named looks into databases: fixed statements that only read, asked of real servers."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pymysql
import pytest
from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from graph.records import Resource
from graph.resources import Database
from tests.tools import mariadb_pair, postgres_pair
from tests.tools.inquiring import ask, context, incident, inquiries, offered
from tools.clients.databases import make_databases
from tools.clients.databases.memory import MemoryDatabase
from tools.evidence import EvidenceContext
from tools.inquiries.database_view import table
from tools.inquiries.database_views import MOST_ROWS, VIEWS

CHANGES = re.compile(
    r"(?i)\b(insert|update|delete|drop|alter|create|truncate|grant|kill|call|do|lock|load|copy|vacuum|reset|start|stop|"
    r"pg_terminate_backend|pg_cancel_backend|pg_switch_wal|into|set global)\b|;"
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[postgres_pair.Pair]:
    with postgres_pair.running_pair() as pair:
        yield pair


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mariadb_pair.Pair]:
    with mariadb_pair.running_pair(tmp_path_factory.mktemp("mariadb")) as pair:
        yield pair


@pytest.fixture
def given() -> EvidenceContext:
    return context(databases=make_databases())


def member(engine: str = "mariadb") -> Resource:
    database = Database.model_validate({"engine": engine, "cluster": "c", "role": "primary", "port": 3306})
    return Resource(id="db-1", kind="Database", address="192.0.2.1", transport="none", database=database)


@pytest.mark.parametrize("engine", VIEWS)
def test_every_statement_only_reads(engine: str) -> None:
    for view in VIEWS[engine].values():  # type: ignore[index]
        for _, statement in view.statements:
            assert re.match(r"(?i)(select|show|set statement max_statement_time=\d+ for select) ", statement)
            bare = re.sub(r"'[^']*'", "''", statement)
            assert not CHANGES.search(bare.replace("SHOW REPLICA STATUS", "")), statement
            assert "%" not in statement, "nothing is put into it"


def test_only_a_database_with_a_client_is_looked_into() -> None:
    assert "database_view" not in offered(member(), context())
    assert offered(member(), context(databases={"mariadb": MemoryDatabase("mariadb")})) == [
        "host_probe",
        "database_view",
    ]
    [probe, view] = inquiries(context(databases={"mariadb": MemoryDatabase("mariadb")})).specs(incident(member()))
    assert probe.params.model_json_schema()["properties"]["probe"]["enum"] == ["database", "replication"]
    assert view.params.model_json_schema()["properties"]["view"]["enum"] == list(VIEWS["mariadb"])


def test_a_table_is_bounded_and_harmless() -> None:
    rows = [{"id": n, "name": "a|b\n```" + "x" * 300, **{f"c{i}": i for i in range(30)}} for n in range(MOST_ROWS + 1)]
    told = table(rows).splitlines()
    assert len(told) == 1 + MOST_ROWS + 1 and told[-1] == "(and more)"
    assert told[0] == "id|name|" + "|".join(f"c{i}" for i in range(8))
    assert all(line.count("|") == 9 and "```" not in line for line in told[:-1])


# -- PostgreSQL ------------------------------------------------------------------------------------------


@contextmanager
def waiting_for_a_lock(pair: postgres_pair.Pair) -> Iterator[None]:
    """One session holds a table in a transaction, another waits for it."""
    where = f"host=127.0.0.1 port={pair.primary.port} user=postgres password={postgres_pair.PASSWORD} dbname=postgres"
    with psycopg.connect(where, application_name="holder") as holder, psycopg.connect(where) as waiter:
        holder.execute("lock table t in access exclusive mode")
        waits = threading.Thread(target=lambda: waiter.execute("select count(*) from t"))
        waits.start()
        try:
            until_blocked = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
            while pair.primary.sql(until_blocked) == "0":
                time.sleep(0.05)
            yield
        finally:
            holder.rollback()
            waits.join()
            waiter.rollback()


@pytest.mark.parametrize("name", ["db-1", "db-2"])
@pytest.mark.parametrize("view", VIEWS["postgresql"])
async def test_every_view_of_postgresql_is_answered(
    postgres: postgres_pair.Pair, given: EvidenceContext, view: str, name: str
) -> None:
    found = await ask("database_view", {"view": view}, postgres.resource(name), given)
    assert found.status == "observed" and found.text
    assert "select" in found.asked and postgres_pair.PASSWORD not in found.text + found.raw


async def test_who_waits_for_whom_is_told_while_the_lock_is_held(
    postgres: postgres_pair.Pair, given: EvidenceContext
) -> None:
    resource = postgres.resource("db-1")
    assert (await ask("database_view", {"view": "locks"}, resource, given)).text == "nobody waits for a lock"
    with waiting_for_a_lock(postgres):
        locks = await ask("database_view", {"view": "locks"}, resource, given)
        assert "mode=AccessShareLock, relation=t" in locks.text and "verb=select" in locks.text
        assert "holder_state=idle in transaction" in locks.text
        opened = await ask("database_view", {"view": "transactions"}, resource, given)
        assert "|holder|idle in transaction|" in opened.text
        assert "count(" not in opened.text, "a client's statement is told by its first word alone"
        for view in VIEWS["postgresql"]:
            assert (await ask("database_view", {"view": view}, resource, given)).text, "none waits for the lock"


async def test_replication_and_settings_of_postgresql_are_told(
    postgres: postgres_pair.Pair, given: EvidenceContext
) -> None:
    primary = await ask("database_view", {"view": "replication"}, postgres.resource("db-1"), given)
    assert "name=db-2" in primary.text and "state=streaming" in primary.text and "slot=rep1" in primary.text
    replica = await ask("database_view", {"view": "replication"}, postgres.resource("db-2"), given)
    assert "own receiver:\nstatus=streaming" in replica.text
    assert (
        "max_connections|12|"
        in (await ask("database_view", {"view": "settings"}, postgres.resource("db-1"), given, 4000)).text
    )


# -- MariaDB -----------------------------------------------------------------------------------------------


@contextmanager
def waiting_for_a_row(pair: mariadb_pair.Pair) -> Iterator[None]:
    """One session holds rows in a transaction, another waits for them."""
    holds = ("BEGIN", "UPDATE shop.orders SET what = 'secret of a client'")
    with pair.primary.session(*holds), pair.primary.session() as waiter:
        waits = threading.Thread(target=_ended_by_its_server, args=(waiter,))
        waits.start()
        try:
            while not pair.primary.sql("SELECT * FROM information_schema.innodb_lock_waits"):
                time.sleep(0.05)
            yield
        finally:
            pair.primary.sql(f"KILL {waiter.thread_id()}")  # type: ignore[no-untyped-call]
            waits.join()


def _ended_by_its_server(waiter: Connection[DictCursor]) -> None:
    with contextlib.suppress(pymysql.err.Error), waiter.cursor() as cursor:
        cursor.execute("UPDATE shop.orders SET what = 'mine'")


@pytest.mark.parametrize("name", ["db-1", "db-2"])
@pytest.mark.parametrize("view", VIEWS["mariadb"])
async def test_every_view_of_mariadb_is_answered(
    mariadb: mariadb_pair.Pair, given: EvidenceContext, view: str, name: str
) -> None:
    found = await ask("database_view", {"view": view}, mariadb.resource(name), given)
    assert found.status == "observed" and found.text
    assert mariadb_pair.PASSWORD not in found.text + found.raw


async def test_a_replica_of_mariadb_tells_whom_it_follows(mariadb: mariadb_pair.Pair, given: EvidenceContext) -> None:
    found = await ask("database_view", {"view": "replication"}, mariadb.resource("db-2"), given)
    assert "Slave_IO_Running=Yes" in found.text and "Seconds_Behind_Master=" in found.text


async def test_mariadb_tells_who_waits_for_whom_and_the_tables_it_may_not_read(
    mariadb: mariadb_pair.Pair, given: EvidenceContext
) -> None:
    mariadb.write()
    resource = mariadb.resource("db-1")
    assert (await ask("database_view", {"view": "locks"}, resource, given)).text == "nobody waits for a row lock"
    with waiting_for_a_row(mariadb):
        locks = await ask("database_view", {"view": "locks"}, resource, given)
        assert "relation=`shop`.`orders`" in locks.text and "holder_does=Sleep" in locks.text
        opened = await ask("database_view", {"view": "transactions"}, resource, given)
        assert "LOCK WAIT" in opened.text and "|update" in opened.text
        assert "secret" not in opened.text + opened.raw
    tables = await ask("database_view", {"view": "tables"}, resource, given)
    assert "shop/orders|" in tables.text

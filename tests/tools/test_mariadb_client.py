"""What the client sees and says, asked of a real pair of MariaDB servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from graph.doing import on_behalf_of
from graph.ports import SentCommand
from graph.records import Resource
from tests.tools.mariadb_pair import CONNECTIONS, PASSWORD, Pair, running_pair
from tests.tools.sshd import free_port, silent_server
from tools.clients.databases.database import DatabaseUnreachable, StatementFailed
from tools.clients.databases.mariadb import MariaDbClient
from tools.clients.databases.mariadb_dialect import ORDERS, dialect_of, too_old
from tools.clients.databases.mariadb_reading import MariaDbReplication
from tools.clients.recording import Recorder


@dataclass
class Log:
    """What was put on record."""

    commands: list[str] = field(default_factory=list)

    async def sent(self, command: SentCommand) -> None:
        self.commands.append(command.command)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with running_pair(tmp_path_factory.mktemp("mariadb")) as pair:
        yield pair


@pytest.fixture
async def client() -> AsyncIterator[MariaDbClient]:
    client = MariaDbClient(Recorder())
    yield client
    await client.close()


async def followed(client: MariaDbClient, replica: Resource) -> MariaDbReplication:
    found = await client.replication(replica)
    assert found is not None
    return found


async def test_members_are_what_they_are(pair: Pair, client: MariaDbClient) -> None:
    primary, replica = [await client.status(pair.resource(name)) for name in ("db-1", "db-2")]
    assert (primary.role, primary.writable, replica.role, replica.writable) == ("primary", True, "replica", False)
    assert primary.connections_max == CONNECTIONS
    assert primary.version.startswith("10.11") or "MariaDB" in primary.version


async def test_a_healthy_replica_receives_and_applies(pair: Pair, client: MariaDbClient) -> None:
    found = await followed(client, pair.resource("db-2"))
    assert (found.receiving, found.applying, found.lag_seconds, found.lag_bytes) == (True, True, 0.0, 0)
    assert found.source == f"127.0.0.1:{pair.primary.port}"
    assert found.all_applied
    assert not found.own_writes
    assert await client.replication(pair.resource("db-1")) is None


async def test_a_wrong_password_of_the_replica_is_told_by_number(pair: Pair, client: MariaDbClient) -> None:
    pair.replica.sql("STOP REPLICA", "CHANGE MASTER TO MASTER_PASSWORD='other'", "START REPLICA")
    try:
        await asyncio.sleep(0.5)
        found = await followed(client, pair.resource("db-2"))
        assert (found.receiver, found.receiver_errno) == ("connecting", 1045)
    finally:
        pair.replica.sql("STOP REPLICA")
        pair.follow()


async def test_who_holds_the_lock_that_applying_waits_for_is_found(pair: Pair, client: MariaDbClient) -> None:
    pair.write()
    assert pair.caught_up()
    with pair.replica.session("BEGIN", "SELECT * FROM shop.orders") as holder:
        pair.primary.sql("ALTER TABLE shop.orders COMMENT 'of the shop'")
        await asyncio.sleep(1.0)
        found = await followed(client, pair.resource("db-2"))
        assert found.blocked_by is not None
        assert (found.blocked_by.id, found.blocked_by.user) == (holder.thread_id(), "app")
    assert pair.caught_up()


async def test_idle_transactions_are_told_and_one_place_is_left_for_us(pair: Pair, client: MariaDbClient) -> None:
    with ExitStack() as stack:
        for _ in range(CONNECTIONS - 1):  # the replica's own connection is another
            stack.enter_context(pair.primary.session("BEGIN", "SELECT * FROM shop.orders"))
        status = await client.status(pair.resource("db-1"))
        assert status.connections_used >= CONNECTIONS
        assert status.idle_in_transaction == CONNECTIONS - 1
        assert status.oldest_idle is not None
        assert status.oldest_idle.user == "app"


async def test_a_query_that_runs_long_is_told(pair: Pair, client: MariaDbClient) -> None:
    with pair.primary.session() as connection:
        connection._execute_command(3, "SELECT SLEEP(5)")  # type: ignore[attr-defined]
        await asyncio.sleep(1.2)
        longest = (await client.status(pair.resource("db-1"))).longest_query
        assert longest is not None
        assert (longest.what, longest.user) == ("SELECT", "app")
        assert longest.seconds >= 1


@pytest.mark.parametrize(
    ("changes", "how"),
    [({"port": 1}, "refused"), ({"user": "nobody"}, "auth"), ({"password_file": "/nowhere"}, "config")],
)
async def test_a_server_that_can_not_be_asked_says_how(
    pair: Pair, client: MariaDbClient, changes: dict[str, object], how: str
) -> None:
    changes = {name: free_port() if value == 1 else value for name, value in changes.items()}
    with pytest.raises(DatabaseUnreachable) as caught:
        await client.status(pair.resource("db-1", **changes))
    assert (caught.value.how, caught.value.sent) == (how, False)


async def test_a_server_that_says_nothing_is_not_waited_for(pair: Pair, client: MariaDbClient) -> None:
    with silent_server() as port, pytest.raises(DatabaseUnreachable) as caught:
        await client.status(pair.resource("db-1", port=port))
    assert caught.value.how == "timeout"


async def test_what_takes_longer_than_allowed_may_have_begun(pair: Pair, client: MariaDbClient) -> None:
    with pytest.raises(DatabaseUnreachable) as caught:
        await client.execute(pair.resource("db-1"), "SELECT SLEEP(8)", timeout=1)
    assert caught.value.sent


async def test_a_refused_statement_says_the_servers_number(pair: Pair, client: MariaDbClient) -> None:
    with pytest.raises(StatementFailed) as caught:
        await client.execute(pair.resource("db-1"), "SELECT * FROM shop.orders")
    assert caught.value.code == "1142"  # the healer may not read data


async def test_everything_is_on_record_before_it_is_sent_and_no_secret_is(pair: Pair) -> None:
    log = Log()
    client = MariaDbClient(Recorder(log))
    orders = ORDERS["mariadb"]
    params = ("127.0.0.1", pair.primary.port, "replicator")
    pair.primary.sql("SET GLOBAL general_log = 0")
    pair.replica.sql("SET GLOBAL log_output = 'TABLE'", "TRUNCATE mysql.general_log", "SET GLOBAL general_log = 1")
    replica = pair.resource("db-2")
    try:
        with on_behalf_of("i-1", "action"):
            await client.status(replica)
            await client.execute(replica, orders.stop)
            await client.execute(replica, orders.change_source, params)
            await client.execute(replica, orders.start)
    finally:
        rows = pair.replica.sql(
            "SET GLOBAL general_log = 0",
            "SELECT argument FROM mysql.general_log WHERE user_host LIKE 'selfheal%' AND command_type = 'Query'",
        )
        await client.close()
    arrived = [row["argument"] for row in rows]
    said = [text.decode() if isinstance(text, bytes) else str(text) for text in arrived]
    assert client.render(replica, orders.change_source, params) in log.commands
    assert PASSWORD not in " ".join(log.commands)
    # The server masks the password in its own log by other words than ours.
    changed = [text for text in said if text.startswith("CHANGE MASTER")]
    assert [text for text in said if text not in changed] == [
        text for text in log.commands if not text.startswith("CHANGE MASTER")
    ]
    assert len(changed) == 1
    assert pair.caught_up()


@pytest.mark.parametrize(
    ("engine", "version", "asks"),
    [
        ("mariadb", "5.5.5-10.11.6-MariaDB-0+deb12u1", "SHOW REPLICA STATUS"),
        ("mariadb", "10.3.39-MariaDB", "SHOW SLAVE STATUS"),
        ("mysql", "8.0.36", "SHOW REPLICA STATUS"),
        ("mysql", "5.7.44-log", "SHOW SLAVE STATUS"),
    ],
)
def test_versions_are_asked_in_their_own_words(engine: str, version: str, asks: str) -> None:
    assert dialect_of(engine, version).replica_status == asks  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("engine", "version", "why"),
    [
        ("mariadb", "10.11.6-MariaDB", None),
        ("mariadb", "10.3.39-MariaDB", "older than 10.5.1"),
        ("mysql", "5.7.44", "older than 8.0.23"),
        ("mysql", "10.11.6-MariaDB", "declared as mysql"),
    ],
)
def test_servers_that_would_not_understand_are_told_nothing(engine: str, version: str, why: str | None) -> None:
    said = too_old(engine, version)  # type: ignore[arg-type]
    assert (said is None) if why is None else (why in (said or ""))

"""What is told of a MariaDB cluster where a member is silent or can't reach its primary."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graph.facts import FactValue
from graph.fakes import FakeClock
from graph.records import Resource
from graph.resources import Database, Replication
from tests.tools.sshd import free_port, silent_server
from tools.clients.databases.database import DatabaseStatus
from tools.clients.databases.mariadb_reading import MariaDbReplication, missing
from tools.clients.databases.memory import MemoryDatabase
from tools.clients.host import HostUnreachable
from tools.clients.local import LocalHosts
from tools.clients.memory import MemoryHosts
from tools.evidence.context import EvidenceContext
from tools.evidence.log_signs import signs_in
from tools.evidence.mariadb_replication import look_at_mariadb, reach_command
from tools.health import WorldHealth, health_client

UP = DatabaseStatus("primary", True, "10.11", 60.0, 5, 100)
REPLICA = replace(UP, role="replica", writable=False)
LOST = MariaDbReplication(
    receiving=False, applying=True, source="192.0.2.1:3306", last_error="error connecting", receiver="connecting",
    applier="yes", receiver_errno=2003, source_host="192.0.2.1", source_port=3306, source_user="replicator",
    received_gtid="0-1-10", applied_gtid="0-1-10",
)  # fmt: skip


def member(name: str, role: str, peer: str, address: str) -> Resource:
    database = Database.model_validate(
        {"engine": "mariadb", "cluster": "c", "role": role, "port": 3306, "peers": (peer,),
         "replication": Replication(user="replicator")}
    )  # fmt: skip
    return Resource(id=name, kind="Database", address=address, transport="local", database=database)


INVENTORY = {
    "Database/db-1": member("db-1", "primary", "db-2", "192.0.2.1"),
    "Database/db-2": member("db-2", "replica", "db-1", "192.0.2.2"),
}


async def seen(name: str, database: MemoryDatabase, hosts: MemoryHosts) -> dict[str, FactValue]:
    database.engine = "mariadb"
    database.answers_to = {"gtid_binlog_pos": ({"logged": "0-1-15"},)}
    async with health_client() as http:
        health = WorldHealth(hosts, None, http)
        context = EvidenceContext(hosts, FakeClock(), health, inventory=INVENTORY, databases={"mariadb": database})
        return dict((await look_at_mariadb(context, INVENTORY[f"Database/{name}"])).facts)


@pytest.mark.parametrize(
    ("answer", "reachable"),
    [("open\n", True), ("shut\n", False), ("", None), (HostUnreachable("gone", "timeout"), None)],
)
async def test_the_replicas_own_host_is_asked_whether_it_reaches_the_primary(
    answer: str | Exception, reachable: bool | None
) -> None:
    world = MemoryDatabase(statuses={"db-1": UP, "db-2": REPLICA}, replications={"db-2": LOST})
    facts = await seen("db-2", world, MemoryHosts({"/dev/tcp/192.0.2.1/3306": answer}))
    assert facts.get("repl.primary_reachable") is reachable
    assert (facts["repl.source_declared"], facts["repl.unreceived"]) == (True, 5)


async def test_a_replica_that_receives_needs_no_such_question() -> None:
    hosts = MemoryHosts()
    fed = replace(LOST, receiving=True, receiver="yes")
    world = MemoryDatabase(statuses={"db-1": UP, "db-2": REPLICA}, replications={"db-2": fed})
    assert "repl.primary_reachable" not in await seen("db-2", world, hosts)
    assert hosts.ran == []


async def test_a_silent_member_is_told_with_what_its_peers_say() -> None:
    lost = replace(LOST, receiver_state="Reconnecting after a failed master event read")
    facts = await seen("db-1", MemoryDatabase(statuses={"db-2": REPLICA}, replications={"db-2": lost}), MemoryHosts())
    assert facts['repl.peer_safe{peer="db-2"}'] is True
    facts = await seen("db-1", MemoryDatabase(statuses={"db-2": REPLICA}, replications={"db-2": LOST}), MemoryHosts())
    assert facts['repl.peer_safe{peer="db-2"}'] is False
    assert "not receiving" in str(facts['repl.peer_unsafe_why{peer="db-2"}'])


async def test_a_port_is_really_tried() -> None:
    with silent_server() as port:
        result = await LocalHosts().run(INVENTORY["Database/db-2"], reach_command("127.0.0.1", port))
    assert result.stdout.strip() == "open"
    result = await LocalHosts().run(INVENTORY["Database/db-2"], reach_command("127.0.0.1", free_port()))
    assert result.stdout.strip() == "shut"


@pytest.mark.parametrize(
    ("position", "of", "lacks"),
    [
        ("0-1-10", "0-1-15", 5),
        ("0-1-15", "0-1-10", 0),
        ("0-1-10,1-3-7", "0-2-12,1-3-9", 4),
        ("", "0-1-3", 3),
        ("3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5", "0-1-3", None),
    ],
)
def test_positions_are_compared_by_domain(position: str, of: str, lacks: int | None) -> None:
    assert missing(position, of) == lacks


@pytest.mark.parametrize(
    ("said", "damaged"),
    [
        ("[ERROR] Plugin 'InnoDB' registration as a STORAGE ENGINE failed.", True),
        ("[ERROR] InnoDB: The data file './ibdata1' has the wrong space ID. It should be 0, but 0 was found", True),
        ("[Note] InnoDB: Starting shutdown...", False),
        ("[ERROR] Can't start server: Bind on TCP/IP port: Address already in use", False),
    ],
)
def test_a_server_that_can_not_open_its_data_says_so_in_its_log(said: str, damaged: bool) -> None:
    line = f"2026-11-26T15:53:21+0000 lab-2 mariadbd[129]: 2026-11-26 15:53:21 0 {said}"
    assert signs_in(line).data_damaged is damaged

"""A replica rebuilt from its primary, on a real pair: the copy, the exchange, and the way back."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.database import DATABASE
from graph.fakes import FakeClock
from graph.ports import InvalidStep
from graph.records import PlanStep, Resource, ServiceManagerAccess
from tests.tools.mariadb_pair import OPTIONS, PASSWORD, SERVER, Pair, running_pair
from tools.actions import ActionContext
from tools.actions.catalogue import Catalogue
from tools.clients.databases import make_databases
from tools.clients.local import LocalHosts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "i-1:1:0"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with running_pair(tmp_path / "pair") as pair:
        pair.primary.sql(
            "GRANT SELECT, RELOAD, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT ON *.* TO replicator@'%'",
            "CREATE PROCEDURE shop.count_orders() SELECT COUNT(*) FROM shop.orders",
        )
        pair.write(3)
        yield pair
        pair.replica.sql("SHUTDOWN")  # it runs under the manager now


def manager(pair: Pair) -> ServiceManagerAccess:
    """What runs the replica here: as small as a manager of services can be."""
    server, data = pair.replica, pair.replica.data
    run = (
        f"{SERVER} --no-defaults --user={getpass.getuser()} --datadir={data} --port={server.port} --read-only=1 "
        f"--socket={server.socket} --pid-file={pair.folder}/replica.pid --server-id=2 {' '.join(OPTIONS)}"
    )
    ping = f"mariadb --no-defaults --socket={server.socket} -u root -e"
    script = pair.folder / "ctl"
    script.write_text(
        "#!/bin/sh\ncase $3 in\n"
        f"stop) {ping} SHUTDOWN; while [ -S {server.socket} ]; do sleep 0.1; done ;;\n"
        f"start) {run} >>{pair.folder}/replica.log 2>&1 </dev/null & "
        f"until {ping} 'SELECT 1' >/dev/null 2>&1; do sleep 0.1; done ;;\n"
        "esac\n"
    )
    script.chmod(0o755)
    return ServiceManagerAccess(name="supervisord", config="/dev/null", command=str(script))


@pytest.fixture
def replica(pair: Pair) -> Resource:
    return pair.resource("db-2").model_copy(update={"service_manager": manager(pair)})


@pytest.fixture
def catalogue(pair: Pair, replica: Resource, tmp_path: Path) -> Catalogue:
    inventory = pair.inventory | {"Database/db-2": replica}
    return Catalogue(
        ActionContext(
            LocalHosts(),
            FakeClock(),
            marker_root=str(tmp_path / "claims"),
            inventory=inventory,
            databases=make_databases(),
        )
    )


async def do(catalogue: Catalogue, replica: Resource, step: PlanStep, key: str) -> PlanStep:
    step = await catalogue.complete(replica, DATABASE, step)
    assert await catalogue.precondition(replica, step) is None
    baseline = await catalogue.baseline(replica, step)
    done = await catalogue.run(replica, step, key, NOW)
    assert done.status == "succeeded", done.output
    assert (await catalogue.probe(replica, step, key, baseline)).effect == "took_effect"
    return step


async def test_a_replica_that_differs_is_rebuilt_and_the_old_data_can_be_put_back(
    pair: Pair, replica: Resource, catalogue: Catalogue, tmp_path: Path
) -> None:
    pair.replica.sql("INSERT INTO shop.orders (id, what) VALUES (5000, 'here')")
    pair.primary.sql("INSERT INTO shop.orders (id, what) VALUES (5000, 'there')")
    await asyncio.sleep(0.3)
    rebuild = await do(catalogue, replica, PlanStep(action="rebuild_mariadb_replica", params={"primary": "db-1"}), KEY)
    assert rebuild.risk == "destructive"
    assert PASSWORD not in rebuild.rendered
    assert not [name for name in os.listdir(tmp_path / "claims") if name.endswith(".cnf")], "the login is gone"
    await do(catalogue, replica, PlanStep(action="repoint_replica", params={"source": "db-1"}), "i-1:1:1")
    pair.write()
    assert pair.caught_up()
    assert pair.replica.sql("SELECT what FROM shop.orders WHERE id = 5000")[0]["what"] == "there"
    pair.replica.sql("CALL shop.count_orders()")

    assert "remove it" in (await catalogue.precondition(replica, rebuild) or "")
    assert rebuild.undo is not None
    await do(catalogue, replica, rebuild.undo, "i-1:1:0:undo")
    assert pair.replica.sql("SELECT what FROM shop.orders WHERE id = 5000")[0]["what"] == "here"


async def test_a_copy_that_is_not_complete_changes_nothing(pair: Pair, replica: Resource, catalogue: Catalogue) -> None:
    pair.primary.sql("REVOKE SELECT ON *.* FROM replicator@'%'")
    step = PlanStep(action="rebuild_mariadb_replica", params={"primary": "db-1"})
    step = await catalogue.complete(replica, DATABASE, step)
    done = await catalogue.run(replica, step, KEY, NOW)
    assert done.status == "failed"
    assert "the copy is not complete" in done.output
    assert f"{pair.replica.data.name}.before" not in os.listdir(pair.folder)
    pair.write()
    assert pair.caught_up(), "the old server runs on, and follows"


async def test_what_must_not_be_rebuilt_is_not(pair: Pair, replica: Resource, catalogue: Catalogue) -> None:
    step = PlanStep(action="rebuild_mariadb_replica", params={"primary": "db-1"})
    with pytest.raises(InvalidStep):
        await catalogue.complete(pair.resource("db-1"), DATABASE, step)
    with pytest.raises(InvalidStep, match="can't be rebuilt"):
        await catalogue.complete(pair.resource("db-2", data_dir=None), DATABASE, step)
    with pytest.raises(InvalidStep, match="may be exchanged"):
        await catalogue.complete(pair.resource("db-2", data_dir="/var/lib"), DATABASE, step)
    with pytest.raises(InvalidStep, match="the declared primary"):
        await catalogue.complete(replica, DATABASE, step.model_copy(update={"params": {"primary": "db-9"}}))
    step = await catalogue.complete(replica, DATABASE, step)
    pair.primary.sql("SET GLOBAL read_only = 1")
    assert "nothing is fed from it" in (await catalogue.precondition(replica, step) or "")
    pair.primary.sql("SET GLOBAL read_only = 0")
    pair.replica.sql("STOP REPLICA", "RESET REPLICA ALL", "SET GLOBAL read_only = 0")
    assert "is a primary now" in (await catalogue.precondition(replica, step) or "")

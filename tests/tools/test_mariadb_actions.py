"""Repairs of a MariaDB replica, made on a real pair: only on replicas, only as rendered, and told truly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from agents.database import DATABASE
from graph.facts import Facts, FactValue
from graph.fakes import FakeClock
from graph.ports import InvalidStep
from graph.records import Incident, PlanStep, Resource
from tests.tools.mariadb_pair import CONNECTIONS, PASSWORD, Pair, running_pair
from tools.actions import ActionContext
from tools.actions.catalogue import Catalogue
from tools.clients.databases import make_databases
from tools.clients.local import LocalHosts
from tools.evidence import EvidenceContext, make_sources
from tools.health import WorldHealth, health_client

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with running_pair(tmp_path_factory.mktemp("mariadb")) as pair:
        yield pair


@pytest.fixture
def catalogue(pair: Pair) -> Catalogue:
    return Catalogue(ActionContext(LocalHosts(), FakeClock(), inventory=pair.inventory, databases=make_databases()))


@pytest.fixture
async def see(pair: Pair) -> AsyncIterator[Any]:
    """Facts of the sources `database` and `replication` about a member."""
    async with health_client() as http:
        hosts = LocalHosts()
        health = WorldHealth(hosts, None, http)
        context = EvidenceContext(hosts, FakeClock(), health, inventory=pair.inventory, databases=make_databases())

        async def look(name: str) -> Facts:
            resource = pair.resource(name)
            incident = Incident(
                id="i-1", number=1, resource_kind="Database", resource_id=name, issue_types=("replication_lag",),
                alerts=(), received_at=NOW, resource=resource,
            )  # fmt: skip
            found: dict[str, FactValue] = {}
            for source in make_sources(("database", "replication"), context):
                found |= (await source.gather(incident)).facts
            return Facts.of([("E1", found)])

        yield look


def diagnosed(facts: Facts, resource: Resource) -> tuple[str, tuple[PlanStep, ...]]:
    """The likeliest cause, and the steps of its first remedy."""
    found = [(match, cause) for cause in DATABASE.causes if (match := cause.signature(facts, resource))]
    match, cause = max(found, key=lambda item: item[0].score)
    return cause.name, cause.remedies[0].steps(resource, match.target, facts) if cause.remedies else ()


async def mend(catalogue: Catalogue, resource: Resource, step: PlanStep) -> str:
    """As the nodes do: complete, check, look, run; and then ask the probe whether it took effect."""
    step = await catalogue.complete(resource, DATABASE, step)
    assert await catalogue.precondition(resource, step) is None
    baseline = await catalogue.baseline(resource, step)
    done = await catalogue.run(resource, step, "i-1:1:0", NOW)
    assert done.status == "succeeded", done.output
    for _ in range(50):
        probe = await catalogue.probe(resource, step, "i-1:1:0", baseline)
        if probe.effect == "took_effect":
            break
        await asyncio.sleep(0.1)
    return probe.effect


async def refused(catalogue: Catalogue, resource: Resource, action: str, **params: Any) -> str:
    step = await catalogue.complete(resource, DATABASE, PlanStep(action=action, params=params))
    return await catalogue.precondition(resource, step) or "not refused"


# -- each fault, seen and mended ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stopped", "thread"),
    [("STOP REPLICA", "both"), ("STOP REPLICA IO_THREAD", "receiver"), ("STOP REPLICA SQL_THREAD", "applier")],
)
async def test_replication_that_was_stopped_is_started(
    pair: Pair, catalogue: Catalogue, see: Any, stopped: str, thread: str
) -> None:
    pair.replica.sql(stopped)
    pair.write()
    cause, steps = diagnosed(await see("db-2"), pair.resource("db-2"))
    assert (cause, steps[0].params) == ("replication_stopped", {"thread": thread})
    assert await mend(catalogue, pair.resource("db-2"), steps[0]) == "took_effect"
    assert pair.caught_up()


@pytest.mark.parametrize(
    "broken",
    ["MASTER_PASSWORD='other'", "MASTER_USER='nobody'", "MASTER_HOST='127.0.0.9'", "MASTER_HOST='gone.invalid'"],
)
async def test_settings_that_lead_nowhere_are_set_as_declared(
    pair: Pair, catalogue: Catalogue, see: Any, broken: str
) -> None:
    pair.replica.sql("STOP REPLICA", f"CHANGE MASTER TO {broken}", "START REPLICA")
    pair.write()
    await asyncio.sleep(0.5)
    cause, steps = diagnosed(await see("db-2"), pair.resource("db-2"))
    assert (cause, steps[0].action, steps[0].params) == (
        "source_settings_broken",
        "repoint_replica",
        {"source": "db-1"},
    )
    assert await mend(catalogue, pair.resource("db-2"), steps[0]) == "took_effect"
    assert pair.caught_up()


async def test_a_session_that_blocks_applying_is_ended(pair: Pair, catalogue: Catalogue, see: Any) -> None:
    with pair.replica.session("BEGIN", "SELECT * FROM shop.orders") as holder:
        pair.primary.sql("ALTER TABLE shop.orders COMMENT 'of this shop'")
        await asyncio.sleep(1.5)
        cause, steps = diagnosed(await see("db-2"), pair.resource("db-2"))
        assert (cause, steps[0].action, steps[0].params["pid"]) == (
            "applier_blocked",
            "end_session",
            holder.thread_id(),
        )
        assert await mend(catalogue, pair.resource("db-2"), steps[0]) == "took_effect"
        assert pair.caught_up()


async def test_a_replica_that_differs_is_never_just_started_again(pair: Pair, catalogue: Catalogue, see: Any) -> None:
    pair.replica.sql("INSERT INTO shop.orders (id, what) VALUES (5000, 'here')")
    pair.primary.sql("INSERT INTO shop.orders (id, what) VALUES (5000, 'there')")
    await asyncio.sleep(0.5)
    try:
        cause, _ = diagnosed(await see("db-2"), pair.resource("db-2"))
        assert cause == "applier_failed"
        assert "would stop on it again" in await refused(catalogue, pair.resource("db-2"), "start_replication")
        assert "would stop on it again" in await refused(catalogue, pair.resource("db-2"), "restart_replication")
    finally:
        pair.replica.sql(
            "SET sql_log_bin = 0", "DELETE FROM shop.orders WHERE id = 5000", "STOP REPLICA", "RESET MASTER",
            "START REPLICA",
        )  # fmt: skip
    assert pair.caught_up()


async def test_idle_transactions_that_take_all_connections_are_ended(
    pair: Pair, catalogue: Catalogue, see: Any
) -> None:
    with ExitStack() as stack:
        for _ in range(CONNECTIONS - 1):
            stack.enter_context(pair.primary.session("BEGIN", "SELECT * FROM shop.orders"))
        cause, steps = diagnosed(await see("db-1"), pair.resource("db-1"))
        assert (cause, steps[-1].action) == ("sessions_idle", "end_idle_sessions")
        assert [step.action for step in steps[:-1]] in ([], ["wait"]), "young ones are waited for first"
        assert "idle inside a transaction" in await refused(
            catalogue, pair.resource("db-1"), "end_idle_sessions", min_seconds=600
        )
        await asyncio.sleep(5.2)
        step = steps[-1].model_copy(update={"params": {"min_seconds": 5}})
        assert await mend(catalogue, pair.resource("db-1"), step) == "took_effect"
        status = await make_databases()["mariadb"].status(pair.resource("db-1"))
        assert status.idle_in_transaction == 0
    assert pair.caught_up()


async def test_a_replica_is_restarted_and_shows_a_new_connection(pair: Pair, catalogue: Catalogue) -> None:
    assert await mend(catalogue, pair.resource("db-2"), PlanStep(action="restart_replication")) == "took_effect"
    assert pair.caught_up()


# -- guards ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["start_replication", "restart_replication"])
async def test_a_primary_is_never_touched_for_a_replicas_fault(pair: Pair, catalogue: Catalogue, action: str) -> None:
    assert "never touches a primary" in await refused(catalogue, pair.resource("db-1"), action)


async def test_a_replica_that_works_is_left_alone(pair: Pair, catalogue: Catalogue) -> None:
    assert pair.caught_up()
    assert "it runs" in await refused(catalogue, pair.resource("db-2"), "start_replication")
    assert "already" in await refused(catalogue, pair.resource("db-2"), "repoint_replica", source="db-1")


async def test_nothing_is_pointed_at_whom_nobody_declared(pair: Pair, catalogue: Catalogue) -> None:
    for params in ({"source": "10.6.6.6"}, {"source": "db-1", "was": "evil.example"}, {"source": "db-2"}):
        with pytest.raises(InvalidStep, match="no declared peer"):
            await catalogue.complete(pair.resource("db-2"), DATABASE, PlanStep(action="repoint_replica", params=params))


async def test_nothing_is_fed_from_a_primary_that_takes_no_writes(pair: Pair, catalogue: Catalogue) -> None:
    pair.replica.sql("STOP REPLICA", "CHANGE MASTER TO MASTER_USER='nobody'", "START REPLICA")
    pair.primary.sql("SET GLOBAL read_only = 1")
    try:
        assert "nothing is fed from it" in await refused(
            catalogue, pair.resource("db-2"), "repoint_replica", source="db-1"
        )
    finally:
        pair.primary.sql("SET GLOBAL read_only = 0")
        pair.replica.sql("STOP REPLICA")
        pair.follow()
    assert pair.caught_up()


async def test_a_session_that_has_done_something_since_is_not_ended(pair: Pair, catalogue: Catalogue) -> None:
    with pair.primary.session("BEGIN") as connection:
        seen = pair.primary.sql(
            f"SELECT CONCAT('#', query_id, ' ', host) AS started FROM information_schema.processlist "
            f"WHERE id = {connection.thread_id()}"
        )
        params = {"pid": connection.thread_id(), "started": str(seen[0]["started"])}
        step = await catalogue.complete(pair.resource("db-1"), DATABASE, PlanStep(action="end_session", params=params))
        assert await catalogue.precondition(pair.resource("db-1"), step) is None
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        assert "something else since" in (await catalogue.precondition(pair.resource("db-1"), step) or "")
        done = await catalogue.run(pair.resource("db-1"), step, "i-1:1:0", NOW)
        assert (done.status, connection.open) == ("failed", True)
        connection.ping(reconnect=False)


async def test_the_rendering_is_what_is_sent_but_for_the_secret(pair: Pair, catalogue: Catalogue) -> None:
    step = PlanStep(action="repoint_replica", params={"source": "db-1"})
    rendered = (await catalogue.complete(pair.resource("db-2"), DATABASE, step)).rendered
    assert "MASTER_HOST='127.0.0.1'" in rendered
    assert "MASTER_PASSWORD='[redacted]'" in rendered
    assert PASSWORD not in rendered

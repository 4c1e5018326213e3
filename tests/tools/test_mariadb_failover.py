"""A primary that is lost, and a replica in its place: only once fenced, and only one that lacks nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agents.database import DATABASE
from graph.fakes import FakeClock
from graph.ports import InvalidStep
from graph.records import PlanStep, ProviderAccess, Resource
from tests.tools.mariadb_pair import Pair, running_pair
from tools.actions import ActionContext
from tools.actions.catalogue import Catalogue
from tools.clients.databases import make_databases
from tools.clients.memory import MemoryHosts
from tools.clients.providers.memory import MemoryInstance, MemoryProvider

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROMOTE = PlanStep(action="promote_mariadb_replica", params={"replica": "db-2"})
FENCE = PlanStep(action="fence_primary", params={"by": "provider"})
STOPPED = "5.0 1.0\nId=mariadb.service\nLoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState={}\n"


@dataclass
class World:
    """The pair, the primary's machine at a provider, and a catalogue over both."""

    pair: Pair
    instance: MemoryInstance = field(default_factory=MemoryInstance)
    hosts: MemoryHosts = field(default_factory=MemoryHosts)
    clock: FakeClock = field(default_factory=FakeClock)
    in_cloud: bool = True

    def __post_init__(self) -> None:
        provider = MemoryProvider({"i-1": self.instance}, now=self.clock.now)
        inventory = self.pair.inventory | {"Database/db-1": self.primary}
        self.catalogue = Catalogue(
            ActionContext(self.hosts, self.clock, {"memory": provider}, inventory=inventory, databases=make_databases())
        )

    @property
    def primary(self) -> Resource:
        access = ProviderAccess(name="memory", instance_id="i-1") if self.in_cloud else ProviderAccess()
        return self.pair.resource("db-1").model_copy(update={"provider": access})

    async def refused(self, step: PlanStep) -> str:
        step = await self.catalogue.complete(self.primary, DATABASE, step)
        return await self.catalogue.precondition(self.primary, step) or "not refused"

    async def do(self, step: PlanStep) -> str:
        step = await self.catalogue.complete(self.primary, DATABASE, step)
        assert await self.catalogue.precondition(self.primary, step) is None
        baseline = await self.catalogue.baseline(self.primary, step)
        done = await self.catalogue.run(self.primary, step, "i-1:1:0", NOW)
        assert done.status == "succeeded", done.output
        return (await self.catalogue.probe(self.primary, step, "i-1:1:0", baseline)).effect


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with running_pair(tmp_path / "pair") as pair:
        pair.write(3)
        assert pair.caught_up()
        yield pair


async def test_a_lost_primary_is_fenced_and_its_replica_takes_writes(pair: Pair) -> None:
    world = World(pair)
    pair.primary.stop()
    assert "may still take writes" in await world.refused(PROMOTE)
    assert await world.do(FENCE) == "took_effect"
    assert world.instance.state == "stopped"
    assert await world.do(PROMOTE) == "took_effect"
    pair.replica.sql("INSERT INTO shop.orders (what) VALUES ('cake')")
    assert (await make_databases()["mariadb"].status(pair.resource("db-2"))).role == "primary"
    assert "follows nobody" in await world.refused(PROMOTE)
    start = await world.catalogue.complete(world.primary, DATABASE, PlanStep(action="start_instance"))
    assert "as a second" in (await world.catalogue.precondition(world.primary, start) or "")


async def test_a_primary_that_answers_is_neither_fenced_nor_replaced(pair: Pair) -> None:
    world = World(pair)
    assert "not lost" in await world.refused(FENCE)
    assert "not lost" in await world.refused(PROMOTE)


@pytest.mark.parametrize(("enabled", "fenced"), [("enabled", False), ("disabled", True)])
async def test_without_a_provider_a_service_that_would_start_again_is_not_fenced(
    pair: Pair, enabled: str, fenced: bool
) -> None:
    world = World(pair, hosts=MemoryHosts({"systemctl show": STOPPED.format(enabled)}), in_cloud=False)
    pair.primary.stop()
    by_service = FENCE.model_copy(update={"params": {"by": "service"}})
    step = await world.catalogue.complete(world.primary, DATABASE, by_service)
    assert step.rendered == "local$ systemctl disable --now mariadb.service"
    said = await world.refused(PROMOTE)
    assert said == "not refused" if fenced else "would start with its host" in said


async def test_a_silent_host_without_a_provider_is_never_believed_to_be_fenced(pair: Pair) -> None:
    world = World(pair, in_cloud=False)
    pair.primary.stop()
    assert "may still take writes" in await world.refused(PROMOTE)


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (("STOP REPLICA IO_THREAD",), "not receiving"),
        (("STOP REPLICA SQL_THREAD",), "does not apply"),
        (("INSERT INTO shop.orders (what) VALUES ('own')",), "writes of its own"),
        (("STOP REPLICA", "CHANGE MASTER TO MASTER_PASSWORD='other'", "START REPLICA"), "not receiving"),
    ],
)
async def test_a_replica_that_may_lack_something_is_never_promoted(
    pair: Pair, before: tuple[str, ...], why: str
) -> None:
    world = World(pair, MemoryInstance(state="stopped"))
    pair.replica.sql(*before)
    await asyncio.sleep(0.3)
    pair.primary.stop()
    assert why in await world.refused(PROMOTE)


@pytest.mark.parametrize(
    ("step", "on"),
    [(FENCE, "db-2"), (PROMOTE, "db-2"), (PROMOTE.model_copy(update={"params": {"replica": "db-9"}}), "db-1")],
)
async def test_only_a_declared_primary_is_replaced_and_only_by_a_declared_peer(
    pair: Pair, step: PlanStep, on: str
) -> None:
    world = World(pair)
    with pytest.raises(InvalidStep):
        await world.catalogue.complete(pair.resource(on), DATABASE, step)


async def test_a_replica_started_again_after_the_loss_proves_nothing(pair: Pair) -> None:
    world = World(pair, MemoryInstance(state="stopped"))
    pair.primary.stop()
    assert await world.refused(PROMOTE) == "not refused"
    pair.replica.sql("STOP REPLICA", "START REPLICA")
    assert "not receiving" in await world.refused(PROMOTE)


async def test_the_whole_cluster_is_leased(pair: Pair) -> None:
    world: Any = World(pair)
    touched = world.catalogue.touches(world.primary, PROMOTE)
    assert {"Database/db-1", "cluster/orders"} <= set(touched)

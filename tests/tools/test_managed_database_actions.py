"""Rebooting and promoting databases that their provider runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from agents.database import DATABASE
from graph.fakes import FakeClock
from graph.ports import InvalidStep
from graph.records import PlanStep, ProviderAccess, Resource
from graph.resources import Database, Role
from tools.actions.action import ActionContext
from tools.actions.catalogue import Catalogue
from tools.clients.memory import MemoryHosts
from tools.clients.providers.memory import MemoryProvider
from tools.clients.providers.provider import ManagedDatabaseStatus

KEY = "0190:1:0"


def database(name: str, role: Role, peer: str, **more: Any) -> Resource:
    access = ProviderAccess(name="memory", instance_id=f"orders-{name}")
    declared = Database(engine="postgresql", cluster="orders", role=role, port=5432, peers=(peer,))
    made = Resource(id=name, kind="Database", address="db", transport="none", provider=access, database=declared)
    return made.model_copy(update=more)


PRIMARY, REPLICA = database("db-1", "primary", "db-2"), database("db-2", "replica", "db-1")


@dataclass
class World:
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.known = {
            "orders-db-1": ManagedDatabaseStatus("orders-db-1", "available", replicas=("orders-db-2",)),
            "orders-db-2": ManagedDatabaseStatus("orders-db-2", "available", source="orders-db-1"),
        }
        self.provider = MemoryProvider(databases=self.known)
        inventory = {PRIMARY.key: PRIMARY, REPLICA.key: REPLICA}
        context = ActionContext(MemoryHosts(), self.clock, {"memory": self.provider}, inventory=inventory)
        self.catalogue = Catalogue(context)

    def becomes(self, name: str, **changes: Any) -> None:
        self.known[name] = replace(self.known[name], **changes)

    async def step(self, resource: Resource, action: str, **params: Any) -> PlanStep:
        return await self.catalogue.complete(resource, DATABASE, PlanStep(action=action, params=params))


@pytest.fixture
def world() -> World:
    return World()


async def test_a_managed_database_is_rebooted_once_asked_and_nobody_works_on_it(world: World) -> None:
    step = await world.step(PRIMARY, "reboot_database")
    assert (step.risk, step.rendered) == ("disruptive", "memory.reboot_database(orders-db-1, failover=False)")
    assert "cluster/orders" in world.catalogue.touches(PRIMARY, step)
    assert await world.catalogue.precondition(PRIMARY, step) is None
    assert (await world.catalogue.run(PRIMARY, step, KEY, world.clock.now())).status == "succeeded"
    world.becomes("orders-db-1", state="rebooting")
    assert "worked on already" in str(await world.catalogue.precondition(PRIMARY, step))
    assert (await world.catalogue.probe(PRIMARY, step, KEY, {})).effect == "took_effect"
    world.becomes("orders-db-1", state="available")
    assert (await world.catalogue.probe(PRIMARY, step, KEY, {})).effect == "unknown"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("available", "may still take writes"),
        ("rebooting", "may still take writes"),
        ("stopped", None),
        ("failed", None),
    ],
)
async def test_a_replica_is_promoted_only_where_its_source_can_take_no_writes(
    world: World, source: str, says: str | None
) -> None:
    world.becomes("orders-db-1", state=source)
    step = await world.step(REPLICA, "promote_database")
    assert step.risk == "destructive"
    why = await world.catalogue.precondition(REPLICA, step)
    assert (why is None) if says is None else (says in str(why))


async def test_a_promotion_is_proven_by_the_replica_having_no_source(world: World) -> None:
    world.becomes("orders-db-1", state="failed")
    step = await world.step(REPLICA, "promote_database")
    baseline = await world.catalogue.baseline(REPLICA, step)
    world.clock.advance(3600)
    assert (await world.catalogue.probe(REPLICA, step, KEY, baseline)).effect == "no_effect"
    assert (await world.catalogue.run(REPLICA, step, KEY, world.clock.now())).status == "succeeded"
    assert (await world.catalogue.probe(REPLICA, step, KEY, baseline)).effect == "took_effect"
    assert "is no replica" in str(await world.catalogue.precondition(REPLICA, step))


async def test_a_source_that_nobody_declared_cannot_be_judged(world: World) -> None:
    world.becomes("orders-db-2", source="orders-9")
    step = await world.step(REPLICA, "promote_database")
    assert "no declared peer" in str(await world.catalogue.precondition(REPLICA, step))


@pytest.mark.parametrize(
    ("resource", "action", "says"),
    [
        (PRIMARY, "promote_database", "declared a primary"),
        (PRIMARY.model_copy(update={"transport": "local"}), "reboot_database", "transport: none"),
        (PRIMARY.model_copy(update={"provider": ProviderAccess()}), "reboot_database", "no provider"),
    ],
)
async def test_what_is_not_run_by_a_provider_is_refused(
    world: World, resource: Resource, action: str, says: str
) -> None:
    with pytest.raises(InvalidStep, match=says):
        await world.step(resource, action)

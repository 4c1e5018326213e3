"""Actions through a machine's provider: what is declared, what is found, what is done, and what a probe proves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from agents.instance import INSTANCE
from graph.fakes import FakeClock
from graph.ports import ActionOutput, InvalidStep, Probe
from graph.records import HealthCheck, PlanStep, ProviderAccess, Resource
from graph.resources import Failover, Ingress, Scaling, SecurityGroup
from tests.tools.http_faults import closed_port
from tools.actions.action import ActionContext
from tools.actions.catalogue import Catalogue
from tools.clients.memory import MemoryHosts
from tools.clients.providers.memory import MemoryInstance, MemoryProvider
from tools.clients.providers.provider import (
    AddressStatus,
    CapacityStatus,
    Permission,
    ProviderError,
    SecurityGroupStatus,
    TargetStatus,
)

KEY = "0190:1:0"
RULE = Ingress(port=8080, cidr="10.0.0.0/8")
HERE = Resource(
    id="inst-1",
    kind="Instance",
    address="10.0.0.5",
    transport="local",
    provider=ProviderAccess(name="memory", instance_id="i-1"),
    scaling=Scaling(instance_types=("small", "medium", "large"), auto_scaling_group="web", max_capacity=4),
    security_groups=(SecurityGroup(id="sg-1", ingress=(RULE,)),),
    failover=Failover(to="inst-2", allocation_id="eip-1"),
)
STANDBY = Resource(
    id="inst-2",
    kind="Instance",
    address="10.0.0.6",
    transport="local",
    provider=ProviderAccess(name="memory", instance_id="i-2"),
)
BY_TARGETS = HERE.model_copy(update={"failover": Failover(to="inst-2", target_group="tg", port=8080)})
NO_CAPACITY = ProviderError("InsufficientInstanceCapacity", temporary=True)


@dataclass
class World:
    """A catalogue over a provider in memory: i-1 is the resource's, i-2 the standby's."""

    clock: FakeClock = field(default_factory=FakeClock)
    hosts: MemoryHosts = field(default_factory=lambda: MemoryHosts(up=False))

    def __post_init__(self) -> None:
        self.here = MemoryInstance(instance_type="small")
        self.standby = MemoryInstance(instance_type="small")
        self.provider = MemoryProvider(
            {"i-1": self.here, "i-2": self.standby},
            now=self.clock.now,
            groups={"sg-1": SecurityGroupStatus("sg-1", ())},
            addresses={"eip-1": AddressStatus("eip-1", "192.0.2.1", "i-1")},
            target_groups={"tg": (TargetStatus("i-1", 8080, "unhealthy"),)},
            capacities={"web": CapacityStatus("web", 1, 2, 6, 2)},
        )
        context = ActionContext(
            self.hosts, self.clock, {"memory": self.provider}, inventory={"Instance/inst-2": STANDBY}
        )
        self.catalogue = Catalogue(context)

    async def step(self, action: str, resource: Resource = HERE, **params: Any) -> PlanStep:
        return await self.catalogue.complete(resource, INSTANCE, PlanStep(action=action, params=params))

    async def run(self, step: PlanStep, resource: Resource = HERE) -> ActionOutput:
        return await self.catalogue.run(resource, step, KEY, self.clock.now())

    async def probe(self, step: PlanStep, baseline: dict[str, Any], resource: Resource = HERE) -> Probe:
        self.clock.advance(3600)
        return await self.catalogue.probe(resource, step, KEY, baseline)

    async def refused(self, action: str, resource: Resource = HERE, **params: Any) -> InvalidStep:
        with pytest.raises(InvalidStep) as caught:
            await self.step(action, resource, **params)
        return caught.value


@pytest.fixture
def world() -> World:
    return World()


# -- resize ------------------------------------------------------------------------------------------------


async def test_a_host_gets_the_next_larger_type_stopped_changed_and_started(world: World) -> None:
    step = await world.step("resize_instance", instance_type="medium")
    assert step.risk == "disruptive" and step.undo is not None and step.undo.params == {"instance_type": "small"}
    assert await world.catalogue.precondition(HERE, step) is None
    output = await world.run(step)
    assert (output.status, world.here.instance_type, world.here.state) == ("succeeded", "medium", "pending")
    assert world.provider.calls == ["stop", "set_instance_type", "start"]
    for call in ("memory.stop", "memory.set_instance_type(i-1, instance_type=medium)", "memory.start"):
        assert call in step.rendered


@pytest.mark.parametrize("wanted", ["large", "small"])
async def test_no_step_is_left_out_and_none_goes_down(world: World, wanted: str) -> None:
    if wanted == "small":
        assert "no declared type to come from" in str(await world.refused("resize_instance", instance_type="small"))
        return
    step = await world.step("resize_instance", instance_type="large")
    assert "only from medium" in str(await world.catalogue.precondition(HERE, step))


async def test_a_type_nobody_declared_is_refused(world: World) -> None:
    error = await world.refused("resize_instance", instance_type="huge")
    assert (error.field, "small, medium, large" in error.message) == ("params.instance_type", True)


async def test_a_host_that_somebody_has_stopped_is_not_resized(world: World) -> None:
    world.here.state = "stopped"
    step = await world.step("resize_instance", instance_type="medium")
    assert "is stopped, not running" in str(await world.catalogue.precondition(HERE, step))


async def test_where_the_new_type_cannot_be_had_it_is_started_as_what_it_was(world: World) -> None:
    world.provider.errors["start"] = [ProviderError("Unsupported", temporary=False)]
    step = await world.step("resize_instance", instance_type="medium")
    baseline = await world.catalogue.baseline(HERE, step)
    output = await world.run(step)
    assert (output.status, world.here.instance_type, world.here.state) == ("failed", "small", "pending")
    assert "started as small again" in output.output
    world.here.state = "running"
    found = await world.probe(step, baseline)
    assert (found.effect, found.exit_status) == ("took_effect", 1)


async def test_a_refusal_for_now_is_asked_again(world: World) -> None:
    world.provider.errors["start"] = [NO_CAPACITY, NO_CAPACITY]
    output = await world.run(await world.step("resize_instance", instance_type="medium"))
    assert (output.status, world.here.instance_type) == ("succeeded", "medium")


async def test_a_resize_that_died_half_way_is_taken_up_where_it_was_left(world: World) -> None:
    step = await world.step("resize_instance", instance_type="medium")
    baseline = await world.catalogue.baseline(HERE, step)
    world.here.state = "stopped"
    assert (await world.probe(step, baseline)).effect == "no_effect"
    assert (await world.run(step)).status == "succeeded"
    assert world.provider.calls == ["set_instance_type", "start"]
    assert (await world.probe(step, baseline)).effect == "took_effect"


async def test_a_resize_is_taken_back_by_its_undo(world: World) -> None:
    step = await world.step("resize_instance", instance_type="medium")
    world.here.instance_type = "medium"
    assert step.undo is not None and step.undo.risk == "destructive"
    assert await world.catalogue.precondition(HERE, step.undo) is None
    await world.run(step.undo)
    assert world.here.instance_type == "small"


# -- capacity ----------------------------------------------------------------------------------------------


async def test_instances_are_added_and_set_back(world: World) -> None:
    step = await world.step("add_instances", present=2, desired=3)
    assert step.rendered == "memory.set_capacity(i-1, group=web, desired=3)"
    assert "scaling/web" in world.catalogue.touches(HERE, step)
    assert await world.catalogue.precondition(HERE, step) is None
    baseline = await world.catalogue.baseline(HERE, step)
    assert (await world.probe(step, baseline)).effect == "no_effect"
    assert (await world.run(step)).status == "succeeded"
    assert (await world.probe(step, baseline)).effect == "took_effect"
    assert step.undo is not None and await world.catalogue.precondition(HERE, step.undo) is None
    await world.run(step.undo)
    assert world.provider.capacities["web"].desired == 2


@pytest.mark.parametrize(
    ("present", "desired", "says"),
    [
        (4, 5, "4 instances at most"),
        (2, 2, "at most as many again"),
        (3, 2, "at most"),
        (1, 3, "at most as many again"),
    ],
)
async def test_capacity_stays_within_what_is_declared(world: World, present: int, desired: int, says: str) -> None:
    assert says in (await world.refused("add_instances", present=present, desired=desired)).message


async def test_a_group_that_has_changed_meanwhile_is_left_alone(world: World) -> None:
    step = await world.step("add_instances", present=3, desired=4)
    assert "changed meanwhile" in str(await world.catalogue.precondition(HERE, step))


async def test_the_groups_own_limits_hold(world: World) -> None:
    world.provider.capacities["web"] = CapacityStatus("web", 1, 2, 2, 2)
    step = await world.step("add_instances", present=2, desired=3)
    assert "by its own limits" in str(await world.catalogue.precondition(HERE, step))


# -- security groups -----------------------------------------------------------------------------------------


async def test_a_declared_rule_that_is_missing_is_added_and_can_be_removed(world: World) -> None:
    step = await world.step("allow_ingress", group_id="sg-1", port=8080, cidr="10.0.0.0/8")
    assert step.risk == "low" and "security-group/sg-1" in world.catalogue.touches(HERE, step)
    assert await world.catalogue.precondition(HERE, step) is None
    baseline = await world.catalogue.baseline(HERE, step)
    assert baseline["allowed"] is False
    assert (await world.run(step)).status == "succeeded"
    assert (await world.probe(step, baseline)).effect == "took_effect"
    assert "allows tcp/8080" in str(await world.catalogue.precondition(HERE, step))
    assert step.undo is not None and await world.catalogue.precondition(HERE, step.undo) is None
    await world.run(step.undo)
    assert world.provider.groups["sg-1"].ingress == ()


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({"group_id": "sg-2", "port": 8080, "cidr": "10.0.0.0/8"}, "params.group_id"),
        ({"group_id": "sg-1", "port": 22, "cidr": "10.0.0.0/8"}, "params.port"),
        ({"group_id": "sg-1", "port": 8080, "cidr": "0.0.0.0/0"}, "params.port"),
        ({"group_id": "sg-1", "port": 8080, "cidr": "10.0.0.0/8", "protocol": "udp"}, "params.port"),
    ],
)
async def test_nothing_but_what_is_declared_is_let_in(world: World, params: dict[str, Any], where: str) -> None:
    assert (await world.refused("allow_ingress", **params)).field == where


async def test_a_wider_rule_is_as_good(world: World) -> None:
    world.provider.groups["sg-1"] = SecurityGroupStatus("sg-1", (Permission("all", 0, 65535, "0.0.0.0/0"),))
    step = await world.step("allow_ingress", group_id="sg-1", port=8080, cidr="10.0.0.0/8")
    assert "as it is" in str(await world.catalogue.precondition(HERE, step))


# -- failing over --------------------------------------------------------------------------------------------


async def test_traffic_is_moved_to_the_standby_by_the_floating_address(world: World) -> None:
    step = await world.step("fail_over")
    assert (step.risk, step.judged_by) == ("disruptive", "traffic")
    assert step.rendered == "memory.move_address(i-1, allocation_id=eip-1, to_instance=i-2)"
    assert "host/inst-2" in world.catalogue.touches(HERE, step)
    assert await world.catalogue.precondition(HERE, step) is None
    baseline = await world.catalogue.baseline(HERE, step)
    assert baseline["served_by"] == ["i-1"]
    assert (await world.run(step)).status == "succeeded"
    assert world.provider.addresses["eip-1"].instance_id == "i-2"
    assert (await world.probe(step, baseline)).effect == "took_effect"
    assert "nothing to move away" in str(await world.catalogue.precondition(HERE, step))


async def test_traffic_is_moved_by_targets_the_new_one_first(world: World) -> None:
    step = await world.step("fail_over", BY_TARGETS)
    assert await world.catalogue.precondition(BY_TARGETS, step) is None
    assert (await world.run(step, BY_TARGETS)).status == "succeeded"
    assert world.provider.calls == ["register_target", "deregister_target"]
    assert [target.instance_id for target in world.provider.target_groups["tg"]] == ["i-2"]


async def test_half_moved_targets_are_unknown_and_done_with_when_run_again(world: World) -> None:
    world.provider.errors["deregister_target"] = [ProviderError("InternalError", temporary=True, sent=True)]
    step = await world.step("fail_over", BY_TARGETS)
    baseline = await world.catalogue.baseline(BY_TARGETS, step)
    assert (await world.run(step, BY_TARGETS)).status == "unknown"
    assert (await world.probe(step, baseline, BY_TARGETS)).effect == "no_effect"
    assert (await world.run(step, BY_TARGETS)).status == "succeeded"
    assert (await world.probe(step, baseline, BY_TARGETS)).effect == "took_effect"


@pytest.mark.parametrize(
    ("state", "check", "says"), [("stopped", "ok", "is stopped"), ("running", "impaired", "impaired")]
)
async def test_traffic_is_not_moved_to_a_standby_that_is_not_fit(
    world: World, state: Any, check: Any, says: str
) -> None:
    world.standby.state, world.standby.check = state, check
    step = await world.step("fail_over")
    assert says in str(await world.catalogue.precondition(HERE, step))


async def test_traffic_is_not_moved_to_a_standby_that_does_not_answer_itself() -> None:
    world = World()
    silent = STANDBY.model_copy(update={"health": (HealthCheck(tcp=f"127.0.0.1:{closed_port()}"),)})
    context = ActionContext(world.hosts, world.clock, {"memory": world.provider}, inventory={"Instance/inst-2": silent})
    world.catalogue = Catalogue(context)
    step = await world.step("fail_over")
    assert "does not answer itself" in str(await world.catalogue.precondition(HERE, step))


async def test_the_traffic_of_what_answers_stays(world: World) -> None:
    world.hosts.up = True
    async with listening() as address:
        well = HERE.model_copy(update={"health": (HealthCheck(tcp=address),)})
        step = await world.step("fail_over", well)
        assert "its traffic stays" in str(await world.catalogue.precondition(well, step))


async def test_traffic_is_moved_back_only_to_what_answers(world: World) -> None:
    step = await world.step("fail_over")
    await world.run(step)
    assert step.undo is not None
    assert "the traffic stays there" in str(await world.catalogue.precondition(HERE, step.undo))
    world.hosts.up = True
    assert await world.catalogue.precondition(HERE, step.undo) is None
    await world.run(step.undo)
    assert world.provider.addresses["eip-1"].instance_id == "i-1"


@pytest.mark.parametrize(
    ("failover", "says"),
    [(None, "declares no failover"), (Failover(to="inst-9", allocation_id="eip-1"), "not declared")],
)
async def test_without_a_declared_standby_there_is_nowhere_to_go(world: World, failover: Any, says: str) -> None:
    assert says in (await world.refused("fail_over", HERE.model_copy(update={"failover": failover}))).message


@asynccontextmanager
async def listening() -> AsyncIterator[str]:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

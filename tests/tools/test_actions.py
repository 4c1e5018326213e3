"""Actions: only what is declared, exactly as rendered, and the truth about what became of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.instance import INSTANCE
from graph.fakes import FakeClock
from graph.ports import Clock, InvalidStep, PermanentError
from graph.records import PlanStep, ProviderAccess, Resource, SshAccess
from tests.tools.supervised import Supervisor, running_supervisord
from tools.actions import CATALOG, ActionContext
from tools.actions.catalogue import Catalogue
from tools.actions.claims import marker_name
from tools.clients.host import CommandResult, HostUnreachable
from tools.clients.local import LocalHosts
from tools.clients.providers.memory import MemoryInstance, MemoryProvider
from tools.clients.providers.provider import ProviderError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "incident-1:1:0"

ACCESS = SshAccess(user="selfheal", key_file="k", known_hosts="h")
BY_SSH = Resource(id="inst-1", kind="Instance", address="10.0.0.5", ssh=ACCESS, services=("nginx", "shop@1"))
IN_CLOUD = BY_SSH.model_copy(update={"provider": ProviderAccess(name="memory", instance_id="i-1")})


@dataclass
class FakeHosts:
    """Hosts that say what a test has them say; None or an exception for one that cannot be reached."""

    says: Callable[[str], str | Exception | None] = field(default=lambda _command: None)
    greets: bool = False
    commands: list[str] = field(default_factory=list)

    async def run(self, resource: Resource, command: str, timeout: float = 10.0) -> CommandResult:
        self.commands.append(command)
        said = self.says(command)
        if said is None:
            raise HostUnreachable(f"{resource.address}: accepts connections, but SSH does not answer", "timeout")
        if isinstance(said, Exception):
            raise said
        return CommandResult(command, 0, said, "", 0.0)

    async def answers(self, resource: Resource, timeout: float = 2.0) -> bool:
        return self.greets

    async def close(self) -> None: ...


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class World:
    """A catalogue over fakes."""

    hosts: FakeHosts = field(default_factory=FakeHosts)
    clock: FakeClock = field(default_factory=FakeClock)
    instance: MemoryInstance = field(default_factory=MemoryInstance)

    def __post_init__(self) -> None:
        self.provider = MemoryProvider({"i-1": self.instance}, now=self.clock.now)
        self.catalogue = Catalogue(ActionContext(self.hosts, self.clock, {"memory": self.provider}))

    async def step(self, action: str, resource: Resource = IN_CLOUD, **params: Any) -> PlanStep:
        return await self.catalogue.complete(resource, INSTANCE, PlanStep(action=action, params=params))

    def boots(self, boot_id: str, age: float) -> None:
        """The host answers, in this boot."""
        stat = "1 (systemd) S " + " ".join(["0"] * 18) + " 500 0"
        self.hosts.says = lambda _command: f"{boot_id}\n{age + 5.0} 1.0\n100\n{stat}\n"


@pytest.fixture
def world() -> World:
    return World()


# -- only what is declared ---------------------------------------------------------------------------


async def invalid(world: World, step: PlanStep, resource: Resource = IN_CLOUD) -> InvalidStep:
    with pytest.raises(InvalidStep) as caught:
        await world.catalogue.complete(resource, INSTANCE, step)
    return caught.value


async def test_an_action_nobody_declared_is_refused_with_what_there_is(world: World) -> None:
    error = await invalid(world, PlanStep(action="run_shell", params={"command": "rm -rf /"}))
    assert error.field == "action"
    assert "restart_service" in error.message


async def test_an_action_the_kind_does_not_permit_is_refused_though_it_is_catalogued(world: World) -> None:
    kind = replace(INSTANCE, actions=("wait",))
    with pytest.raises(InvalidStep) as caught:
        await world.catalogue.complete(IN_CLOUD, kind, PlanStep(action="hard_reboot"))
    assert (caught.value.field, caught.value.message.endswith("allowed: wait")) == ("action", True)


@pytest.mark.parametrize(
    ("action", "params", "field_name", "says"),
    [
        ("restart_service", {"unit": "sshd"}, "params.unit", "declared: nginx, shop@1"),
        ("restart_service", {"unit": "nginx; reboot"}, "params.unit", "not a unit name"),
        ("restart_service", {"unit": None}, "params.unit", "one of the resource's declared services"),
        ("restart_service", {}, "params.unit", "Field required"),
        ("restart_service", {"unit": "nginx", "force": True}, "params.force", "not permitted"),
        ("start_service", {"unit": ["nginx"]}, "params.unit", "valid string"),
        ("wait", {"seconds": 901}, "params.seconds", "1 to 900"),
        ("wait", {"seconds": 5, "until": "forever"}, "params.until", "answers or elapsed"),
        ("soft_reboot", {"now": True}, "params.now", "no params"),
    ],
)
async def test_params_that_are_not_allowed_are_refused_naming_the_field(
    world: World, action: str, params: dict[str, Any], field_name: str, says: str
) -> None:
    error = await invalid(world, PlanStep(action=action, params=params))
    assert error.field == field_name
    assert says in error.message


async def test_params_get_one_form_so_that_equal_plans_have_equal_fingerprints(world: World) -> None:
    steps = [await world.step("restart_service", unit=unit) for unit in ("nginx", "nginx.service")]
    assert steps[0] == steps[1]
    assert steps[0].params == {"unit": "nginx"}
    assert (await world.step("wait", seconds=30)).params == {"seconds": 30, "until": "answers"}


async def test_what_a_model_says_of_rendering_risk_and_undo_is_not_believed(world: World) -> None:
    undo = PlanStep(action="wait", params={"seconds": 1})
    draft = PlanStep(action="hard_reboot", rendered="harmless", risk="read_only", undo=undo, why="w", expect="e")
    step = await world.catalogue.complete(IN_CLOUD, INSTANCE, draft)
    assert (step.risk, step.undo, step.why, step.expect) == ("destructive", None, "w", "e")
    assert step.rendered == "memory.force_stop(i-1); once stopped: memory.start(i-1)"


@pytest.mark.parametrize("action", ["hard_reboot", "start_instance"])
async def test_actions_of_a_provider_are_refused_where_there_is_none(world: World, action: str) -> None:
    error = await invalid(world, PlanStep(action=action), BY_SSH)
    assert error.field == "action"
    assert "has no provider" in error.message


async def test_a_provider_that_is_not_configured_is_named(world: World) -> None:
    elsewhere = IN_CLOUD.model_copy(update={"provider": ProviderAccess(name="ec2", instance_id="i-1")})
    assert "known providers: memory" in (await invalid(world, PlanStep(action="start_instance"), elsewhere)).message


async def test_the_machine_we_run_on_is_not_rebooted(world: World) -> None:
    here = BY_SSH.model_copy(update={"transport": "local"})
    assert "the machine we run on" in (await invalid(world, PlanStep(action="soft_reboot"), here)).message


def test_every_action_is_catalogued_once_and_says_what_it_is() -> None:
    names = [action.spec.name for action in CATALOG]
    assert len(names) == len(set(names))
    assert set(INSTANCE.actions) <= set(names)
    assert all(action.spec.summary and action.spec.deadline_seconds > 0 for action in CATALOG)
    assert {action.spec.name: action.spec.risk for action in CATALOG}["hard_reboot"] == "destructive"


def test_a_name_that_is_not_catalogued_is_an_error_with_what_there_is(world: World) -> None:
    with pytest.raises(PermanentError, match="restart_service"):
        world.catalogue.spec("nope")
    assert [spec.name for spec in world.catalogue.specs(INSTANCE)] == list(INSTANCE.actions)


# -- at the moment of running ------------------------------------------------------------------------


async def test_a_resource_that_changed_since_the_plan_is_not_touched(world: World) -> None:
    step = await world.step("restart_service", unit="nginx")
    moved = IN_CLOUD.model_copy(update={"address": "10.0.0.99"})
    assert "has changed since the plan" in (await world.catalogue.precondition(moved, step) or "")
    assert (await world.catalogue.run(moved, step, KEY, NOW)).status == "failed"
    assert world.hosts.commands == []


async def test_a_host_that_cannot_be_asked_is_not_acted_on(world: World) -> None:
    step = await world.step("restart_service", unit="nginx")
    assert "SSH does not answer" in (await world.catalogue.precondition(IN_CLOUD, step) or "")
    assert await world.catalogue.baseline(IN_CLOUD, step) == {
        "boot": None,
        "boot_unknown": "10.0.0.5: accepts connections, but SSH does not answer",
        "at": NOW.isoformat(),
        "state": None,
        "run": None,
        "state_unknown": "10.0.0.5: accepts connections, but SSH does not answer",
    }


@pytest.mark.parametrize(("sent", "status"), [(True, "unknown"), (False, "failed")])
async def test_a_connection_that_fails_is_unknown_only_where_it_may_have_begun(
    world: World, sent: bool, status: str
) -> None:
    step = await world.step("restart_service", unit="nginx")
    world.hosts.says = lambda _command: HostUnreachable("the connection was cut", "closed", sent=sent)
    output = await world.catalogue.run(IN_CLOUD, step, KEY, NOW)
    assert output.status == status
    assert "the connection was cut" in output.output


@pytest.mark.parametrize(("sent", "status"), [(True, "unknown"), (False, "failed")])
async def test_a_provider_that_fails_is_unknown_only_where_it_may_have_begun(
    world: World, sent: bool, status: str
) -> None:
    step = await world.step("soft_reboot")
    world.provider.errors["soft_reboot"] = [ProviderError("read timeout", temporary=True, sent=sent)]
    assert (await world.catalogue.run(IN_CLOUD, step, KEY, NOW)).status == status


async def test_a_probe_of_a_host_that_cannot_be_reached_is_unknown(world: World) -> None:
    for step in (await world.step("restart_service", unit="nginx"), await world.step("soft_reboot")):
        baseline = await world.catalogue.baseline(IN_CLOUD, step)
        assert (await world.catalogue.probe(IN_CLOUD, step, KEY, baseline)).effect == "unknown"


# -- reboots -----------------------------------------------------------------------------------------


async def test_a_reboot_goes_through_the_provider_where_there_is_one(world: World) -> None:
    step = await world.step("soft_reboot")
    assert step.rendered == "memory.soft_reboot(i-1)"
    assert await world.catalogue.precondition(IN_CLOUD, step) is None
    assert (await world.catalogue.run(IN_CLOUD, step, KEY, NOW)).status == "succeeded"
    assert world.provider.calls == ["soft_reboot"]
    assert world.hosts.commands == []


async def test_a_reboot_goes_over_ssh_only_for_a_host_that_answers(world: World) -> None:
    step = await world.step("soft_reboot", BY_SSH)
    assert step.rendered == "selfheal@10.0.0.5:22$ sudo -n systemctl reboot"
    assert "does not answer over SSH" in (await world.catalogue.precondition(BY_SSH, step) or "")
    world.boots("a", 1000)
    assert await world.catalogue.precondition(BY_SSH, step) is None


@pytest.mark.parametrize(
    ("before", "after", "age", "passed", "effect"),
    [
        ("a", "b", 10, 60, "took_effect"),
        ("a", "a", 1000, 60, "no_effect"),
        ("a", "a", 1000, 5, "unknown"),
        (None, "b", 10, 60, "took_effect"),
        (None, "b", 1000, 60, "no_effect"),
        (None, "b", 62, 60, "unknown"),
        (None, "b", 1000, 5, "unknown"),
    ],
)
async def test_a_boot_tells_whether_a_reboot_took_place(
    world: World, before: str | None, after: str, age: float, passed: float, effect: str
) -> None:
    step = await world.step("soft_reboot")
    if before:
        world.boots(before, 900)
    baseline = await world.catalogue.baseline(IN_CLOUD, step)
    world.clock.advance(passed)
    world.boots(after, age)
    assert (await world.catalogue.probe(IN_CLOUD, step, KEY, baseline)).effect == effect


async def test_a_hard_reboot_stops_waits_and_starts(world: World) -> None:
    world.provider.looks = 3
    step = await world.step("hard_reboot")
    assert await world.catalogue.precondition(IN_CLOUD, step) is None
    output = await world.catalogue.run(IN_CLOUD, step, KEY, NOW)
    assert output.status == "succeeded"
    assert world.provider.calls == ["force_stop", "start"]
    assert world.instance.launched_at > NOW


async def test_a_hard_reboot_that_died_between_stop_and_start_is_taken_up_and_only_starts(world: World) -> None:
    step = await world.step("hard_reboot")
    baseline = await world.catalogue.baseline(IN_CLOUD, step)
    await world.provider.stop(IN_CLOUD, force=True)
    world.instance.state, world.instance.looks = "stopped", 0
    early = await world.catalogue.probe(IN_CLOUD, step, KEY, baseline)
    world.clock.advance(200)
    probe = await world.catalogue.probe(IN_CLOUD, step, KEY, baseline)
    assert (early.effect, probe.effect) == ("unknown", "no_effect")
    assert "only starts it" in probe.observed
    assert (await world.catalogue.run(IN_CLOUD, step, KEY, world.clock.now())).status == "succeeded"
    assert world.provider.calls == ["force_stop", "start"]
    assert (await world.catalogue.probe(IN_CLOUD, step, KEY, baseline)).effect == "took_effect"


async def test_a_worker_that_wakes_after_its_deadline_stops_nothing(world: World) -> None:
    step = await world.step("hard_reboot")
    world.clock.advance(600)
    assert (await world.catalogue.run(IN_CLOUD, step, KEY, NOW)).status == "failed"
    assert world.provider.calls == []


async def test_a_stop_that_takes_longer_than_the_deadline_is_unknown_and_starts_nothing(world: World) -> None:
    world.provider.looks = 10_000
    step = await world.step("hard_reboot")
    output = await world.catalogue.run(IN_CLOUD, step, KEY, NOW)
    assert (output.status, world.provider.calls) == ("unknown", ["force_stop"])
    assert "still stopping" in output.output


async def test_a_provider_that_falters_between_stop_and_start_is_asked_again(world: World) -> None:
    step = await world.step("hard_reboot")
    passing = ProviderError("RequestLimitExceeded", temporary=True)
    world.provider.errors["start"] = [passing, passing]
    assert (await world.catalogue.run(IN_CLOUD, step, KEY, NOW)).status == "succeeded"
    world.instance.state = "running"
    world.provider.errors["start"] = [ProviderError("UnauthorizedOperation", temporary=False)]
    output = await world.catalogue.run(IN_CLOUD, step, KEY, world.clock.now())
    assert output.status == "failed"
    assert "it is stopped now" in output.output


async def test_an_instance_somebody_stopped_is_not_rebooted_but_may_be_started(world: World) -> None:
    hard, soft, start = [await world.step(name) for name in ("hard_reboot", "soft_reboot", "start_instance")]
    assert "is running, not stopped" in (await world.catalogue.precondition(IN_CLOUD, start) or "")
    world.instance.state = "stopped"
    assert "is stopped, not running" in (await world.catalogue.precondition(IN_CLOUD, hard) or "")
    assert "is stopped, not running" in (await world.catalogue.precondition(IN_CLOUD, soft) or "")
    assert await world.catalogue.precondition(IN_CLOUD, start) is None


async def test_a_started_instance_is_proven_by_its_state(world: World) -> None:
    world.instance.state = "stopped"
    step = await world.step("start_instance")
    baseline = await world.catalogue.baseline(IN_CLOUD, step)
    assert (await world.catalogue.probe(IN_CLOUD, step, KEY, baseline)).effect == "unknown"
    world.clock.advance(60)
    assert (await world.catalogue.probe(IN_CLOUD, step, KEY, baseline)).effect == "no_effect"
    await world.catalogue.run(IN_CLOUD, step, KEY, NOW)
    assert (await world.catalogue.probe(IN_CLOUD, step, KEY, baseline)).effect == "took_effect"
    world.instance.state = "terminated"
    assert (await world.catalogue.probe(IN_CLOUD, step, KEY, baseline)).effect == "unknown"


# -- waiting -----------------------------------------------------------------------------------------


async def test_waiting_looks_again_every_two_seconds_until_the_host_answers(world: World) -> None:
    step = await world.step("wait", seconds=60)
    first = await world.catalogue.run(IN_CLOUD, step, KEY, NOW)
    assert (first.status, first.look_again_at) == ("pending", NOW + timedelta(seconds=2))
    world.clock.advance(14)
    world.hosts.greets = True
    done = await world.catalogue.run(IN_CLOUD, step, KEY, NOW)
    assert (done.status, done.output) == ("succeeded", "10.0.0.5 answers, after 14 s")


async def test_waiting_ends_when_its_time_is_over_and_says_which(world: World) -> None:
    step = await world.step("wait", seconds=60)
    world.clock.advance(59)
    last = await world.catalogue.run(IN_CLOUD, step, KEY, NOW)
    assert last.look_again_at == NOW + timedelta(seconds=60)
    world.clock.advance(1)
    over = await world.catalogue.run(IN_CLOUD, step, KEY, NOW)
    assert (over.status, over.output) == ("succeeded", "60 s are over, and 10.0.0.5 still does not answer")


async def test_waiting_for_a_time_does_not_ask_the_host(world: World) -> None:
    world.hosts.greets = True
    step = await world.step("wait", seconds=60, until="elapsed")
    first = await world.catalogue.run(IN_CLOUD, step, KEY, NOW)
    assert (first.status, first.look_again_at) == ("pending", NOW + timedelta(seconds=60))
    assert step.risk == "read_only"


# -- services, on a real supervisord -----------------------------------------------------------------


@pytest.fixture(scope="module")
def supervisor() -> Iterator[Supervisor]:
    with running_supervisord() as running:
        yield running


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Catalogue]:
    clock: Clock = WallClock()
    yield Catalogue(ActionContext(LocalHosts(), clock, marker_root=str(tmp_path / "marks")))


async def completed(catalogue: Catalogue, resource: Resource, action: str, unit: str) -> PlanStep:
    return await catalogue.complete(resource, INSTANCE, PlanStep(action=action, params={"unit": unit}))


async def test_a_restart_really_restarts_and_the_probe_proves_it(supervisor: Supervisor, real: Catalogue) -> None:
    resource = supervisor.resource()
    step = await completed(real, resource, "restart_service", "web")
    assert step.rendered.startswith("local$ ") and step.rendered.endswith("restart web")
    before = supervisor.pid("web")
    assert await real.precondition(resource, step) is None
    baseline = await real.baseline(resource, step)
    assert (await real.probe(resource, step, KEY, baseline)).effect == "no_effect"
    output = await real.run(resource, step, KEY, NOW)
    assert output.status == "succeeded", output
    assert supervisor.pid("web") not in (before, 0)
    assert (await real.probe(resource, step, KEY, baseline)).effect == "took_effect"


async def test_a_start_refuses_what_runs_and_starts_what_was_killed(supervisor: Supervisor, real: Catalogue) -> None:
    resource = supervisor.resource()
    supervisor.ctl("start", "web")
    step = await completed(real, resource, "start_service", "web")
    assert await real.precondition(resource, step) == "web is already running: nothing to start"
    os.kill(supervisor.pid("web"), signal.SIGKILL)
    for _ in range(50):
        if await real.precondition(resource, step) is None:
            break
    assert (await real.run(resource, step, KEY, NOW)).status == "succeeded"
    assert supervisor.pid("web")


async def test_a_unit_the_manager_does_not_know_is_refused(supervisor: Supervisor, real: Catalogue) -> None:
    resource = supervisor.resource()
    step = await completed(real, resource, "restart_service", "nope")
    assert "not known to supervisord" in (await real.precondition(resource, step) or "")


async def test_a_restart_that_does_not_come_up_is_failed_with_the_managers_words(
    supervisor: Supervisor, real: Catalogue
) -> None:
    resource = supervisor.resource()
    output = await real.run(resource, await completed(real, resource, "restart_service", "bad"), KEY, NOW)
    assert output.status == "failed"
    assert "spawn error" in output.output


async def test_a_run_that_left_no_exit_status_is_proven_by_the_units_new_run(
    supervisor: Supervisor, real: Catalogue, tmp_path: Path
) -> None:
    resource = supervisor.resource()
    supervisor.ctl("start", "web")
    step = await completed(real, resource, "restart_service", "web")
    baseline = await real.baseline(resource, step)
    # As left by a host that lost power in the middle.
    (tmp_path / "marks" / marker_name(KEY)).mkdir(parents=True)
    assert (await real.probe(resource, step, KEY, baseline)).effect == "unknown"
    supervisor.ctl("restart", "web")
    probe = await real.probe(resource, step, KEY, baseline)
    assert (probe.effect, "in a new run since" in probe.observed) == ("took_effect", True)


async def test_two_workers_restart_once(supervisor: Supervisor, real: Catalogue) -> None:
    resource = supervisor.resource()
    supervisor.ctl("start", "web")
    step = await completed(real, resource, "restart_service", "web")
    log = supervisor.folder / "log"
    spawned = log.read_text().count("spawned: 'web'")
    outputs = await asyncio.gather(*(real.run(resource, step, KEY, NOW) for _ in range(2)))
    assert sorted(output.status for output in outputs) == ["succeeded", "unknown"]
    assert log.read_text().count("spawned: 'web'") == spawned + 1

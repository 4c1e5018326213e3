"""The fleet's budget where it is kept: in the one transaction that begins a side effect, for all workers there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agents.instance import INSTANCE
from agents.legs import Finished, LegEnd, Resting
from graph.ports import Entry, Hold, JournalRequest, Refusal, Started
from graph.records import ActionResult, Alert, AlertGroup, Outcome, OutcomeStatus
from graph.rules.budget import FleetLimits, GroupLimits
from graph.rules.classify import Placed, place
from server.store import Conflict, Failed, FleetRules, Store
from tests.server.world import RESOURCE, World, alert, plan

WEB = tuple(RESOURCE.model_copy(update={"id": f"web-{n}", "group": "web"}) for n in range(1, 9))
LONE = RESOURCE.model_copy(update={"id": "lone"})
KNOWN = {("Instance", resource.id): resource for resource in (*WEB, LONE)}
FOUR = FleetLimits(machines={"web": 4})


def placing(alert: Alert) -> Placed:
    return place(alert, {"Instance": INSTANCE}, KNOWN)


@dataclass
class Fleet(World):
    """A world with a group `web`, and as many workers as wanted, each with a store of its own."""

    rules: FleetRules = field(default_factory=lambda: FleetRules(limits=FOUR))
    opened_stores: list[Store] = field(default_factory=list)

    def open(self) -> Store:
        store = Store.open(f"sqlite:///{self.folder / 'selfheal.db'}", now=lambda: self.at, rules=self.rules)
        self.opened_stores.append(store)
        return store

    def ruled(self, limits: FleetLimits, **more: Any) -> None:
        self.rules = FleetRules(limits=limits, **more)
        self.store = self.open()

    async def running(self, resource: str, holder: str = "w:1") -> str:
        """An incident of a resource whose leg is under way."""
        group = AlertGroup(alerts=(alert(resource_id=resource),))
        [first] = await self.store.accept(group, placing)
        assert first.incident_id is not None
        await self.begin(first.incident_id, holder)
        return first.incident_id

    def of(self, incident_id: str, resource: str, holder: str = "w:1", **more: Any) -> JournalRequest:
        return self.request(incident_id, holder, touches=(f"Instance/{resource}",), **more)

    async def start(self, incident_id: str, resource: str, holder: str = "w:1", **more: Any) -> Any:
        return await self.store.start(self.of(incident_id, resource, holder, **more))

    async def repairing(self, resource: str, holder: str = "w:1") -> str:
        """An incident of a resource that is under repair."""
        incident_id = await self.running(resource, holder)
        assert isinstance(await self.start(incident_id, resource, holder), Started)
        return incident_id

    async def held(self, resource: str, holder: str = "w:1") -> tuple[str, Hold]:
        """An incident that finds no place, and rests."""
        incident_id = await self.running(resource, holder)
        verdict = await self.start(incident_id, resource, holder)
        assert isinstance(verdict, Hold)
        assert await self.end(incident_id, Resting(verdict.until, verdict.reason, verdict.rule), holder)
        return incident_id, verdict

    async def runnable(self) -> list[str]:
        return [item.incident_id for item in await self.store.runnable()]

    async def budget(self, group: str = "web") -> dict[str, Any]:
        return next(item for item in (await self.store.fleet())["budgets"] if item["group"] == group)

    async def retried(self, incident_id: str, number: int = 1) -> None:
        """The node `retry` closes the attempt."""
        attempt = {"number": number, "suspected_cause": "x", "plan_fingerprint": "x", "actions": [], "acted": True}
        closed = [attempt | {"why_ended": "still down", "ended_at": self.at.isoformat()}]
        await self.store.tell(Entry(incident_id, "r", self.at, "retry", "self-heal", "ended", {"attempts": closed}))


def ended(status: OutcomeStatus, rule: str = "") -> Finished:
    return Finished(Outcome(status=status, rule=rule, reason="so it ended"))


@pytest_asyncio.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    for store in made.opened_stores:
        await store.close()


# -- places ----------------------------------------------------------------------------------------------


async def test_of_two_workers_that_want_the_last_place_one_gets_it_and_the_other_waits(fleet: Fleet) -> None:
    other = fleet.open()
    ids = [await fleet.running(f"web-{n}", f"w{n}:1") for n in (1, 2)]
    requests = [fleet.of(id_, f"web-{n}", f"w{n}:1") for n, id_ in enumerate(ids, 1)]
    verdicts = await asyncio.gather(fleet.store.start(requests[0]), other.start(requests[1]))
    [held] = [verdict for verdict in verdicts if isinstance(verdict, Hold)]
    assert sum(isinstance(verdict, Started) for verdict in verdicts) == 1
    assert held.rule == "fleet_budget" and "1 of 4 machines" in held.reason
    assert held.until == fleet.at + timedelta(seconds=30)


async def test_a_hundred_starts_of_two_workers_never_take_more_places_than_there_are(fleet: Fleet) -> None:
    fleet.ruled(FleetLimits(3, machines={"web": 8}))
    stores = [fleet.store, fleet.open()]
    ids = [await fleet.running(f"web-{n}", f"w{n}:1") for n in range(1, 9)]
    asked = [
        stores[turn % 2].start(fleet.of(id_, f"web-{n}", f"w{n}:1", idempotency_key=f"{id_}:1:0"))
        for turn in range(12)
        for n, id_ in enumerate(ids, 1)
    ]
    verdicts = await asyncio.gather(*asked)
    assert sum(isinstance(verdict, Started) for verdict in verdicts) == 3
    assert (await fleet.budget())["used"] == 3


async def test_the_gate_sees_what_the_journal_would_say_and_not_against_oneself(fleet: Fleet) -> None:
    await fleet.repairing("web-1")
    seen = (await fleet.store.view(WEB[1])).no_place
    assert seen is not None and "#1 (Instance/web-1)" in seen.reason
    assert (await fleet.store.view(WEB[0])).no_place is None
    assert (await fleet.store.view(LONE)).no_place is None


async def test_a_repair_of_low_risk_needs_no_place(fleet: Fleet) -> None:
    await fleet.repairing("web-1")
    second = await fleet.running("web-2", "w:2")
    assert isinstance(await fleet.start(second, "web-2", "w:2", risk="low"), Started)
    assert (await fleet.budget())["used"] == 1


async def test_what_has_no_group_is_repaired_whoever_else_is(fleet: Fleet) -> None:
    await fleet.repairing("web-1")
    lone = await fleet.running("lone", "w:2")
    assert isinstance(await fleet.start(lone, "lone", "w:2"), Started)
    assert [one["resource"] for one in (await fleet.budget(""))["incidents"]] == ["Instance/lone"]


async def test_a_repair_keeps_its_place_while_it_is_being_verified(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    await fleet.store.finish(
        ActionResult(idempotency_key=f"{first}:1:0", action="restart_service", step=0, status="succeeded")
    )
    await fleet.end(first, Resting(fleet.at + timedelta(seconds=30), "must hold for 30 s"))
    await fleet.held("web-2", "w:2")
    assert await fleet.runnable() == []


async def test_the_next_steps_of_a_repair_wait_for_nothing(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    fleet.ruled(
        FleetLimits(1, group_actions_per_hour=1, actions_per_hour={"restart_service": 1}), max_actions_per_hour=1
    )
    assert isinstance(await fleet.start(first, "web-1", idempotency_key=f"{first}:1:1"), Started)


async def test_what_undoes_a_repair_waits_for_nothing_and_counts(fleet: Fleet) -> None:
    await fleet.repairing("web-1")
    second = await fleet.running("web-2", "w:2")
    fleet.ruled(
        FleetLimits(1, group_actions_per_hour=1, actions_per_hour={"restart_service": 1}), max_actions_per_hour=0
    )
    assert isinstance(await fleet.start(second, "web-2", "w:2", undo=True), Started)
    assert (await fleet.budget())["used"] == 2


async def test_a_step_without_effect_is_begun_anew_in_the_place_it_has(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    assert isinstance(await fleet.store.restart(fleet.of(first, "web-1")), Started)
    assert (await fleet.budget())["used"] == 1


async def test_a_step_without_effect_and_without_a_place_is_begun_anew_only_where_there_is_one(fleet: Fleet) -> None:
    """As after an upgrade: what an older release began reserved nothing."""
    first = await fleet.repairing("web-1")
    await fleet.store._db.write(lambda c: c.exec_driver_sql("DELETE FROM places"))
    await fleet.repairing("web-2", "w:2")
    verdict = await fleet.store.restart(fleet.of(first, "web-1"))
    assert isinstance(verdict, Hold) and verdict.rule == "fleet_budget"


@pytest.mark.parametrize(
    "end",
    [ended("mitigated", "verified"), ended("escalated", "max_retries"), ended("self_resolved"), ended("declined")],
    ids=lambda end: end.outcome.status,
)
async def test_the_end_of_a_heal_frees_its_place_and_wakes_who_has_waited_longest(fleet: Fleet, end: LegEnd) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    fleet.later(1)
    third, _ = await fleet.held("web-3", "w:2")
    assert await fleet.runnable() == []
    await fleet.store.renew(first, "w:1", 15)
    assert await fleet.end(first, end)
    assert await fleet.runnable() == [second]
    assert [one["promised"] for one in (await fleet.budget())["incidents"]] == [True]
    await fleet.begin(second, "w:4")
    assert isinstance(await fleet.start(second, "web-2", "w:4"), Started)
    assert [one["number"] for one in (await fleet.budget())["waiting"]] == [3]
    await fleet.end(second, end, "w:4")
    assert await fleet.runnable() == [third]


async def test_a_cancelled_heal_frees_its_place_once_it_has_ended(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    await fleet.store.cancel(first, "ada")
    assert await fleet.runnable() == []
    await fleet.end(first, ended("declined", "cancelled"))
    assert await fleet.runnable() == [second]


async def test_an_attempt_that_failed_frees_its_place_though_the_heal_goes_on(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    await fleet.retried(first)
    assert await fleet.runnable() == [second]
    verdict = await fleet.start(first, "web-1", attempt=2, idempotency_key=f"{first}:2:0")
    assert isinstance(verdict, Hold) and "#2 (Instance/web-2, next in turn)" in verdict.reason


async def test_an_attempt_told_of_twice_frees_nothing_of_the_next_attempt(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    await fleet.retried(first)
    assert isinstance(await fleet.start(first, "web-1", attempt=2, idempotency_key=f"{first}:2:0"), Started)
    await fleet.retried(first)
    assert (await fleet.budget())["used"] == 1


async def test_another_worker_takes_the_place_over_with_the_incident(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    fleet.later(16)
    other = fleet.open()
    assert await other.take_back() == 1
    assert await fleet.runnable() == [first]
    await fleet.begin(first, "w2:1")
    assert (await fleet.budget())["used"] == 1
    await fleet.end(first, ended("mitigated"), "w2:1")
    assert (await fleet.budget())["incidents"][0]["number"] == 2 and await fleet.runnable() == [second]


async def test_a_restart_of_the_server_loses_and_leaks_no_place(fleet: Fleet) -> None:
    await fleet.repairing("web-1")
    await fleet.store.close()
    fleet.store = fleet.open()
    await fleet.store.start_over()
    assert (await fleet.budget())["used"] == 1


@pytest.mark.parametrize("way", ["close", "retry", "resolve"])
async def test_what_may_still_be_under_way_keeps_its_place_until_somebody_says_it_is_over(
    fleet: Fleet, way: str
) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    await fleet.end(first, ended("escalated", "effect_unknown"))
    assert (await fleet.budget())["used"] == 1 and await fleet.runnable() == []
    if way == "close":
        await fleet.store.close_incident(first, "ada")
    elif way == "retry":
        await fleet.store.retry(first, "ada")
    else:
        await fleet.store.accept(AlertGroup(alerts=(alert(status="resolved", resource_id="web-1"),)), placing)
    assert second in await fleet.runnable()


async def test_a_freed_place_is_kept_a_moment_for_who_is_next_and_then_for_anybody(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    await fleet.end(first, ended("mitigated"))
    third = await fleet.running("web-3", "w:3")
    assert isinstance(await fleet.start(third, "web-3", "w:3"), Hold)
    fleet.later(16)
    await fleet.store.take_back()
    await fleet.begin(third, "w:4")
    assert isinstance(await fleet.start(third, "web-3", "w:4"), Started)
    await fleet.begin(second, "w:5")
    assert isinstance(await fleet.start(second, "web-2", "w:5"), Hold)


@pytest.mark.parametrize("paused", [True, False], ids=["paused", "failed"])
async def test_a_promise_that_is_not_taken_up_goes_to_the_next(fleet: Fleet, paused: bool) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    third, _ = await fleet.held("web-3", "w:3")
    await fleet.end(first, ended("mitigated"))
    await fleet.begin(second, "w:4")
    await fleet.end(second, Resting(fleet.at, "paused", "paused") if paused else Failed("x"), "w:4")
    assert third in await fleet.runnable()
    assert [one["number"] for one in (await fleet.budget())["incidents"]] == [3]


async def test_a_place_freed_between_the_look_and_the_rest_is_not_missed(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    second = await fleet.running("web-2", "w:2")
    verdict = await fleet.start(second, "web-2", "w:2")
    assert isinstance(verdict, Hold)
    await fleet.end(first, ended("mitigated"))
    await fleet.end(second, Resting(verdict.until, verdict.reason, verdict.rule), "w:2")
    assert await fleet.runnable() == [second]


async def test_who_is_looked_at_again_in_vain_keeps_its_turn(fleet: Fleet) -> None:
    first = await fleet.repairing("web-1")
    second, _ = await fleet.held("web-2", "w:2")
    fleet.later(1)
    await fleet.held("web-3", "w:3")
    fleet.later(30)
    await fleet.begin(second, "w:4")
    verdict = await fleet.start(second, "web-2", "w:4")
    assert isinstance(verdict, Hold)
    await fleet.end(second, Resting(verdict.until, verdict.reason, verdict.rule), "w:4")
    assert [one["number"] for one in (await fleet.budget())["waiting"]] == [2, 3]
    assert first


async def test_an_unapproved_plan_is_refused_before_it_takes_a_place(fleet: Fleet) -> None:
    first = await fleet.running("web-1")
    assert isinstance(await fleet.start(first, "web-1", approval_needed=True), Refusal)
    assert (await fleet.budget())["used"] == 0


async def test_who_waits_for_a_lease_holds_no_place_meanwhile(fleet: Fleet) -> None:
    lone = await fleet.running("lone", "w:9")
    assert isinstance(
        await fleet.start(
            lone,
            "lone",
            "w:9",
        ),
        Started,
    )
    first = await fleet.running("web-1")
    waits = fleet.request(first, touches=("Instance/web-1", "Instance/lone"))
    verdict = await fleet.store.start(waits)
    assert isinstance(verdict, Hold) and verdict.rule == "leased"
    assert (await fleet.budget())["used"] == 0


# -- rates -----------------------------------------------------------------------------------------------


async def test_an_action_is_begun_only_so_often_an_hour_on_all_resources(fleet: Fleet) -> None:
    fleet.ruled(FleetLimits("100%", actions_per_hour={"restart_service": 1}, machines={"web": 8}))
    await fleet.repairing("web-1")
    began = fleet.at
    fleet.later(60)
    second = await fleet.running("web-2", "w:2")
    held = await fleet.start(second, "web-2", "w:2")
    assert isinstance(held, Hold) and (held.rule, held.until) == ("rate_limit", began + timedelta(hours=1))
    assert held.reason == "restart_service on all resources: 1 in the last hour (at most 1)"
    assert (await fleet.store.view(WEB[1])).actions_spent == {"restart_service": held}
    assert isinstance(await fleet.start(second, "web-2", "w:2", action="reload"), Started)
    [reached] = (await fleet.store.fleet())["rates_reached"]
    assert (reached["what"], reached["why"]) == ("action restart_service", held.reason)


async def test_a_plan_is_not_begun_while_a_later_step_may_not_be(fleet: Fleet) -> None:
    fleet.ruled(FleetLimits("100%", actions_per_hour={"restart_service": 1}, machines={"web": 8}))
    await fleet.repairing("web-1")
    second = await fleet.running("web-2", "w:2")
    both = ("clean_files", "restart_service")
    assert isinstance(await fleet.start(second, "web-2", "w:2", action="clean_files", actions=both), Hold)


async def test_a_group_gets_only_so_many_actions_an_hour(fleet: Fleet) -> None:
    own = {"web": GroupLimits("100%", 2)}
    fleet.ruled(FleetLimits(groups=own, machines={"web": 8}))
    for n in (1, 2):
        await fleet.repairing(f"web-{n}", f"w:{n}")
    third, held = await fleet.held("web-3", "w:3")
    assert held.reason == "actions in group web: 2 in the last hour (at most 2)"
    lone = await fleet.running("lone", "w:4")
    assert isinstance(await fleet.start(lone, "lone", "w:4"), Started)
    fleet.later(3600)
    await fleet.store.take_back()
    await fleet.begin(third, "w:5")
    assert isinstance(await fleet.start(third, "web-3", "w:5"), Started)


async def test_the_journal_holds_what_the_gate_let_pass_a_moment_too_early(fleet: Fleet) -> None:
    fleet.ruled(FleetLimits(), max_actions_per_hour=1)
    first = await fleet.repairing("lone")
    await fleet.retried(first)
    held = await fleet.start(first, "lone", attempt=2, idempotency_key=f"{first}:2:0")
    assert isinstance(held, Hold) and (held.rule, held.until) == ("rate_limit", fleet.at + timedelta(hours=1))


# -- cool-downs ------------------------------------------------------------------------------------------


async def escalated_and_fired_again(fleet: Fleet, rule: str = "max_retries") -> str:
    """A new incident of a resource whose last one was escalated and closed."""
    first = await fleet.running("lone")
    await fleet.end(first, ended("escalated", rule))
    await fleet.store.close_incident(first, "ada")
    return await fleet.running("lone", "w:2")


async def test_after_an_escalation_a_new_incident_of_the_resource_waits(fleet: Fleet) -> None:
    second = await escalated_and_fired_again(fleet)
    held = await fleet.start(second, "lone", "w:2")
    assert isinstance(held, Hold) and (held.rule, held.until) == ("cool_down", fleet.at + timedelta(seconds=900))
    assert "#1" in held.reason
    assert (await fleet.store.view(LONE)).cooling == held
    [cooling] = (await fleet.store.fleet())["cool_downs"]
    assert (cooling["resource"], cooling["number"]) == ("Instance/lone", 1)
    fleet.later(900)
    assert (await fleet.store.view(LONE)).cooling is None and (await fleet.store.fleet())["cool_downs"] == []


async def test_a_retry_of_what_waits_for_the_cool_down_lets_it_go_on_at_once(fleet: Fleet) -> None:
    second = await escalated_and_fired_again(fleet)
    with pytest.raises(Conflict):
        await fleet.store.retry(second, "ada")
    held = await fleet.start(second, "lone", "w:2")
    await fleet.end(second, Resting(held.until, held.reason, held.rule), "w:2")
    record = await fleet.store.incident(second)
    assert record is not None and record["held_by"] == "cool_down"
    await fleet.store.retry(second, "ada")
    assert await fleet.runnable() == [second]
    await fleet.begin(second, "w:3")
    assert isinstance(await fleet.start(second, "lone", "w:3"), Started)
    entries, _ = await fleet.store.audit()
    assert entries[0]["what"] == "retry" and entries[0]["who"] == "ada"


async def test_a_retry_of_the_escalated_incident_itself_overrides_its_cool_down(fleet: Fleet) -> None:
    first = await fleet.running("lone")
    await fleet.end(first, ended("escalated", "max_retries"))
    await fleet.store.retry(first, "ada")
    await fleet.begin(first, "w:2")
    assert isinstance(await fleet.start(first, "lone", "w:2"), Started)


async def test_what_waits_for_something_else_is_not_retried(fleet: Fleet) -> None:
    second = await escalated_and_fired_again(fleet)
    await fleet.end(second, Resting(fleet.at + timedelta(seconds=5), "repairs are paused", "paused"), "w:2")
    with pytest.raises(Conflict):
        await fleet.store.retry(second, "ada")
    assert (await fleet.store.view(LONE)).cooling is not None


async def test_a_human_who_took_it_over_leaves_no_cool_down_behind(fleet: Fleet) -> None:
    first = await fleet.running("lone")
    await fleet.store.take_over(first, "ada", 30)
    await fleet.end(first, ended("escalated", "taken_over"))
    await fleet.store.close_incident(first, "ada")
    second = await fleet.running("lone", "w:2")
    assert isinstance(await fleet.start(second, "lone", "w:2"), Started)


async def test_a_plan_that_a_human_approved_does_not_wait_for_the_cool_down(fleet: Fleet) -> None:
    second = await escalated_and_fired_again(fleet)
    await fleet.end(second, fleet.asking(), "w:2")
    await fleet.store.decide(second, "approve", plan().plan_fingerprint, "ada")
    await fleet.begin(second, "w:3")
    assert isinstance(await fleet.start(second, "lone", "w:3", approval_needed=True), Started)

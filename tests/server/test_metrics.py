"""What Prometheus sees of us: what the store counts for all processes, and what this one has seen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from prometheus_client.parser import text_string_to_metric_families

from agents.agent import Agent
from agents.legs import LegEnd, Resting
from graph.errors import TemporaryError
from graph.fakes import FakeActions, FakeChronicle, FakeClock, FakeDirectives, FakeHealth, FakeReasoner, FakeSource
from graph.ports import Deps, Entry
from graph.records import Alert, Policy
from server.metrics import Metrics, NodeTimer
from server.runner import Runner
from server.services import Services
from server.settings import Settings
from server.store import Store, StoreBusy
from server.store.tallies import BUCKETS, NODE_SECONDS
from tests.flow.story import KIND, NOT_YET, PASS, SPECS, crashed_web, policy
from tests.server.test_runner import until
from tests.server.web import RESOURCE, TOKENS, alert_body, asking, end_leg, finished, make_services, opened, running
from tools.clients.circuit import FAILURES


def samples(text: str) -> dict[str, float]:
    """Every sample by `name{label,…}`."""
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scraped(client: httpx.AsyncClient) -> dict[str, float]:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    return samples(answer.text)


class Heals:
    """A server whose heals go through the real graph and the real store, in a world of shipped fakes."""

    def __init__(self, folder: Path, policies: tuple[Policy, ...] = ()) -> None:
        self.clock = FakeClock()
        url = f"sqlite:///{folder / 'selfheal.db'}"
        settings = Settings.model_validate({"database_url": url, "resources": [RESOURCE]})
        store = Store.open(url, now=self.clock.now)
        self.services = Services(settings, store, TOKENS, {KIND.name: KIND}, policies)
        timer = NodeTimer(store, store, self.services.metrics)
        deps = Deps(
            kind=KIND,
            reasoner=FakeReasoner(),
            sources=[FakeSource("units", crashed_web())],
            archive=store,
            actions=FakeActions(SPECS),
            journal=store,
            health=FakeHealth(((NOT_YET,), (PASS,))),
            fleet=store,
            directives=timer,
            chronicle=timer,
            clock=self.clock,
            policies=policies,
        )

        async def condition(alert: Alert) -> bool | None:
            return False

        self.runner = Runner(store, {KIND.name: Agent(deps, InMemorySaver())}, condition, "test")

    async def heal(self) -> LegEnd:
        """Leg after leg, moving the clock over each rest, until a human is asked or it is over."""
        while True:
            [runnable] = await self.services.store.runnable()
            end = await self.runner.run_leg(runnable.incident_id, runnable.leg)
            assert end is not None and not hasattr(end, "error"), end
            if not isinstance(end, Resting):
                return end
            self.clock.at = max(self.clock.at, end.until)


@asynccontextmanager
async def healing(folder: Path, *policies: Policy) -> AsyncIterator[tuple[Heals, httpx.AsyncClient]]:
    heals = Heals(folder, policies)
    async with running(heals.services) as client:
        yield heals, client


async def test_a_heal_moves_what_is_told_of_it(tmp_path: Path) -> None:
    async with healing(tmp_path, policy(auto_heal=False)) as (heals, client):
        store, clock = heals.services.store, heals.clock
        before = await scraped(client)
        assert before["selfheal_outcomes_total{mitigated}"] == 0, "an increase is seen only of what was there before"
        incident_id = await opened(client, issue_type="service_down")
        clock.advance(3)
        seen = await scraped(client)
        assert seen["selfheal_incidents{queued}"] == 1 and seen["selfheal_queue_age_seconds{}"] == 3
        assert seen["selfheal_alerts_received_total{opened}"] == 1

        await heals.heal()
        clock.advance(60)
        seen = await scraped(client)
        assert seen["selfheal_incidents{waiting_approval}"] == 1 and seen["selfheal_queue_age_seconds{}"] == 0
        assert seen["selfheal_approvals_waiting{}"] == 1 and seen["selfheal_approvals_oldest_seconds{}"] == 60
        assert "selfheal_actions_started_total{restart}" not in seen

        asked = (await client.get(f"/api/incidents/{incident_id}")).json()["waiting_for"]
        decision = {"decision": "approve", "plan_fingerprint": asked["asked_fingerprint"]}
        assert (await client.post(f"/api/incidents/{incident_id}/decision", json=decision)).status_code == 200
        await heals.heal()
        await heals.services.metrics.keep(store)
        clock.advance(60)  # Closed ones are not counted at each scrape.
        seen = await scraped(client)
        assert seen["selfheal_incidents{closed}"] == 1 and seen["selfheal_approvals_waiting{}"] == 0
        assert seen["selfheal_outcomes_total{mitigated}"] == 1 and seen["selfheal_outcomes_total{escalated}"] == 0
        assert seen["selfheal_actions_started_total{restart}"] == 1
        assert seen["selfheal_actions_total{restart,succeeded}"] == 1
        assert seen["selfheal_actions_total{restart,failed}"] == 0
        for node in ("gather_context", "diagnose", "plan", "gate", "execute", "verify", "close"):
            assert seen[f"selfheal_node_seconds_count{{{node}}}"] >= 1, node
        assert seen["selfheal_heal_seconds_count{mitigated}"] == 1
        assert seen["selfheal_heal_seconds_sum{mitigated}"] >= 63
        assert seen["selfheal_heal_seconds_bucket{60,mitigated}"] == 0
        assert seen["selfheal_heal_seconds_bucket{+Inf,mitigated}"] == 1


async def test_an_escalation_is_counted_each_time(tmp_path: Path) -> None:
    async with healing(tmp_path, policy(max_retries=0)) as (heals, client):
        await opened(client, issue_type="service_down")
        await heals.heal()
        assert (await client.post("/api/incidents/1/retry")).status_code == 200
        await heals.heal()
        seen = await scraped(client)
        assert seen["selfheal_outcomes_total{escalated}"] == 2 and seen["selfheal_incidents{escalated}"] == 1


async def test_what_can_not_be_placed_is_counted_as_escalated(tmp_path: Path) -> None:
    async with running(make_services(tmp_path)) as client:
        await opened(client, resource_id="unheard-of")
        assert (await scraped(client))["selfheal_outcomes_total{escalated}"] == 1


async def test_declined_and_paused(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    async with running(services) as client:
        incident_id = await opened(client)
        await opened(client)
        await end_leg(services, incident_id, asking())
        seen = await scraped(client)
        assert seen["selfheal_alerts_received_total{joined}"] == 1 and seen["selfheal_paused{}"] == 0
        await client.post("/api/incidents/1/cancel")
        await end_leg(services, incident_id, finished("declined"))
        await client.post("/api/pause")
        seen = await scraped(client)
        assert seen["selfheal_outcomes_total{declined}"] == 1 and seen["selfheal_paused{}"] == 1


async def test_lost_leases_are_told_by_how(tmp_path: Path) -> None:
    async with healing(tmp_path) as (heals, client):
        store = heals.services.store
        incident_id = await opened(client)
        assert await store.begin_leg(incident_id, 1, "dead:1", 15.0)
        assert await store.take_back() == 0
        heals.clock.advance(16)
        assert await store.take_back() == 1
        assert await store.begin_leg(incident_id, 2, "killed:2", 15.0)
        await store.start_over()
        heals.services.metrics.lease_lost()
        await heals.services.metrics.keep(store)
        seen = await scraped(client)
        assert seen["selfheal_leases_lost_total{expired}"] == 1
        assert seen["selfheal_leases_lost_total{restarted}"] == 1
        assert seen["selfheal_legs_overtaken_total{}"] == 1


async def test_totals_outlive_a_restart_and_are_the_same_from_every_server(tmp_path: Path) -> None:
    one, other = make_services(tmp_path), make_services(tmp_path)
    async with running(one) as client, running(other) as at_other:
        incident_id = await opened(client)
        await end_leg(one, incident_id, finished("mitigated"))
        one.metrics.node("plan", 0.3)
        await one.metrics.keep(one.store)
        other.metrics.node("plan", 0.2)
        await other.metrics.keep(other.store)
        here, there = await scraped(client), await scraped(at_other)
        for name in ("selfheal_outcomes_total{mitigated}", "selfheal_node_seconds_count{plan}"):
            assert here[name] == there[name] > 0, name
        assert here["selfheal_node_seconds_bucket{0.25,plan}"] == 1
        assert here["selfheal_node_seconds_bucket{0.5,plan}"] == here["selfheal_node_seconds_bucket{+Inf,plan}"] == 2
        assert here["selfheal_alerts_received_total{opened}"] == 1, "of this process alone"
        assert there["selfheal_alerts_received_total{opened}"] == 0
    async with running(make_services(tmp_path)) as client:
        assert (await scraped(client))["selfheal_outcomes_total{mitigated}"] == 1


async def test_nodes_are_timed_from_their_beginning_to_what_they_tell() -> None:
    metrics, kept = Metrics(), Kept()
    timer = NodeTimer(FakeDirectives(), FakeChronicle(), metrics)
    await timer.stop("i1")
    for node in ("diagnose", "escalate"):
        await timer.tell(Entry("i1", node, FakeClock().at, node, "self-heal", "said"))
    await timer.tell(Entry("never begun", "k", FakeClock().at, "plan", "self-heal", "said"))
    await metrics.keep(kept)
    assert {labels[0] for name, labels in kept.amounts if name == NODE_SECONDS} == {"diagnose", "escalate"}


class Kept:
    """A store that keeps totals, unless it is broken."""

    def __init__(self) -> None:
        self.amounts: dict[Any, float] = {}
        self.broken = False

    async def add_up(self, amounts: Any) -> None:
        if self.broken:
            raise StoreBusy("full")
        for tally, by in amounts.items():
            self.amounts[tally] = self.amounts.get(tally, 0) + by


async def test_what_the_store_does_not_take_is_brought_later_and_once() -> None:
    metrics, kept = Metrics(), Kept()
    metrics.node("plan", 1.5)
    kept.broken = True
    with pytest.raises(StoreBusy):
        await metrics.keep(kept)
    metrics.node("plan", 1.5)
    kept.broken = False
    await metrics.keep(kept)
    await metrics.keep(kept)
    assert kept.amounts == {(NODE_SECONDS, ("plan", "2")): 2, (NODE_SECONDS, ("plan", "sum")): 3.0}


async def test_a_bound_of_an_older_release_is_counted_in_the_buckets_above_it(tmp_path: Path) -> None:
    async with running(services := make_services(tmp_path)) as client:
        assert 3.0 not in BUCKETS[NODE_SECONDS]
        await services.store.add_up({(NODE_SECONDS, ("plan", "3")): 1, (NODE_SECONDS, ("plan", "sum")): 2.5})
        seen = await scraped(client)
        assert [seen[f"selfheal_node_seconds_bucket{{{bound},plan}}"] for bound in ("2", "3", "5")] == [0, 1, 1]


async def test_the_dead_mans_switch_is_heard_and_opens_nothing(tmp_path: Path) -> None:
    async with running(make_services(tmp_path)) as client:
        assert (await scraped(client))["selfheal_dead_mans_switch_timestamp_seconds{}"] == 0
        switch = {"status": "firing", "labels": {"alertname": "SelfHealDeadMansSwitch", "severity": "none"}}
        real = alert_body()["alerts"][0]
        answer = await client.post("/webhooks/alertmanager", json={"alerts": [switch, real, switch]})
        assert [item["decision"] for item in answer.json()["incidents"]] == ["ignored", "opened", "ignored"]
        over = await client.post("/webhooks/alertmanager", json={"alerts": [switch | {"status": "resolved"}]})
        assert over.json()["incidents"][0]["decision"] == "ignored"
        seen = await scraped(client)
        assert seen["selfheal_dead_mans_switch_timestamp_seconds{}"] > 1e9
        assert sum(value for name, value in seen.items() if name.startswith("selfheal_incidents{")) == 1


async def test_a_store_that_fails_is_told_with_what_was_refused(tmp_path: Path) -> None:
    services = make_services(tmp_path, limits={"max_queued": 1})
    async with running(services) as client:
        await opened(client)
        assert (await client.post("/webhooks/alertmanager", json=alert_body())).status_code == 503
        await services.store.close()
        assert (await client.post("/webhooks/alertmanager", json=alert_body())).status_code == 503
        seen = await scraped(client)
        assert seen["selfheal_store_usable{}"] == 0 and seen["selfheal_ready{}"] == 0
        assert seen["selfheal_alerts_refused_total{overloaded}"] == 1
        assert seen["selfheal_alerts_refused_total{store}"] == 1
        assert "selfheal_incidents{queued}" not in seen, "what nobody knows is not told as nothing"


async def test_ready_is_told_as_the_probe_has_it(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    async with running(services) as client:
        assert (await client.get("/readyz")).status_code == 200
        assert (await scraped(client))["selfheal_ready{}"] == 1
        services.broken = "no key"
        services.runtime = None
        seen = await scraped(client)
        assert seen["selfheal_ready{}"] == 0 and seen["selfheal_store_usable{}"] == 1


async def test_targets_that_are_not_asked_are_counted_by_kind_and_shown_with_the_fleet(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    async with running(services) as client:
        await until(lambda: services.runtime)
        assert services.runtime is not None
        for _ in range(FAILURES):
            services.runtime.circuits.failed("prometheus", "http://p", TemporaryError("connection refused"))
        seen = await scraped(client)
        assert (seen["selfheal_circuit_open{prometheus}"], seen["selfheal_circuit_open{ssh}"]) == (1, 0)
        [shown] = (await client.get("/api/fleet")).json()["circuits"]
        assert (shown["kind"], shown["target"], shown["last"]) == ("prometheus", "http://p", "connection refused")
        page = (await client.get("/fleet")).text
        assert "prometheus http://p" in page and "connection refused" in page
        services.runtime.circuits.answered("prometheus", "http://p")
        assert (await scraped(client))["selfheal_circuit_open{prometheus}"] == 0
        assert "This process can ask whom it wants to" in (await client.get("/fleet")).text

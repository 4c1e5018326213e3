"""What Prometheus sees of us."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from graph.errors import TemporaryError
from graph.fakes import FakeChronicle, FakeDirectives
from graph.ports import Entry
from server.metrics import Metrics, NodeTimer
from tests.server.test_runner import until
from tests.server.web import asking, end_leg, finished, make_services, opened, running
from tools.clients.circuit import FAILURES


def samples(text: str) -> dict[str, float]:
    """Every sample by `name{label,…}`."""
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_alerts_incidents_and_outcomes_are_counted(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    async with running(services) as client:
        incident_id = await opened(client)
        await opened(client)
        await end_leg(services, incident_id, asking())
        seen = samples((await client.get("/metrics")).text)
        assert seen["selfheal_alerts_received_total{opened}"] == 1
        assert seen["selfheal_alerts_received_total{joined}"] == 1
        assert seen["selfheal_incidents{waiting_approval}"] == 1
        assert seen["selfheal_approvals_waiting{}"] == 1
        assert seen["selfheal_paused{}"] == 0
        await client.post("/api/incidents/1/cancel")
        await end_leg(services, incident_id, finished("declined"))
        await client.post("/api/pause")
        seen = samples((await client.get("/metrics")).text)
        assert seen["selfheal_outcomes_total{declined}"] == 1
        assert seen["selfheal_paused{}"] == 1


async def test_nodes_are_timed_from_their_beginning_to_what_they_tell() -> None:
    metrics = Metrics()
    timer = NodeTimer(FakeDirectives(), FakeChronicle(), metrics)
    await timer.stop("i1")
    for node in ("diagnose", "escalate"):
        await timer.tell(Entry("i1", node, datetime.now(UTC), node, "self-heal", "said"))
    await timer.tell(Entry("never begun", "k", datetime.now(UTC), "plan", "self-heal", "said"))
    seen = samples(metrics.page({}, paused=False).decode())
    assert seen["selfheal_node_seconds_count{diagnose}"] == 1
    assert seen["selfheal_node_seconds_count{escalate}"] == 1
    assert "selfheal_node_seconds_count{plan}" not in seen


async def test_targets_that_are_not_asked_are_counted_by_kind_and_shown_with_the_fleet(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    async with running(services) as client:
        await until(lambda: services.runtime)
        assert services.runtime is not None
        for _ in range(FAILURES):
            services.runtime.circuits.failed("prometheus", "http://p", TemporaryError("connection refused"))
        seen = samples((await client.get("/metrics")).text)
        assert (seen["selfheal_circuit_open{prometheus}"], seen["selfheal_circuit_open{ssh}"]) == (1, 0)
        [shown] = (await client.get("/api/fleet")).json()["circuits"]
        assert (shown["kind"], shown["target"], shown["last"]) == ("prometheus", "http://p", "connection refused")
        page = (await client.get("/fleet")).text
        assert "prometheus http://p" in page and "connection refused" in page
        services.runtime.circuits.answered("prometheus", "http://p")
        assert samples((await client.get("/metrics")).text)["selfheal_circuit_open{prometheus}"] == 0
        assert "This process can ask whom it wants to" in (await client.get("/fleet")).text

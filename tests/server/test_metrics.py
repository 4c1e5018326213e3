"""What Prometheus sees of us."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from graph.fakes import FakeChronicle, FakeDirectives
from graph.ports import Entry
from server.metrics import Metrics, NodeTimer
from tests.server.web import asking, end_leg, finished, make_services, opened, running


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

"""What Prometheus scrapes of us: most of it counted in the store, so that it is right across restarts and processes."""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from graph.ports import Chronicle, Directives, Entry
from graph.records import Approval, Stop

MAX_TIMED = 4096
RESULTS = {"digested": "held"}
"""What became of a notice, where it is called otherwise than in the store."""
BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120)


class Metrics:
    """The numbers of this process, and the page with these and the store's."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._alerts = Counter(
            "selfheal_alerts_received",
            "Alerts received by this process, by what was decided about them.",
            ("decision",),
            registry=self._registry,
        )
        self._nodes = Histogram(
            "selfheal_node_seconds",
            "How long each node of a heal took in this process.",
            ("node",),
            buckets=BUCKETS,
            registry=self._registry,
        )

        self._silencing = Counter(
            "selfheal_silencing_failures",
            "Times the silences in Alertmanager could not be put right.",
            registry=self._registry,
        )

    def silencing_failed(self) -> None:
        self._silencing.inc()

    def alert(self, decision: str, times: int = 1) -> None:
        self._alerts.labels(decision).inc(times)

    def node(self, name: str, seconds: float) -> None:
        self._nodes.labels(name).observe(seconds)

    def page(self, counts: Mapping[str, Any], paused: bool) -> bytes:
        """The text format, with what `Store.counts` says."""
        registry = CollectorRegistry()
        registry.register(_Counted(counts, paused))
        return generate_latest(self._registry) + generate_latest(registry)


class _Counted(Collector):
    """The store's counts as metric families."""

    def __init__(self, counts: Mapping[str, Any], paused: bool) -> None:
        self._counts = counts
        self._paused = paused

    def collect(self) -> Iterator[Metric]:
        phases = GaugeMetricFamily("selfheal_incidents", "Incidents, by phase.", labels=["phase"])
        for phase, number in self._counts.get("phases", {}).items():
            phases.add_metric([phase], number)
        yield phases
        outcomes = CounterMetricFamily("selfheal_outcomes", "Heals that ended, by outcome.", labels=["outcome"])
        for outcome, number in self._counts.get("outcomes", {}).items():
            outcomes.add_metric([outcome], number)
        yield outcomes
        actions = CounterMetricFamily(
            "selfheal_actions", "Side effects, by action and how each ended.", labels=["action", "status"]
        )
        for key, number in self._counts.get("actions", {}).items():
            action, _, status = key.rpartition("/")
            actions.add_metric([action, status], number)
        yield actions
        yield from _of_models(self._counts.get("model_calls", ()))
        yield from _of_notices(self._counts.get("notifications", ()))
        for name, text, value in (
            ("selfheal_approvals_waiting", "Plans that wait for a human.", self._counts.get("approvals_waiting", 0)),
            (
                "selfheal_queue_age_seconds",
                "Age of the oldest incident no worker has taken.",
                self._counts.get("oldest_queued_seconds", 0),
            ),
            ("selfheal_paused", "1 while all repairs are paused.", int(self._paused)),
        ):
            yield GaugeMetricFamily(name, text, value=value)


def _of_models(counts: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    """What models were asked, and what it cost."""
    calls = CounterMetricFamily("selfheal_model_calls", "Calls of models.", labels=["model", "purpose", "status"])
    tokens = CounterMetricFamily("selfheal_model_tokens", "Tokens of models.", labels=["model", "direction"])
    seconds = CounterMetricFamily("selfheal_model_seconds", "Seconds spent waiting for models.", labels=["model"])
    cost = CounterMetricFamily("selfheal_model_cost_usd", "Estimated cost of priced calls.", labels=["model"])
    totals: dict[str, dict[str, float]] = {}
    for row in counts:
        calls.add_metric([row["model"], row["purpose"], row["status"]], row["calls"])
        total = totals.setdefault(row["model"], defaultdict(float))
        for name in ("input_tokens", "output_tokens", "seconds", "cost_usd"):
            total[name] += row[name] or 0
    for model, total in totals.items():
        tokens.add_metric([model, "input"], total["input_tokens"])
        tokens.add_metric([model, "output"], total["output_tokens"])
        seconds.add_metric([model], total["seconds"])
        cost.add_metric([model], total["cost_usd"])
    yield from (calls, tokens, seconds, cost)


def _of_notices(counts: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    """What people were told. A notice that arrived after failures counts as sent, and as failed once a try."""
    labels = ["target", "event", "result"]
    told = CounterMetricFamily("selfheal_notifications", "Notices, by what became of them.", labels=labels)
    waiting = GaugeMetricFamily("selfheal_notifications_waiting", "Notices not sent yet.", labels=["target"])
    results: dict[tuple[str, str, str], int] = defaultdict(int)
    waits: dict[str, int] = defaultdict(int)
    for row in counts:
        about = (row["target"], row["event"])
        waits[row["target"]] += row["notices"] if row["state"] in ("due", "held") else 0
        if row["state"] != "due":
            results[*about, RESULTS.get(row["state"], row["state"])] += row["notices"]
        for result in ("failed", "folded"):
            results[*about, result] += row[result]
    for about_and_result, number in results.items():
        told.add_metric(list(about_and_result), number)
    for target, number in waits.items():
        waiting.add_metric([target], number)
    yield from (told, waiting)


class NodeTimer:
    """Times nodes from outside: each asks for a stop as it begins and tells as it ends.

    Stands before the store as the heal's directives and chronicle. A node that is not asked to stop (a rollback, the
    end) is timed from what was told before it.
    """

    def __init__(self, directives: Directives, chronicle: Chronicle, metrics: Metrics) -> None:
        self._directives = directives
        self._chronicle = chronicle
        self._metrics = metrics
        self._began: OrderedDict[str, float] = OrderedDict()

    async def stop(self, incident_id: str) -> Stop | None:
        self._mark(incident_id)
        return await self._directives.stop(incident_id)

    async def tell(self, entry: Entry) -> None:
        await self._chronicle.tell(entry)
        if (began := self._began.get(entry.incident_id)) is not None:
            self._metrics.node(entry.node, time.monotonic() - began)
        self._mark(entry.incident_id)

    async def approved(self, incident_id: str, approval: Approval) -> None:
        await self._chronicle.approved(incident_id, approval)

    def _mark(self, incident_id: str) -> None:
        self._began[incident_id] = time.monotonic()
        self._began.move_to_end(incident_id)
        if len(self._began) > MAX_TIMED:
            self._began.popitem(last=False)

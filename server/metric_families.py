"""What the store counts, as families of metrics: the same from every process that is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from agents.reasoning.ledger import Status
from graph.records import OutcomeStatus
from server.store import tallies
from server.store.counting import OPEN
from server.store.workers import ROLES


@dataclass(frozen=True)
class Total:
    """A family that only grows. `zeros`: labels that are there from the first scrape, as an increase is only seen of
    what was there before."""

    tally: str
    text: str
    labels: tuple[str, ...]
    zeros: tuple[tuple[str, ...], ...] = ()
    fill: tuple[str, ...] = ()
    """Values of the last label that are there as soon as one of its kind is."""

    @property
    def name(self) -> str:
        return f"selfheal_{self.tally}"


_OUTCOMES = tuple((status,) for status in get_args(OutcomeStatus))

COUNTERS = (
    Total(tallies.OUTCOMES, "Heals that ended, by outcome.", ("outcome",), _OUTCOMES),
    Total(tallies.ACTIONS_STARTED, "Side effects begun, by action.", ("action",)),
    Total(
        tallies.ACTIONS,
        "Side effects that ended, by action and how.",
        ("action", "status"),
        fill=("succeeded", "failed", "unknown"),
    ),
    Total(
        tallies.LEASES_LOST,
        "Heals whose worker died or hung: its lease ran out, or it was restarted in the middle.",
        ("reason",),
        (("expired",), ("restarted",)),
    ),
    Total(tallies.LEGS_OVERTAKEN, "Times a worker found that another had taken its heal over.", (), ((),)),
    Total(tallies.MODEL_CALLS, "Calls of models.", ("model", "purpose", "status"), fill=get_args(Status)),
    Total(tallies.MODEL_TOKENS, "Tokens of models.", ("model", "direction")),
    Total(tallies.MODEL_SECONDS, "Seconds spent waiting for models.", ("model",)),
    Total(tallies.MODEL_COST, "Estimated cost of priced calls.", ("model",)),
    Total(
        tallies.NOTIFICATIONS,
        "Notices, by what became of them; one that arrives after failures is told as both.",
        ("target", "event", "result"),
        fill=("sent", "failed", "gave_up"),
    ),
)
HISTOGRAMS = (
    Total(tallies.NODE_SECONDS, "How long each node of a heal took.", ("node",)),
    Total(tallies.HEAL_SECONDS, "From the first alert to the heal's end, by outcome.", ("outcome",), _OUTCOMES),
)


class Stored(Collector):
    """`Counting.counts` of the store, as metric families."""

    def __init__(self, counts: Mapping[str, Any], paused: bool) -> None:
        self._counts = counts
        self._paused = paused

    def collect(self) -> Iterator[Metric]:
        totals = self._counts["totals"]
        for total in COUNTERS:
            yield _counter(total, totals.get(total.tally, {}))
        for total in HISTOGRAMS:
            yield _histogram(total, totals.get(total.tally, {}))
        phases = GaugeMetricFamily("selfheal_incidents", "Incidents, by phase.", labels=["phase"])
        for phase, number in {**dict.fromkeys(OPEN, 0), **self._counts["phases"]}.items():
            phases.add_metric([phase], number)
        yield phases
        yield from _of_notices(self._counts["notifications"])
        alive = GaugeMetricFamily("selfheal_workers", "Processes that are alive, by role.", labels=["role"])
        for role in ROLES:
            alive.add_metric([role], self._counts["workers"].get(role, 0))
        yield alive
        for name, text, value in (
            ("approvals_waiting", "Plans that wait for a human.", self._counts["approvals_waiting"]),
            (
                "approvals_oldest_seconds",
                "How long the plan that waits longest for a human has waited; 0 where none does.",
                self._counts["oldest_approval_seconds"],
            ),
            (
                "queue_age_seconds",
                "Age of the oldest incident no worker has taken; 0 where there is none.",
                self._counts["oldest_queued_seconds"],
            ),
            ("paused", "1 while all repairs are paused.", int(self._paused)),
        ):
            yield GaugeMetricFamily(f"selfheal_{name}", text, value=value)


def _counter(total: Total, values: Mapping[tuple[str, ...], float]) -> Metric:
    family = CounterMetricFamily(total.name, total.text, labels=total.labels)
    zeros = (*total.zeros, *((*labels[:-1], last) for labels in values for last in total.fill))
    for labels, value in {**dict.fromkeys(zeros, 0.0), **values}.items():
        family.add_metric(labels, value)
    return family


def _histogram(total: Total, values: Mapping[tuple[str, ...], float]) -> Metric:
    """Rows hold each bucket's own count; an older release's bounds are kept beside those of now."""
    family = HistogramMetricFamily(total.name, total.text, labels=total.labels)
    found: dict[tuple[str, ...], dict[str, float]] = {labels: {} for labels in total.zeros}
    for (*labels, bucket), value in values.items():
        found.setdefault(tuple(labels), {})[bucket] = value
    for labels_of, by_bucket in found.items():
        seconds = by_bucket.pop(tallies.SUM, 0.0)
        bounds = dict.fromkeys((*tallies.BUCKETS[total.tally], float(tallies.INF)), 0.0)
        for bucket, number in by_bucket.items():
            bounds[float(bucket)] = number
        family.add_metric(labels_of, _cumulated(bounds), seconds)
    return family


def _cumulated(bounds: Mapping[float, float]) -> list[tuple[str, float]]:
    so_far, buckets = 0.0, []
    for bound in sorted(bounds):
        so_far += bounds[bound]
        buckets.append((tallies.INF if bound == float(tallies.INF) else f"{bound:g}", so_far))
    return buckets


def _of_notices(waiting: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    number = GaugeMetricFamily("selfheal_notifications_waiting", "Notices not sent yet.", labels=["target"])
    failing = GaugeMetricFamily(
        "selfheal_notifications_failing_seconds",
        "Since when the oldest notice that failed to arrive has been tried; 0 where all arrive.",
        labels=["target"],
    )
    for row in waiting:
        number.add_metric([row["target"]], row["notices"])
        failing.add_metric([row["target"]], row["failing_seconds"])
    yield from (number, failing)

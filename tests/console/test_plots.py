"""The series around an incident, by a real Prometheus; and a page that stands whatever Prometheus does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from graph.fakes import FakeActions
from graph.ports import PermanentError, TemporaryError
from graph.records import Alert
from server.console.plots.asking import AsksPrometheus, graphs_of
from server.console.plots.page import capture, plots_of
from server.console.plots.times import Span, firing_of, marks_of, span_of
from server.services import Runtime, Services
from tests.server.web import RESTART, client_of, end_leg, finished, make_services, opened, running
from tests.tools.real_prometheus import running_prometheus
from tools.clients.prometheus import PrometheusClient, Series

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def minutes(number: float) -> str:
    return (NOW + timedelta(minutes=number)).isoformat()


def record(fired: float = 0, closed: float | None = None, **more: Any) -> dict[str, Any]:
    """A record as the store tells it; times in minutes from noon."""
    outcome = {"status": "mitigated"} if closed is not None else None
    return {
        "number": 1,
        "alerts": [{"status": "firing", "labels": {"alertname": "Down"}, "startsAt": minutes(fired)}],
        "received_at": minutes(fired),
        "outcome": outcome,
        "times": {"closed": minutes(closed), "verified": minutes(closed - 1)} if closed is not None else None,
        "actions": [],
        "resource": None,
        **more,
    }


def at(span_minute: float) -> float:
    return (NOW + timedelta(minutes=span_minute)).timestamp()


@pytest.mark.parametrize(
    ("closed", "now", "ends", "over"),
    [(None, 2, 2, False), (5, 8, 8, False), (5, 20, 20, True), (5, 600, 20, True)],
)
def test_it_shows_half_an_hour_before_to_a_quarter_after(
    closed: float | None, now: float, ends: float, over: bool
) -> None:
    span = span_of(record(0, closed), NOW + timedelta(minutes=now))
    assert (span.start, span.end, span.over) == (at(-30), at(ends), over)


def test_a_short_incident_is_looked_at_closely_and_no_more_is_asked_for_than_120_points() -> None:
    wide, close = span_of(record(0, 1), NOW + timedelta(minutes=60)).windows
    assert (close.start, close.end) == (at(-1), at(2)) and close.step < 5 < wide.step
    assert sum((window.end - window.start) / window.step + 1 for window in (wide, close)) <= 121
    [only] = span_of(record(0, 200), NOW + timedelta(minutes=300)).windows
    assert (only.end - only.start) / only.step + 1 <= 121


def test_an_alert_whose_end_was_never_told_fired_until_it_was_seen_healthy() -> None:
    given = record(0, 5)
    span = span_of(given, NOW + timedelta(minutes=60))
    assert firing_of(given["alerts"][0], given, span) == (at(0), at(4))
    told = {**given["alerts"][0], "status": "resolved", "endsAt": minutes(3)}
    assert firing_of(told, given, span) == (at(0), at(3))
    still = record(0)
    assert firing_of(still["alerts"][0], still, span_of(still, NOW + timedelta(minutes=9))) == (at(0), at(9))


def test_actions_are_numbered_in_their_order_and_an_undo_says_so() -> None:
    actions = [
        {"started_at": minutes(1), "rendered": "restart web", "undo": False},
        {"started_at": minutes(2), "rendered": "put it back", "undo": True},
    ]
    given = record(0, 5, actions=actions)
    marks = marks_of(given, span_of(given, NOW + timedelta(minutes=60)))
    assert [(mark.number, mark.at, mark.label) for mark in marks] == [
        (1, at(1), "restart web"),
        (2, at(2), "undo: put it back"),
    ]


# -- what is asked -------------------------------------------------------------------------------------------


class Answers:
    """A Prometheus that knows these expressions, and answers every range alike."""

    def __init__(self, rules: Mapping[str, str], answer: Sequence[Mapping[str, str]] | Exception = ()) -> None:
        self.rules = rules
        self.answer = answer
        self.asked: list[str] = []

    async def expression(self, alert: Alert) -> str | None:
        return self.rules.get(alert.name)

    async def range(self, query: str, start: datetime, end: datetime, step: float) -> tuple[Series, ...]:
        self.asked.append(query)
        if isinstance(self.answer, Exception):
            raise self.answer
        return tuple(Series(labels, ((start, 1.0), (end, float("nan")), (end, 2.0))) for labels in self.answer)


def of(*names: str, **labels: str) -> dict[str, Any]:
    bodies = [
        {"status": "firing", "labels": {"alertname": name, "resource_id": "a", **labels}, "startsAt": minutes(0)}
        for name in names
    ]
    resource = {
        "id": "a",
        "kind": "Instance",
        "address": "10.0.0.1",
        "transport": "local",
        "traffic": "sum(rate(x[1m]))",
    }
    return record(0, 5, alerts=bodies, resource=resource)


def span() -> Span:
    return span_of(record(0, 5), NOW + timedelta(minutes=60))


async def test_each_alert_has_its_rule_drawn_then_whether_targets_are_up_then_the_traffic() -> None:
    asked = Answers({"HighCpu": "cpu > 85"}, [{"resource_id": "a"}])
    graphs = await graphs_of(asked, of("HighCpu", "Unknown"), span())
    assert [(graph.title, graph.query, graph.threshold) for graph in graphs] == [
        ("HighCpu", "cpu", 85.0),
        ("Targets up", "up", None),
        ("Traffic", "sum(rate(x[1m]))", None),
    ]
    assert 'label_replace(vector(1), "resource_id", "a", "", "")' in asked.asked[0]


async def test_there_are_three_at_most_and_none_twice() -> None:
    rules = {"A": "a > 1 or b > 1", "B": "up == 0", "C": "a > 1"}
    graphs = await graphs_of(Answers(rules, [{"resource_id": "a"}]), of("A", "B", "C"), span())
    assert [(graph.title, graph.query) for graph in graphs] == [("A", "a"), ("B", "up"), ("A", "b")]


async def test_series_of_something_else_are_left_out_and_the_rest_told_apart() -> None:
    found = [
        {"resource_id": "a", "mountpoint": "/srv", "device": "sdb"},
        {"resource_id": "b", "mountpoint": "/"},
        {"resource_id": "a", "mountpoint": "/", "device": "sda"},
    ]
    disk, *_ = await graphs_of(Answers({"DiskFull": "disk > 90"}, found), of("DiskFull", device="sda"), span())
    assert [line.name for line in disk.lines] == ["device sda, mountpoint /"]
    wider, *_ = await graphs_of(Answers({"DiskFull": "disk > 90"}, found), of("DiskFull"), span())
    assert [line.name for line in wider.lines] == ["device sda, mountpoint /", "device sdb, mountpoint /srv"]
    assert all(value == value for line in wider.lines for _, value in line.points)


async def test_what_would_read_too_much_is_not_asked() -> None:
    asked = Answers({"Slow": "rate(x[400d]) > 1"}, [{"resource_id": "a"}])
    slow, *_ = await graphs_of(asked, of("Slow"), span())
    assert slow.lines == () and "as it would read too much: a range reaches back 1d at most" in slow.problem
    assert not any("400d" in query for query in asked.asked)


@pytest.mark.parametrize(("error", "answered"), [(TemporaryError("away"), False), (PermanentError("bad"), True)])
async def test_what_prometheus_refuses_is_a_sentence(error: Exception, answered: bool) -> None:
    graphs = await graphs_of(Answers({"A": "a > 1"}, error), of("A"), span())
    assert {(graph.problem, graph.answered) for graph in graphs} == {(f"No data: {error}", answered)}


async def test_no_series_is_a_sentence_too() -> None:
    first, *_ = await graphs_of(Answers({"A": "a > 1"}), of("A"), span())
    assert first.problem == "No data: Prometheus has no such series of this resource in this time."


# -- a real Prometheus -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prometheus() -> Iterator[str]:
    with running_prometheus() as url:
        yield url


def live(*names: str, **labels: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    about = {"resource_kind": "Instance", "resource_id": "inst-1", **labels}
    bodies = [
        {
            "status": "firing",
            "labels": {"alertname": name, **about},
            "startsAt": (now - timedelta(seconds=2)).isoformat(),
        }
        for name in names
    ]
    resource = {"id": "inst-1", "kind": "Instance", "address": "10.0.0.1", "transport": "local"}
    return record(alerts=bodies, received_at=now.isoformat(), resource=resource)


async def test_the_rule_of_an_alert_is_found_narrowed_and_drawn(prometheus: str) -> None:
    client = PrometheusClient(prometheus)
    try:
        given = live("TargetDown", job="gone")
        [down] = await graphs_of(client, given, span_of(given, datetime.now(UTC)))
        assert (down.title, down.query, down.comparison, down.threshold) == ("TargetDown", "up", "==", 0.0)
        assert [line.points[-1][1] for line in down.lines] == [0.0]
        assert not down.problem
    finally:
        await client.close()


async def test_a_rule_that_names_the_resource_itself_is_drawn_without_narrowing(prometheus: str) -> None:
    client = PrometheusClient(prometheus)
    try:
        given = live("AlwaysFires", severity="critical")
        always, up = await graphs_of(client, given, span_of(given, datetime.now(UTC)))
        assert (always.query, [line.points[-1][1] for line in always.lines]) == ("vector(1)", [1.0])
        assert sorted(line.name for line in up.lines) != [] and len(up.lines) == 2
    finally:
        await client.close()


async def test_prometheus_says_what_is_wrong_with_a_query(prometheus: str) -> None:
    client = PrometheusClient(prometheus)
    try:
        given = live("NoSuchRule")
        url = "http://p/graph?g0.expr=no_such_function%28up%29+%3E+1"
        given["alerts"][0]["generatorURL"] = url
        wrong, *_ = await graphs_of(client, given, span_of(given, datetime.now(UTC)))
        assert "unknown function" in wrong.problem and wrong.answered
    finally:
        await client.close()


# -- the page --------------------------------------------------------------------------------------------------


def with_prometheus(asked: AsksPrometheus) -> Any:
    @asynccontextmanager
    async def load(services: Services) -> Any:
        yield Runtime(FakeActions({"restart": RESTART}), lambda: None, asked)

    return load


async def test_the_piece_for_the_page_comes_alone_and_the_whole_page_without_scripts(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    asked = Answers({"InstanceDown": "up == 0"}, [{"resource_id": "inst-abc123", "job": "<b>node</b>"}])
    async with running(services, with_prometheus(asked)) as client:
        await opened(client)
        while services.runtime is None:
            await client.get("/readyz")
        piece = await client.get("/incidents/1/plots", headers={"HX-Request": "true"})
        assert piece.status_code == 200 and "<html" not in piece.text and "<svg" in piece.text
        assert "default-src 'none'" in piece.headers["content-security-policy"]
        assert "<b>node" not in piece.text and "style=" not in piece.text
        whole = await client.get("/incidents/1/plots")
        assert "<html" in whole.text and "<svg" in whole.text and 'href="/incidents/1"' in whole.text
        assert (await client.get("/incidents/99/plots")).status_code == 404


async def test_without_prometheus_the_page_says_so(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    async with running(services, with_prometheus(Answers({}, TemporaryError("it is away")))) as client:
        await opened(client)
        while services.runtime is None:
            await client.get("/readyz")
        piece = await client.get("/incidents/1/plots", headers={"HX-Request": "true"})
        assert piece.status_code == 200 and "No data: it is away" in piece.text and "<svg" not in piece.text


async def test_nobody_without_a_token_sees_them(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    async with running(services) as client:
        await opened(client)
        app = client._transport.app  # type: ignore[attr-defined]
        async with client_of(app, token="wrong") as stranger:
            assert (await stranger.get("/incidents/1/plots")).status_code == 401


async def test_what_is_over_is_kept_once_prometheus_answers_and_shown_when_it_has_forgotten(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    async with running(services) as client:
        store, at = services.store, datetime.now(UTC) - timedelta(hours=1)
        store._now = lambda: at
        incident_id = await opened(client)
        await end_leg(services, incident_id, finished_at(at))
        store._now = lambda: datetime.now(UTC)
        assert await store.plots.missing(900, 86_400, 5) == [incident_id]
        assert not await capture(store, Answers({}, TemporaryError("away")), incident_id)
        assert await store.plots.missing(900, 86_400, 5) == [incident_id]
        found = [{"resource_id": "inst-abc123"}]
        assert await capture(store, Answers({"InstanceDown": "up == 0"}, found), incident_id)
        assert await store.plots.missing(900, 86_400, 5) == []
        shown = await store.incident(incident_id)
        assert shown is not None
        [plot] = await plots_of(services, shown)  # Nobody is there to be asked: it is what was kept.
        assert plot.title == "InstanceDown" and plot.svg and plot.sentence.endswith("the alert fires at 0.")


def finished_at(at: datetime) -> Any:
    end = finished("mitigated")
    times = end.outcome.times.model_copy(update={"closed": at})
    return type(end)(end.outcome.model_copy(update={"times": times}))

"""PromQL asked of a real Prometheus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from graph.fakes import FakeClock
from graph.records import utc_now
from tests.tools.http_faults import closed_port
from tests.tools.inquiring import ask, context, host
from tests.tools.real_prometheus import running_prometheus
from tools.clients.prometheus import PrometheusClient
from tools.evidence import EvidenceContext
from tools.inquiries.prometheus_range import MOST_POINTS, step_of


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_prometheus() as url:
        yield url


@pytest.fixture
async def given(url: str) -> AsyncIterator[EvidenceContext]:
    prometheus = PrometheusClient(url)
    yield context(prometheus=prometheus, clock=FakeClock(utc_now()))
    await prometheus.close()


async def test_an_instant_tells_each_series_and_what_they_share(given: EvidenceContext) -> None:
    found = await ask("prometheus_instant", {"query": "up"}, host("web"), given)
    assert found.asked.startswith("instant at 20") and found.asked.endswith("Z: up")
    lines = found.text.splitlines()
    assert lines[0].startswith("all: up{") and 'resource_id="inst-1"' in lines[0]
    assert 'job="node"' in lines[1] and lines[1].endswith(" 1")
    assert 'job="gone"' in lines[2] and lines[2].endswith(" 0")


async def test_a_range_tells_the_shape_of_each_series(given: EvidenceContext) -> None:
    query = "vector(1) or label_replace(vector(time()), 'name', 'clock', '', '')"
    found = await ask("prometheus_range", {"query": query, "minutes": 5}, host("web"), given)
    clock, one = found.text.splitlines()
    assert clock.startswith('{name="clock"} last ') and "rose from" in clock and clock.endswith("█")
    assert one == "constant 1"
    assert "step 5s" in found.asked


async def test_no_series_is_no_data_and_a_wrong_query_is_told_in_its_servers_words(given: EvidenceContext) -> None:
    for tool in ("prometheus_instant", "prometheus_range"):
        nothing = await ask(tool, {"query": "nobody_has_this", "until": "alert"}, host("web"), given)
        assert nothing.status == "no_data"
        wrong = await ask(tool, {"query": "rate(up)" + " " * 300}, host("web"), given)
        assert wrong.status == "failed" and "expected type range vector" in wrong.text


async def test_what_is_no_number_is_told_so(given: EvidenceContext) -> None:
    assert (await ask("prometheus_instant", {"query": "vector(0) / 0"}, host("web"), given)).text.endswith("NaN")
    found = await ask("prometheus_range", {"query": "vector(0) / 0", "minutes": 1}, host("web"), given)
    assert found.status == "observed" and found.text.startswith("no number")


async def test_a_prometheus_that_does_not_answer_is_told_as_failed() -> None:
    prometheus = PrometheusClient(f"http://127.0.0.1:{closed_port()}")
    found = await ask("prometheus_range", {"query": "up"}, host("web"), context(prometheus=prometheus))
    assert found.status == "failed" and "can't be reached" in found.text
    await prometheus.close()


def test_a_window_never_has_more_points_than_it_may() -> None:
    assert all(minutes * 60 / step_of(minutes) + 1 <= MOST_POINTS for minutes in range(1, 1441))

"""The Prometheus client: on a real Prometheus, and on servers that misbehave."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import pytest

from graph.ports import PermanentError, TemporaryError
from graph.records import Alert
from tests.tools.http_faults import answering, closed_port, dripping, faulty_server, hanging
from tests.tools.real_prometheus import running_prometheus
from tools.clients.alert_rules import state_by_expression, state_by_rules
from tools.clients.circuit import FAILURES
from tools.clients.prometheus import PrometheusClient, selector


@pytest.fixture(scope="module")
def prometheus_url() -> Iterator[str]:
    with running_prometheus() as url:
        yield url


@pytest.fixture
async def client(prometheus_url: str) -> AsyncIterator[PrometheusClient]:
    made = PrometheusClient(prometheus_url)
    yield made
    await made.close()


def alert(name: str, generator: str = "", **labels: str) -> Alert:
    return Alert(status="firing", labels={"alertname": name, **labels}, generatorURL=generator)


def graph_url(expression: str, host: str = "prometheus.invalid:9090") -> str:
    return f"http://{host}/graph?g0.expr={quote_plus(expression)}&g0.tab=1"


# -- a real Prometheus -----------------------------------------------------------------------------------


async def test_an_instant_query_gives_labels_value_and_an_aware_time(client: PrometheusClient) -> None:
    [sample] = await client.instant(selector("up", job="node"))
    assert sample.value == 1
    assert sample.labels["resource_id"] == "inst-1"
    assert sample.at.utcoffset() == timedelta(0)


async def test_a_scalar_is_one_sample_without_labels(client: PrometheusClient) -> None:
    [sample] = await client.instant("1 + 1")
    assert (sample.value, dict(sample.labels)) == (2.0, {})


async def test_a_range_query_keeps_the_fractions_of_its_times(client: PrometheusClient) -> None:
    end = datetime.now(UTC).replace(microsecond=250_000)
    [series] = await client.range("vector(7)", end - timedelta(seconds=10), end, 5)
    assert [value for _, value in series.points] == [7.0, 7.0, 7.0]
    assert series.points[-1][0] == end


@pytest.mark.parametrize(
    "value", ['in"1', "back\\slash", "new\nline", '"} or vector(1) or up{job="', "\x00\x7f", "ü€😀"]
)
async def test_no_label_value_gets_out_of_its_quotes(client: PrometheusClient, value: str) -> None:
    assert await client.instant(selector("up", job=value)) == ()


@pytest.mark.parametrize(
    ("name", "state"), [("AlwaysFires", "firing"), ("NeverFires", "inactive"), ("Waits", "pending")]
)
async def test_the_rules_api_tells_the_state_of_an_alert(client: PrometheusClient, name: str, state: str) -> None:
    found = await client.alert_state(alert(name, resource_id="inst-1", severity="critical", cluster="west"))
    assert (found.state, found.by) == (state, "rules")


async def test_only_the_alerts_own_target_counts(client: PrometheusClient) -> None:
    common = {"resource_id": "inst-1", "resource_kind": "Instance"}
    assert (await client.alert_state(alert("TargetDown", job="gone", **common))).state == "firing"
    assert (await client.alert_state(alert("TargetDown", job="node", **common))).state == "inactive"


async def test_an_alert_without_a_rule_is_judged_by_its_expression(client: PrometheusClient) -> None:
    firing = alert("NotHere", graph_url("up == 0"), job="gone", resource_id="inst-1")
    cleared = alert("NotHere", graph_url("up == 0"), job="node", resource_id="inst-1")
    assert (await client.alert_state(firing)).state == "firing"
    found = await client.alert_state(cleared)
    assert (found.state, found.by) == ("inactive", "expression")


async def test_the_host_in_a_generator_url_is_never_visited(client: PrometheusClient) -> None:
    with faulty_server(answering(200, "{}")) as elsewhere:
        url = graph_url("vector(1)", elsewhere.url.removeprefix("http://"))
        assert (await client.alert_state(alert("NotHere", url))).state == "firing"
    assert elsewhere.asked == []


async def test_an_alert_nobody_can_ask_for_is_told_as_such(client: PrometheusClient) -> None:
    found = await client.alert_state(alert("NotHere", "::not a url::"))
    assert (found.state, found.by) == ("unknown", "nothing")
    assert "NotHere" in found.observed


async def test_a_query_prometheus_refuses_is_a_permanent_error_in_its_words(client: PrometheusClient) -> None:
    with pytest.raises(PermanentError, match="parse error"):
        await client.instant("up{")


# -- servers that misbehave ------------------------------------------------------------------------------


async def failure_of(url: str, seconds: float = 0.6) -> Exception:
    client = PrometheusClient(url, timeout=seconds)
    try:
        with pytest.raises((TemporaryError, PermanentError)) as caught:
            await client.instant("up")
        return caught.value
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (200, "<html>sign in</html>", PermanentError, "prometheus.url"),
        (200, '{"status": "success"}', PermanentError, "prometheus.url"),
        (200, '{"data": {"result": [{"metric": 1}]}}', PermanentError, "prometheus.url"),
        (200, '{"data": {"result": [{"metric": {}, "value": ["x", "y"]}]}}', PermanentError, "can't read"),
        (500, "boom", TemporaryError, "HTTP 500: boom"),
        (503, '{"status":"error","error":"query timed out"}', TemporaryError, "query timed out"),
        (429, "slow down", TemporaryError, "429"),
        (404, "no", PermanentError, "404"),
        (401, "password=hunter2", PermanentError, "credentials"),
    ],
)
async def test_an_answer_that_is_none_tells_who_was_asked_what_and_what_came(
    status: int, body: str, kind: type[Exception], says: str
) -> None:
    with faulty_server(answering(status, body)) as server:
        error = await failure_of(server.url)
    assert isinstance(error, kind)
    assert says in str(error) and server.url in str(error) and "'up'" in str(error)
    assert "hunter2" not in str(error)
    assert len(server.asked) == 1, "nothing is retried in hiding"


async def test_a_server_that_hangs_is_a_temporary_error() -> None:
    released = threading.Event()
    with faulty_server(hanging(released)) as server:
        error = await failure_of(server.url)
        released.set()
    assert isinstance(error, TemporaryError) and "did not answer within" in str(error)


async def test_a_server_that_drips_is_a_temporary_error() -> None:
    released = threading.Event()
    with faulty_server(dripping(released)) as server:
        error = await failure_of(server.url)
        released.set()
    assert isinstance(error, TemporaryError)


async def test_a_refused_connection_is_a_temporary_error() -> None:
    error = await failure_of(f"http://127.0.0.1:{closed_port()}")
    assert isinstance(error, TemporaryError) and "can't be reached" in str(error)


async def test_what_failed_again_and_again_is_not_asked_and_html_is_no_such_failure() -> None:
    with faulty_server(answering(503, "no")) as sick, faulty_server(answering(200, "<html>")) as wrong:
        for server, asked in ((sick, FAILURES), (wrong, FAILURES + 2)):
            client = PrometheusClient(server.url)
            for _ in range(FAILURES + 2):
                with pytest.raises((TemporaryError, PermanentError)) as caught:
                    await client.instant("up")
            assert len(server.asked) == asked
            assert ("not asked" in str(caught.value)) == (server is sick)
            await client.close()


async def test_redirects_are_told_and_not_followed() -> None:
    with (
        faulty_server(answering(200, "{}")) as elsewhere,
        faulty_server(answering(302, "", Location=elsewhere.url)) as server,
    ):
        error = await failure_of(server.url)
    assert isinstance(error, PermanentError) and "redirects are not followed" in str(error)
    assert elsewhere.asked == []


async def test_credentials_in_the_url_are_not_told() -> None:
    error = await failure_of(f"http://admin:hunter2@127.0.0.1:{closed_port()}")
    assert "hunter2" not in str(error)


# -- which active alert is ours ----------------------------------------------------------------------------


def rule(name: str, *active: dict[str, str], state: str = "firing", **more: Any) -> dict[str, Any]:
    alerts = [{"labels": {"alertname": name, **labels}, "state": state} for labels in active]
    return {"name": name, "type": "alerting", "health": "ok", "alerts": alerts, **more}


@pytest.mark.parametrize(
    ("labels", "rules", "expected"),
    [
        ({"job": "a"}, [rule("X", {"job": "a"})], "firing"),
        ({"job": "a"}, [rule("X", {"job": "b"})], "inactive"),
        # external_labels are added after the rule
        ({"job": "a", "cluster": "west"}, [rule("X", {"job": "a"})], "firing"),
        # the minimal body leaves labels out: what may be ours counts as ours
        ({"resource_id": "r"}, [rule("X", {"job": "a", "resource_id": "r"})], "firing"),
        ({"resource_id": "r"}, [rule("X", {"job": "a", "resource_id": "s"})], "inactive"),
        # of two rules of one name the worse counts
        ({"job": "a"}, [rule("X", {"job": "a"}, state="pending"), rule("X", {"job": "a"})], "firing"),
        # an exact match goes before one that could be
        ({"job": "a"}, [rule("X", {"job": "a"}, state="pending"), rule("X", {"job": "a", "disk": "b"})], "pending"),
        ({"job": "a"}, [rule("X")], "inactive"),
        ({"job": "a"}, [rule("X", health="err", lastError="many-to-many")], "unknown"),
        ({"job": "a"}, [rule("X", health="unknown")], "unknown"),
        ({"job": "a"}, [rule("Y", {"job": "a"})], None),
        ({"job": "a"}, [], None),
    ],
)
def test_doubt_counts_as_still_firing(labels: dict[str, str], rules: list[Any], expected: str | None) -> None:
    found = state_by_rules(alert("X", **labels), [{"rules": rules}])
    assert (found.state if found else None) == expected


def test_a_sample_of_another_target_does_not_keep_an_alert_firing() -> None:
    ours = alert("X", job="a", severity="critical")
    assert state_by_expression(ours, "up", [{"__name__": "up", "job": "b"}]).state == "inactive"
    assert state_by_expression(ours, "up", [{"__name__": "up", "job": "a"}]).state == "firing"
    assert state_by_expression(ours, "up", []).state == "inactive"


async def test_strange_rules_are_a_permanent_error() -> None:
    body = json.dumps({"data": {"groups": [{"rules": [{"nome": "X"}]}]}})
    with faulty_server(answering(200, body)) as server:
        client = PrometheusClient(server.url)
        with pytest.raises(PermanentError, match="can't read"):
            await client.alert_state(alert("X"))
        await client.close()

"""Alertmanager's API by the real one; and what is said when it is away, slow or something else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import pytest_asyncio

from graph.ports import PermanentError, TemporaryError
from graph.records import Alert, Incident
from tests.tools.real_alertmanager import RealAlertmanager, running_alertmanager
from tools.clients.alertmanager import AlertmanagerClient
from tools.suppressions import OURS, AlertmanagerSuppressions

NOW = datetime.now(UTC)
# Far enough ahead that a long suite, which reads this file at its very beginning, can't come too late.
SOON = NOW + timedelta(hours=12)


def labels(name: str, resource_id: str) -> dict[str, str]:
    return {"alertname": name, "resource_kind": "Instance", "resource_id": resource_id}


def incident(*alerts: dict[str, str]) -> Incident:
    return Incident(
        id="0190d0a0-0000-7000-8000-000000000001",
        number=1,
        resource_kind="Instance",
        resource_id=alerts[0]["resource_id"],
        issue_types=("service_down",),
        alerts=tuple(Alert(status="firing", labels=item, fingerprint=f"sent-{item['alertname']}") for item in alerts),
        received_at=NOW,
    )


@pytest.fixture(scope="module")
def real() -> Iterator[RealAlertmanager]:
    with running_alertmanager() as made:
        yield made


@pytest_asyncio.fixture
async def client(real: RealAlertmanager) -> AsyncIterator[AlertmanagerClient]:
    made = AlertmanagerClient(real.url)
    yield made
    await made.close()


async def test_an_alert_is_found_by_its_labels_and_silenced_by_all_of_them(
    real: RealAlertmanager, client: AlertmanagerClient
) -> None:
    odd = labels("Odd", "a") | {"path": 'C:\\tmp "x"\n{ü}', "empty": ""}
    real.fires(odd)
    real.fires(odd | {"path": "another"})
    found = await client.alerts(resource_id="a", path=odd["path"])
    assert [item.labels["path"] for item in found] == [odd["path"]]
    silence_id = await client.put(found[0].labels, NOW, SOON, "someone", "why")
    silenced = {item.labels["path"]: item.silenced_by for item in await client.alerts(resource_id="a")}
    assert silenced == {odd["path"]: (silence_id,), "another": ()}


async def test_a_silence_is_extended_under_its_own_id_and_ended(client: AlertmanagerClient) -> None:
    silence_id = await client.put(labels("Some", "b"), NOW, SOON, "someone", "why")
    before = await client.silence(silence_id)
    assert before is not None and before.active and before.exact == labels("Some", "b")
    later = SOON + timedelta(minutes=5)
    kept = await client.put(before.exact, before.starts_at, later, "someone", "why", silence_id=silence_id)
    after = await client.silence(silence_id)
    assert kept == silence_id and after is not None
    assert abs((after.ends_at - later).total_seconds()) < 1
    await client.expire(silence_id)
    ended = await client.silence(silence_id)
    assert ended is not None and not ended.active
    assert silence_id in {item.id for item in await client.silences()}


async def test_ending_what_is_over_or_unknown_is_no_error(client: AlertmanagerClient) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    silence_id = await client.put(labels("Some", "c"), NOW, SOON, "someone", "why")
    for _ in range(2):
        await client.expire(silence_id)
    await client.expire(unknown)
    assert await client.silence(unknown) is None


async def test_others_silences_are_told_with_who_until_when_and_why(
    real: RealAlertmanager, client: AlertmanagerClient
) -> None:
    down = labels("Down", "d")
    real.fires(down)
    real.silence({"resource_id": "d"}, "alice", "maintenance\n of the <b>rack</b> password=hunter2")
    said = await AlertmanagerSuppressions(client).of(incident(down, labels("Another", "d")))
    assert list(said) == ["sent-Down"]
    assert said["sent-Down"].startswith("silenced by alice until 20")
    assert "maintenance of the <b>rack</b>" in said["sent-Down"] and "hunter2" not in said["sent-Down"]


async def test_our_own_silence_keeps_us_from_nothing(real: RealAlertmanager, client: AlertmanagerClient) -> None:
    down = labels("Down", "e")
    real.fires(down)
    real.silence(down, OURS)
    asked = AlertmanagerSuppressions(client)
    assert await asked.of(incident(down)) == {}
    real.silence(down, "bob")
    assert "silenced by bob" in (await asked.of(incident(down)))["sent-Down"]


async def test_an_inhibited_alert_is_told_with_what_inhibits_it(
    real: RealAlertmanager, client: AlertmanagerClient
) -> None:
    down = labels("Down", "f")
    real.fires(down)
    real.fires({"alertname": "SiteDown", "site": "west"})
    try:
        said = await AlertmanagerSuppressions(client).of(incident(down))
        assert said == {"sent-Down": "Down is inhibited by SiteDown"}
    finally:
        real.resolves({"alertname": "SiteDown", "site": "west"})


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (503, "later", TemporaryError, "answered HTTP 503: later"),
        (401, "", PermanentError, "check alertmanager.user and password_file, or token_file"),
        (404, "page not found", PermanentError, "is alertmanager.url right?"),
        (302, "", PermanentError, "redirects are not followed"),
        (200, "<html>", PermanentError, "gave no JSON"),
        (200, '{"data": 1}', PermanentError, "an answer we can't read"),
        (200, "", PermanentError, "an answer we can't read"),
    ],
)
async def test_what_is_no_answer_is_told_with_whom_was_asked_what(
    status: int, body: str, error: type[Exception], said: str
) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(status, text=body))
    client = AlertmanagerClient("http://user:secret@am.example.com:9093/", transport=transport)
    with pytest.raises(error) as caught:
        await client.alerts()
    assert "Alertmanager at http://am.example.com:9093, asked GET /alerts," in str(caught.value)
    assert said in str(caught.value) and "secret" not in str(caught.value)


async def test_one_that_is_away_may_answer_later() -> None:
    with pytest.raises(TemporaryError, match=r"can't be reached"):
        await AlertmanagerClient("http://127.0.0.1:9").silences()


async def test_it_shows_its_token_or_its_user(real: RealAlertmanager) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json=[])

    transport = httpx.MockTransport(answer)
    await AlertmanagerClient("http://am", token="t0ken", transport=transport).alerts()
    await AlertmanagerClient("http://am", basic=("us", "pass"), transport=transport).alerts()
    assert seen == ["Bearer t0ken", "Basic dXM6cGFzcw=="]

"""Alertmanager's door: what is promised with a 202, and what hostile senders get."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.store import Store
from tests.server.hostile import ACCEPTED, REFUSED, Hostile, alert, body
from tests.server.web import TOKENS, alert_body, client_of, load_fakes, make_services, running

HOOK = "/webhooks/alertmanager"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(make_services(tmp_path)) as client:
        yield client


@pytest.mark.parametrize("hostile", REFUSED, ids=lambda hostile: hostile.name)
async def test_a_body_that_makes_no_sense_is_refused_naming_the_field(
    client: httpx.AsyncClient, hostile: Hostile
) -> None:
    answer = await client.post(HOOK, content=hostile.body)
    assert answer.status_code == hostile.status
    assert answer.json()["field"].startswith(hostile.field)
    assert answer.json()["error"] and answer.json()["remedy"]
    assert (await client.get("/api/incidents")).json()["incidents"] == []


@pytest.mark.parametrize("hostile", ACCEPTED, ids=lambda hostile: hostile.name)
async def test_a_strange_alert_is_taken_on_and_can_be_read_back(client: httpx.AsyncClient, hostile: Hostile) -> None:
    answer = await client.post(HOOK, content=hostile.body)
    assert answer.status_code == 202, answer.text
    (told,) = answer.json()["incidents"]
    assert told["reason"]
    if told["decision"] == "opened":
        record = await client.get(f"/api/incidents/{told['id']}")
        assert record.status_code == 200 and record.json()["alerts"]


async def test_the_answer_names_each_alert_in_its_order(client: httpx.AsyncClient) -> None:
    answer = (await client.post(HOOK, json=alert_body(names=("InstanceDown", "ProbeFailed")))).json()
    assert answer["received"] == 2
    first, second = answer["incidents"]
    assert (first["decision"], second["decision"]) == ("opened", "joined")
    assert first["id"] == second["id"]


async def test_the_same_alert_again_joins(client: httpx.AsyncClient) -> None:
    for decision in ("opened", "joined", "joined"):
        answer = await client.post(HOOK, json=alert_body())
        assert answer.json()["incidents"][0]["decision"] == decision
    assert len((await client.get("/api/incidents")).json()["incidents"]) == 1


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        ({"alertname": "Watchdog"}, "resource_kind and resource_id"),
        ({"alertname": "X", "resource_kind": "Toaster", "resource_id": "t"}, "Toaster"),
        ({"alertname": "X", "resource_kind": "Instance", "resource_id": "nobody"}, "nobody"),
    ],
)
async def test_an_alert_that_cannot_be_placed_is_recorded_and_escalated(
    client: httpx.AsyncClient, labels: dict[str, str], named: str
) -> None:
    told = (await client.post(HOOK, content=body(alert(labels=labels)))).json()["incidents"][0]
    record = (await client.get(f"/api/incidents/{told['id']}")).json()
    assert record["phase"] == "escalated"
    assert named in record["outcome"]["reason"]


async def test_a_broken_alert_does_not_lose_its_siblings(client: httpx.AsyncClient) -> None:
    answer = await client.post(HOOK, content=body("broken", alert(), alert(labels={"a": 1})))
    assert answer.status_code == 202
    first, second, third = answer.json()["incidents"]
    assert (first["decision"], first["field"], first["id"]) == ("ignored", "alerts[0]", None)
    assert second["decision"] == "opened"
    assert (third["decision"], third["field"]) == ("ignored", "alerts[2].labels.a")


async def test_what_was_answered_202_is_on_disk_at_that_moment(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    async with running(services) as client:
        told = (await client.post(HOOK, json=alert_body())).json()["incidents"][0]
        second = Store.open(services.settings.database_url)
        try:
            assert (await second.incident(told["id"])) is not None
        finally:
            await second.close()


async def test_ten_megabytes_are_refused_without_being_read(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    async with running(services) as client:
        sent = 0

        async def stream() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(160):
                sent += 65536
                yield b"x" * 65536

        answer = await client.post(HOOK, content=stream())
        assert answer.status_code == 413 and "max_alerts" in answer.json()["remedy"]
        assert sent < 3 * services.settings.limits.max_body_bytes
        declared = await client.post(HOOK, content=b"{}", headers={"content-length": "10485760"})
        assert declared.status_code == 413


async def test_too_many_waiting_incidents_answer_503_for_alertmanager_to_retry(tmp_path: Path) -> None:
    resources = [{"id": f"i{n}", "kind": "Instance", "address": "x", "transport": "local"} for n in range(3)]
    services = make_services(tmp_path, limits={"max_queued": 2}, resources=resources)
    async with running(services) as client:
        for n in range(2):
            assert (await client.post(HOOK, json=alert_body(resource_id=f"i{n}"))).status_code == 202
        answer = await client.post(HOOK, json=alert_body(resource_id="i2"))
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0


async def test_a_store_that_cannot_be_written_answers_503(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    async with running(services) as client:
        services.store._db._engine.dispose()
        services.store._db._own = None
        (tmp_path / "selfheal.db").unlink()
        (tmp_path / "selfheal.db").mkdir()
        for name in ("selfheal.db-wal", "selfheal.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        answer = await client.post(HOOK, json=alert_body())
        assert answer.status_code == 503 and answer.headers["retry-after"]
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/api/incidents")).status_code == 503
        assert (await client.get("/healthz")).status_code == 200


async def test_alerts_are_taken_on_before_the_part_that_heals_is_there(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    from server.app import create_app

    app = create_app(services, load_fakes)
    async with client_of(app, TOKENS.webhook) as client:
        assert (await client.post(HOOK, json=alert_body())).status_code == 202
        ready = await client.get("/readyz")
        assert ready.status_code == 503 and "still starting" in ready.json()["error"]
    await services.store.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ALERTS = st.fixed_dictionaries(
    {"status": st.sampled_from(["firing", "resolved"]) | JSON},
    optional={
        "labels": st.dictionaries(
            st.sampled_from(["alertname", "resource_kind", "resource_id", "issue_type", "x"]),
            st.sampled_from(["Instance", "inst-abc123", "InstanceDown"]) | st.text(max_size=30) | JSON,
            max_size=5,
        )
        | JSON,
        "annotations": st.dictionaries(st.text(max_size=5), st.text(max_size=30), max_size=2) | JSON,
        "startsAt": st.datetimes().map(lambda at: f"{at.isoformat()}Z") | JSON,
        "endsAt": JSON,
        "fingerprint": st.text(max_size=80) | JSON,
        "generatorURL": st.text(max_size=20) | JSON,
    },
)
GROUPS = st.fixed_dictionaries(
    {"alerts": st.lists(ALERTS | JSON, max_size=4) | JSON}, optional={"groupKey": JSON, "truncatedAlerts": JSON}
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=GROUPS | JSON)
async def test_no_json_is_answered_with_an_error_of_ours(client: httpx.AsyncClient, content: Any) -> None:
    answer = await client.post(HOOK, content=json.dumps(content).encode())
    assert answer.status_code in (202, 400, 422), answer.text
    assert answer.json()
    listed = await client.get("/api/incidents")
    assert listed.status_code == 200


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
async def test_no_bytes_are_answered_with_an_error_of_ours(client: httpx.AsyncClient, content: bytes) -> None:
    assert (await client.post(HOOK, content=content)).status_code in (400, 422)


async def test_what_nobody_foresaw_is_answered_in_the_one_shape_and_told_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    services = make_services(tmp_path)
    async with running(services) as client:

        async def breaks(*_: object, **__: object) -> None:
            raise RuntimeError("nobody thought of this")

        monkeypatch.setattr(services.store, "accept", breaks)
        answer = await client.post(HOOK, json=alert_body())
    assert answer.status_code == 500 and "reference" in answer.json()["error"]
    assert "nobody thought of this" in caplog.text and "nobody thought" not in answer.text

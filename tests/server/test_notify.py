"""Notices reach the operator's URL, whatever it does, and nothing secret goes with them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import httpx
import pytest

from graph.ports import PermanentError, TemporaryError
from graph.rules.notifying import Listener
from server.notify_targets import Directory
from server.notify_worker import NotifyWorker, retry_wait
from server.store import Store, Telling
from server.store.calling import SETTLED_AT_ONCE
from tests.server.web import asking, end_leg, make_services, opened, running
from tools.notify import HttpNotifier
from tools.redaction import redact

URL = "https://chat.example.com/hooks/very-secret-path"


class Receiver:
    """The other side: answers these statuses in turn, then 200. A status of 0 is a broken connection."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.requests: list[httpx.Request] = []

    def notifier(self, token: str | None = None) -> HttpNotifier:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        return HttpNotifier(URL, redact, token, client=client)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            raise httpx.ConnectError("refused")
        return httpx.Response(status, text="as you like")


def to_webhook(store: Store, receiver: Receiver) -> NotifyWorker:
    """A worker that tells the plain webhook, as `notify.url` alone configures it."""
    events = frozenset({"escalated", "approval_wanted", "demoted"})
    directory = Directory(Telling((Listener("webhook", events),)), {"webhook": receiver.notifier()})
    return NotifyWorker(store, directory, "https://selfheal.example.com")


async def test_a_notice_is_posted_as_json_with_its_token() -> None:
    receiver = Receiver()
    await receiver.notifier("t0ken").send({"event": "escalated", "number": 7})
    (request,) = receiver.requests
    assert json.loads(request.content) == {"event": "escalated", "number": 7}
    assert request.headers["authorization"] == "Bearer t0ken"


async def test_secrets_are_taken_out_however_deep() -> None:
    receiver = Receiver()
    await receiver.notifier().send({"reason": "password=hunter2", "steps": [{"rendered": "password=hunter2"}]})
    assert b"hunter2" not in receiver.requests[0].content


@pytest.mark.parametrize(
    ("status", "error"), [(0, TemporaryError), (500, TemporaryError), (429, TemporaryError), (404, PermanentError)]
)
async def test_a_failure_says_whether_to_try_again_and_never_names_the_secret_path(
    status: int, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        await Receiver(status).notifier().send({})
    assert "chat.example.com" in str(caught.value) and "very-secret" not in str(caught.value)


async def test_an_escalation_is_sent_once_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    services = make_services(tmp_path)
    receiver = Receiver()
    worker = to_webhook(services.store, receiver)
    async with running(services) as client:
        await opened(client, resource_id="nobody-knows")
        with caplog.at_level(logging.WARNING):
            assert await worker.drain() == 1
        assert await worker.drain() == 0
    notice = json.loads(receiver.requests[0].content)
    assert notice["event"] == "escalated" and notice["link"] == "https://selfheal.example.com/incidents/1"
    assert "needs a human" in notice["title"] and "nobody-knows" in notice["story"]
    assert "escalated: incident #1 on Instance/nobody-knows" in caplog.text


async def test_many_that_escalate_together_are_all_told(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    receiver = Receiver()
    many = 2 * SETTLED_AT_ONCE + 1
    async with running(services) as client:
        for number in range(many):
            await opened(client, resource_id=f"nobody-knows-{number}")
        assert await to_webhook(services.store, receiver).drain() == many
    assert len(receiver.requests) == many


async def test_a_wanted_approval_is_sent_with_plan_and_expiry(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    receiver = Receiver()
    async with running(services) as client:
        await end_leg(services, await opened(client), asking())
        await to_webhook(services.store, receiver).drain()
    notice = json.loads(receiver.requests[0].content)
    assert (notice["event"], notice["steps"]) == ("approval_wanted", ["restart(unit=web)"])
    assert notice["expires_at"] and notice["plan_fingerprint"]


async def test_a_notice_that_does_not_arrive_stays_in_the_outbox(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    services = make_services(tmp_path)
    receiver = Receiver(0, 500)
    worker = to_webhook(services.store, receiver)
    async with running(services) as client:
        await opened(client, resource_id="nobody-knows")
        await worker.drain()
        assert await worker.drain() == 0
        assert "again in 1 s" in caplog.text


async def test_without_a_url_a_notice_is_logged_and_done(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    services = make_services(tmp_path)
    worker = NotifyWorker(services.store, Directory(), "")
    async with running(services) as client:
        await opened(client, resource_id="nobody-knows")
        assert await worker.drain() == 0
        assert await services.store.due_notices() == []
    assert caplog.text.count("on Instance/nobody-knows") == 1


def test_waits_grow_to_an_hour() -> None:
    assert [retry_wait(tries, permanent=False) for tries in (0, 1, 2, 20)] == [1, 2, 4, 3600]
    assert retry_wait(0, permanent=True) == 60

"""apprise's services take notices, or it is said why not: without the secrets of their URLs, and never for ever."""

from __future__ import annotations

import json

import pytest

from graph.ports import TemporaryError
from server.notice_story import test_message as sample
from tests.server.notified import chat, mailbox
from tools.notify_apprise import AppriseNotifier, UnknownService, scheme_of

NOTICE = {**sample("oncall", "https://selfheal.example.com"), "event": "escalated"}
SECRET = "Sup3rS3cretPath"


async def test_a_json_webhook_takes_title_and_text() -> None:
    with chat() as there:
        await AppriseNotifier("oncall", there.url()).send(NOTICE)
        [body] = there.taken
    assert body["title"] == NOTICE["title"] and body["message"] == NOTICE["text"] and body["type"] == "failure"


async def test_a_form_webhook_takes_them_too() -> None:
    with chat() as there:
        await AppriseNotifier("oncall", there.url("form")).send(NOTICE)
        [form] = there.forms
    assert form["message"] == [NOTICE["text"]]


async def test_a_mail_arrives_with_the_title_as_its_subject() -> None:
    with mailbox() as box:
        await AppriseNotifier("ops", box.url).send(NOTICE)
        [mail] = box.mails
    assert mail["subject"] == NOTICE["title"] and mail["to"] == "ops@example.com"
    assert "Nothing is broken" in mail.get_body(("plain", "html")).get_content()


@pytest.mark.parametrize("status", [500, 404, 429, 302])
async def test_what_is_not_taken_is_said_without_the_secret(status: int, caplog: pytest.LogCaptureFixture) -> None:
    with chat(status) as there, pytest.raises(TemporaryError) as caught:
        await AppriseNotifier("oncall", there.url(path=SECRET)).send(NOTICE)
    assert SECRET not in str(caught.value) and "oncall (json://…)" in str(caught.value)
    assert str(status) in str(caught.value) and caplog.text == ""


async def test_a_service_that_is_not_there_is_a_failure() -> None:
    with chat() as there:
        gone = there.url(path=SECRET)
    with pytest.raises(TemporaryError) as caught:
        await AppriseNotifier("oncall", gone).send(NOTICE)
    assert SECRET not in str(caught.value)


async def test_a_service_that_hangs_is_not_waited_for_and_gets_no_second_notice_meanwhile() -> None:
    with chat(0) as there:
        notifier = AppriseNotifier("oncall", there.url(), timeout_seconds=0.2)
        with pytest.raises(TemporaryError, match=r"did not answer within 0\.2 s"):
            await notifier.send(NOTICE)
        with pytest.raises(TemporaryError, match="has not answered the notice before"):
            await notifier.send(NOTICE)
        assert len(there.paths) == 1


async def test_a_mail_server_that_is_not_there_is_a_failure() -> None:
    with mailbox() as box:
        url = box.url
    with pytest.raises(TemporaryError):
        await AppriseNotifier("ops", url).send(NOTICE)


@pytest.mark.parametrize(
    "url", [f"nonsense://{SECRET}", f"slack://{SECRET}", SECRET, "", f"pagerduty://{SECRET}", "://"]
)
def test_a_url_that_apprise_does_not_know_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(UnknownService) as caught:
        AppriseNotifier("oncall", url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general",
        "pagerduty://A1BRTD4JD@TIiajkdnlazkcOXrIdevi7F",
        "workflows://prod-NO.azure.com:443/643e69f83c8944/abcdefgABCDEFG",
        "mailto://user:pass@example.com?to=ops@example.org",
        "jsons://user:pass@example.com/hook",
    ],
)
def test_the_services_people_use_are_understood(url: str) -> None:
    assert AppriseNotifier("oncall", url) is not None


def test_only_a_scheme_is_shown_of_a_url() -> None:
    assert scheme_of(f"Slack://{SECRET}") == "slack"
    assert scheme_of(SECRET * 3) == "?"
    assert json.dumps(scheme_of("se cret://x")) == '"?"'

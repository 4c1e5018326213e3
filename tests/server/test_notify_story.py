"""A notice is one paragraph that says what broke, how it is known, what was done or is wanted, and what comes next."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from server.notice_story import MAX_CHARS, message
from tests.server.notified import BASE, chat, worker
from tests.server.world import World, alert

DIAGNOSIS = {
    "suspected_cause": "process_crashed",
    "confidence": 0.9,
    "summary": "shopd crashed (signal KILL) and is failed",
    "evidence_ids": ["E2"],
}
EVIDENCE = [
    {"id": "E1", "source": "metrics", "text": "up is 0"},
    {"id": "E2", "source": "units", "text": "shopd is failed since 1 s, killed by KILL"},
]
RECORD: dict[str, Any] = {
    "number": 7,
    "title": "ServiceDown on Instance/web-1",
    "diagnosis": DIAGNOSIS,
    "evidence": EVIDENCE,
    "actions": [{"action": "restart_service", "rendered": "systemctl restart shopd", "status": "succeeded"}],
    "verification": {"reason": "all 3 criteria pass and have held for 30 s"},
}
HOSTILE = (
    "<!channel> @everyone <https://evil.example.com|click> [x](http://evil.com) **b** "
    "\n# H\nBcc: x@evil.com password=hunter2"
)
OBEYED = re.compile(r"[<>@`*\[\]|\n]|://|\.com|hunter2")


def payload(event: str, **more: Any) -> dict[str, Any]:
    return {"event": event, "number": 7, "resource": "Instance/web-1", "reason": "it did not hold", **more}


def test_a_mitigation_tells_the_whole_story() -> None:
    told = message(payload("mitigated", reason="all criteria pass"), RECORD, BASE)
    assert told["title"] == "Self-Heal: #7 mitigated: Instance/web-1"
    assert told["story"] == (
        "ServiceDown on Instance/web-1: shopd crashed (signal KILL) and is failed. Suspected is process_crashed "
        "(90% sure), as seen in units: shopd is failed since 1 s, killed by KILL. "
        "Done: systemctl restart shopd succeeded. It is mitigated: all criteria pass. "
        "It was seen to hold: all 3 criteria pass and have held for 30 s."
    )
    assert told["link"] == f"{BASE}/incidents/7" and told["text"] == f"{told['story']}\n{told['link']}"


def test_a_wanted_approval_says_what_is_wanted_why_and_until_when() -> None:
    asked = payload(
        "approval_wanted", steps=["reboot web-1"], expires_at="2026-01-01T12:30:00+00:00", reason="no policy"
    )
    story = message(asked, RECORD, BASE)["story"]
    assert "Wanted: reboot web-1. You are asked because no policy." in story
    assert story.endswith("Next: selfheal approve 7 or selfheal reject 7, until 2026-01-01 12:30 UTC.")


def test_an_escalation_says_what_comes_next_and_that_nobody_took_note() -> None:
    story = message(payload("escalated", after_minutes=15.0), {**RECORD, "actions": []}, BASE)["story"]
    assert story.startswith("Nobody has taken note of this for 15 min.")
    assert "Nothing was changed. It was escalated to a human: it did not hold." in story
    assert "selfheal ack 7" in story


def test_an_opening_says_what_the_alert_says() -> None:
    record = {"title": "DiskFull on Instance/web-1", "alerts": [{"annotations": {"summary": "97% of / is used"}}]}
    story = message(payload("opened"), record, BASE)["story"]
    assert story == (
        "DiskFull on Instance/web-1: 97% of / is used. It is being looked into, and nothing has been done yet."
    )


@pytest.mark.parametrize(
    "event", ["opened", "approval_wanted", "mitigated", "escalated", "self_resolved", "declined", "demoted"]
)
def test_hostile_telemetry_is_inert_in_every_notice(event: str) -> None:
    record = {
        "title": HOSTILE,
        "alerts": [{"annotations": {"summary": HOSTILE}}],
        "diagnosis": {**DIAGNOSIS, "suspected_cause": HOSTILE, "summary": HOSTILE},
        "evidence": [{"id": "E2", "source": HOSTILE, "text": HOSTILE}],
        "actions": [{"rendered": HOSTILE, "status": HOSTILE}],
        "verification": {"reason": HOSTILE},
    }
    told = message(
        payload(event, resource=HOSTILE, reason=HOSTILE, steps=[HOSTILE] * 9, expires_at=HOSTILE), record, BASE
    )
    for part in (told["title"], told["story"], told["text"].replace(f"\n{told['link']}", "")):
        assert not OBEYED.search(part), part
    without_diagnosis = message(payload(event, resource=HOSTILE), {**record, "diagnosis": None}, BASE)
    assert not OBEYED.search(without_diagnosis["story"])


def test_a_story_is_bounded_and_the_link_stays_whole() -> None:
    long = {**RECORD, "title": "x" * 5000, "diagnosis": {**DIAGNOSIS, "summary": "y" * 5000}}
    steps = ["z" * 5000] * 50
    told = message(payload("approval_wanted", steps=steps, reason="r" * 9999), long, BASE)
    assert len(told["story"]) <= MAX_CHARS and told["text"].endswith(f"{BASE}/incidents/7")
    assert len(told["title"]) < 200


def test_a_story_is_told_without_a_record_too() -> None:
    assert message(payload("escalated"), None, BASE)["story"].startswith("Instance/web-1. Nothing was changed.")


async def test_secrets_and_mentions_planted_in_labels_never_arrive(world: World) -> None:
    planted = alert()
    labels = {**planted.labels, "alertname": "X <!channel> token=s3cr3tvalue1"}
    summary = "postgresql://app:s3cr3tvalue2@db/x <!here> @everyone"
    hostile = planted.model_copy(update={"labels": labels, "annotations": {"summary": summary}})
    with chat() as one, chat() as two:
        targets = [{"name": "a", "url": one.url()}, {"name": "b", "url": two.url("form")}]
        telling = worker(world.store, targets, url=f"http://127.0.0.1:{one.port}/plain")
        incident = await world.opened(hostile)
        await world.begin(incident)
        await world.end(incident, world.finished("escalated"))
        assert await telling.drain() == 3
        bodies = [*one.bodies, *two.bodies]
    for body in bodies:
        assert b"s3cr3tvalue" not in body and b"<!" not in body and b"@everyone" not in body
        assert b"%3C%21" not in body and b"%40everyone" not in body


def test_a_digest_names_who_waits() -> None:
    held = {
        "event": "digest",
        "held": 12,
        "events": {"escalated": 2, "mitigated": 10},
        "waiting": [{"number": 4, "resource": "Instance/<!here>", "phase": "waiting_approval"}],
        "more_waiting": 1,
    }
    told = message(json.loads(json.dumps(held)), None, BASE)
    assert "2 escalated, 10 mitigated" in told["story"] and told["link"] == f"{BASE}/incidents"
    assert "Waiting for a human: #4 Instance/\u2039!here\u203a (waiting approval) and 1 more." in told["story"]

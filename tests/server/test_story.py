"""The story of an incident as people read it: complete, short, and harmless to their terminal."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console, RenderableType

from server.story import commands_sent, duration, listing, plain, story

RECORD: dict[str, Any] = {
    "id": "0190d0a0-0000-7000-8000-000000000001",
    "number": 7,
    "title": "WebDown on Instance/inst-1",
    "resource_kind": "Instance",
    "resource_id": "inst-1",
    "phase": "closed",
    "received_at": "2026-11-24T10:00:00+00:00",
    "diagnosis": {
        "summary": "web crashed",
        "suspected_cause": "process_crashed",
        "confidence": 0.9,
        "evidence_ids": ["E1"],
        "author": "runbook",
    },
    "evidence": [
        {"id": "E1", "source": "units", "text": "web is failed"},
        {"id": "E2", "source": "ports", "text": "not cited"},
    ],
    "actions": [
        {
            "rendered": "systemctl restart web",
            "status": "succeeded",
            "started_at": "2026-11-24T10:00:01+00:00",
            "finished_at": "2026-11-24T10:00:02+00:00",
        }
    ],
    "verification": {
        "reason": "held for 30 s",
        "criteria": [{"name": "service web", "status": "pass", "before": "web is failed", "after": "web is running"}],
    },
    "outcome": {"status": "mitigated", "reason": "held", "times": {"verified": "2026-11-24T10:00:33+00:00"}},
    "timeline": [
        {
            "id": 1,
            "at": "2026-11-24T10:00:01.5+00:00",
            "node": "diagnose",
            "author": "runbook",
            "sentence": "suspects process_crashed",
        }
    ],
}


def shown(**changes: Any) -> str:
    return as_text(story({**RECORD, **changes}))


def as_text(what: RenderableType) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(what)
    return console.export_text()


def test_a_story_tells_what_broke_how_we_know_what_was_done_and_that_it_holds() -> None:
    text = shown()
    for told in (
        "#7 mitigated after 33.0 s: WebDown on Instance/inst-1",
        "web crashed",
        "E1 units: web is failed",
        "systemctl restart web  succeeded in 1.00 s",
        "web is failed → web is running",
        "+1.50s",
        "suspects process_crashed  (runbook)",
    ):
        assert told in text
    assert "not cited" not in text


def test_an_escalation_says_why_and_what_can_be_done() -> None:
    text = shown(phase="escalated", outcome={"status": "escalated", "reason": "no remedy is left"})
    assert "no remedy is left" in text and "selfheal retry 7" in text


def test_a_story_is_told_of_an_incident_that_has_only_just_come_in() -> None:
    bare = dict.fromkeys(("diagnosis", "evidence", "verification", "outcome", "plan", "gate"))
    assert "queued" in shown(**bare, phase="queued", actions=[], timeline=[])


def test_telemetry_cannot_write_to_the_terminal_or_use_markup() -> None:
    hostile = "\x1b]0;owned\x07[red]x[/red]\r\nnext"
    for name in ("title", "resource_id"):
        assert "\x1b" not in shown(**{name: hostile})
    text = shown(title=hostile)
    assert "[red]x[/red] next" in text
    assert plain(hostile).isprintable()
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(listing([{**RECORD, "resource_id": hostile}]))
    assert "\x1b" not in console.export_text()


def test_durations_are_said_as_people_say_them() -> None:
    assert [duration(seconds) for seconds in (0.421, 12.34, 245, 12_000)] == [
        "0.42 s",
        "12.3 s",
        "4 min 05 s",
        "3 h 20 min",
    ]


def test_every_command_is_shown_with_its_purpose_as_text_and_not_as_markup() -> None:
    sent = {"purpose": "action", "target": "ops@192.0.2.1:22", "command": "echo '[red]x\x1b[0m'", "count": 2}
    text = as_text(commands_sent({"commands": [sent]}))
    assert "action" in text and "ops@192.0.2.1:22" in text and "echo '[red]x" in text
    assert "\x1b" not in text

"""A notice in one paragraph of human words: what broke, how we know, what was done or is wanted, what comes next.

Pure. Whatever stems from telemetry, hosts or a model goes through `harmless`: it is read in chats and mailboxes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tools.notify_text import harmless

Record = Mapping[str, Any]

MAX_CHARS = 1200
MOST_STEPS = 3
HEADINGS = {
    "opened": "opened",
    "approval_wanted": "wants your approval",
    "mitigated": "mitigated",
    "escalated": "needs a human",
    "self_resolved": "resolved by itself",
    "declined": "left alone",
    "demoted": "asks from now on",
}
WORDS = {"approval_wanted": "approvals wanted", "self_resolved": "resolved by themselves", "declined": "left alone"}


def message(payload: Record, record: Record | None, link_base: str, folded: int = 0) -> dict[str, str]:
    """`title`, `story`, `link` and `text` (story and link) of a notice. `record`: the incident's, where it has one."""
    if payload["event"] == "digest":
        title, story, link = _digest_title(payload), _digest(payload), f"{link_base}/incidents"
    else:
        number, event = int(payload["number"]), str(payload["event"])
        about = harmless(payload["resource"], 100)
        title = f"Self-Heal: #{number} {HEADINGS.get(event, 'notice')}: {about}"
        sentences = [*_waited(payload), *_sentences(event, payload, record or {}), *_repeats(folded)]
        story, link = _joined(sentences), f"{link_base}/incidents/{number}"
    return {"title": title, "story": story, "link": link, "text": f"{story}\n{link}"}


def test_message(target: str, link_base: str) -> dict[str, str]:
    """What `selfheal notify test` sends."""
    story = f"This is a test of the target {harmless(target, 80)}. Nothing is broken, and nothing need be done."
    return {
        "event": "test",
        "title": "Self-Heal: test notice",
        "story": story,
        "link": link_base,
        "text": f"{story}\n{link_base}",
    }


def _sentences(event: str, payload: Record, record: Record) -> Iterator[str]:
    yield _broke(payload, record)
    yield from _known(record)
    if event == "opened":
        yield "It is being looked into, and nothing has been done yet."
        return
    if event == "approval_wanted":
        yield from _wanted(payload)
        return
    if payload.get("members"):
        yield from _storm(payload)
        return
    yield from _done(record)
    yield f"{_ended(event)}: {harmless(payload.get('reason'), 350)}."
    if event == "escalated":
        number = payload["number"]
        yield f"Next: take note of it (selfheal ack {number}), then retry, take over or close it."
    if event == "mitigated" and (verification := record.get("verification")):
        yield f"It was seen to hold: {harmless(verification.get('reason'), 200)}."


def _storm(payload: Record) -> Iterator[str]:
    """One notice for many: what they share, which they are, and what a human can do."""
    more = f" and {int(payload['more_members'])} more" if payload.get("more_members") else ""
    members = ", ".join(harmless(member, 80) for member in payload["members"])
    yield f"{harmless(payload.get('reason'), 350)}."
    yield f"So their repairs wait: {members}{more}."
    number = payload["number"]
    yield f"Next: look at what they share. selfheal release {number} lets them go on, selfheal cancel {number} stops."


def _broke(payload: Record, record: Record) -> str:
    diagnosis = record.get("diagnosis") or {}
    title = harmless(record.get("title") or payload["resource"], 160)
    if not diagnosis:
        said = next((_annotation(alert) for alert in record.get("alerts") or () if _annotation(alert)), "")
        return f"{title}: {said}." if said else f"{title}."
    return f"{title}: {harmless(diagnosis.get('summary'), 250)}."


def _annotation(alert: Record) -> str:
    annotations = alert.get("annotations") or {}
    return harmless(annotations.get("summary") or annotations.get("description") or "", 200)


def _known(record: Record) -> Iterator[str]:
    diagnosis = record.get("diagnosis") or {}
    if not diagnosis:
        return
    cause, sure = harmless(diagnosis.get("suspected_cause"), 60), float(diagnosis.get("confidence") or 0)
    cited = set(diagnosis.get("evidence_ids") or ())
    found = [item for item in record.get("evidence") or () if item.get("id") in cited and item.get("text")]
    shown = "; ".join(f"{harmless(item.get('source'), 40)}: {harmless(item['text'], 120)}" for item in found[:2])
    yield f"Suspected is {cause} ({sure:.0%} sure)" + (f", as seen in {shown}." if shown else ".")


def _done(record: Record) -> Iterator[str]:
    actions: Sequence[Record] = record.get("actions") or ()
    if not actions:
        yield "Nothing was changed."
        return
    shown = [f"{_step(item)} {harmless(item.get('status'), 20)}" for item in actions[-MOST_STEPS:]]
    earlier = f" (and {len(actions) - MOST_STEPS} before)" if len(actions) > MOST_STEPS else ""
    yield f"Done: {'; '.join(shown)}{earlier}."


def _step(item: Record) -> str:
    return harmless(item.get("rendered") or item.get("action"), 140)


def _wanted(payload: Record) -> Iterator[str]:
    steps = [harmless(step, 140) for step in payload.get("steps") or ()]
    more = f" (and {len(steps) - MOST_STEPS} more)" if len(steps) > MOST_STEPS else ""
    yield f"Wanted: {'; '.join(steps[:MOST_STEPS]) or 'a plan without steps'}{more}."
    yield f"You are asked because {harmless(payload.get('reason'), 250)}."
    until = harmless(payload.get("expires_at"), 40)[:16].replace("T", " ")
    number = payload["number"]
    yield f"Next: selfheal approve {number} or selfheal reject {number}" + (f", until {until} UTC." if until else ".")


def _ended(event: str) -> str:
    return {
        "mitigated": "It is mitigated",
        "escalated": "It was escalated to a human",
        "self_resolved": "It resolved by itself",
        "declined": "It was left alone",
    }.get(event, "Note")


def _waited(payload: Record) -> Iterator[str]:
    if minutes := payload.get("after_minutes"):
        yield f"Nobody has taken note of this for {float(minutes):g} min."


def _repeats(folded: int) -> Iterator[str]:
    if folded:
        yield f"It repeated {folded} more time{'s' if folded > 1 else ''} meanwhile."


def _digest_title(payload: Record) -> str:
    return f"Self-Heal: {payload['held']} notices held back, {len(payload['waiting'])} incidents wait for a human"


def _digest(payload: Record) -> str:
    events = ", ".join(f"{count} {WORDS.get(name, harmless(name, 30))}" for name, count in payload["events"].items())
    parts = [f"{payload['held']} notices were held back, as there were more than may be sent in an hour: {events}."]
    waiting = [
        f"#{int(item['number'])} {harmless(item['resource'], 60)} ({harmless(item['phase'], 20).replace('_', ' ')})"
        for item in payload["waiting"]
    ]
    more = f" and {payload['more_waiting']} more" if payload.get("more_waiting") else ""
    parts.append(f"Waiting for a human: {', '.join(waiting)}{more}." if waiting else "None of them waits for a human.")
    return _joined(parts)


def _joined(sentences: Sequence[str]) -> str:
    text = " ".join(sentence.replace("..", ".") if sentence.endswith("..") else sentence for sentence in sentences)
    return text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 1]}…"

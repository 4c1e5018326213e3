"""One incident for a human in a hurry: what broke, how we know, what was done, whether it holds, what one can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from graph.kind import STORM
from server.console.views.text import line, moment
from server.story import compaction, duration, state_of

Record = Mapping[str, Any]
Tone = Literal["good", "bad", "ask", "busy", "calm"]

TONES: Mapping[str, Tone] = {
    "mitigated": "good",
    "self_resolved": "good",
    "succeeded": "good",
    "healthy": "good",
    "pass": "good",
    "escalated": "bad",
    "failed": "bad",
    "fail": "bad",
    "unhealthy": "bad",
    "waiting_approval": "ask",
    "taken_over": "ask",
    "declined": "calm",
    "refused": "ask",
    "unknown": "ask",
    "running": "busy",
    "queued": "busy",
    "waiting": "busy",
    "pending": "busy",
    "started": "busy",
}
OPEN_PHASES = ("queued", "running", "waiting", "waiting_approval")
KEPT_PHASES = ("escalated", "declined", "taken_over")


def state(record: Record) -> str:
    """The one word for where it is: taken over, else its outcome, else its phase."""
    return "taken_over" if record.get("phase") == "taken_over" else state_of(record)


def tone(word: object) -> Tone:
    """How a state looks."""
    return TONES.get(str(word), "calm")


def headline(record: Record) -> dict[str, Any]:
    """Four sentences that tell the whole story."""
    return {
        "broke": _broke(record),
        "known": _known(record),
        "done": _done(record),
        "holds": _holds(record),
        "now": _now(record),
        "took": _took(record),
        "kept": compaction(record),
    }


def evidence(record: Record) -> list[dict[str, Any]]:
    """Every piece of evidence, what the diagnosis cites first."""
    cited = set((record.get("diagnosis") or {}).get("evidence_ids") or ())
    items = [{**item, "cited": item["id"] in cited} for item in record.get("evidence") or ()]
    return sorted(items, key=lambda item: not item["cited"])


def verbs(record: Record) -> list[str]:
    """What can be asked of it now, in the order of need."""
    phase = record.get("phase")
    found: list[str] = []
    if record.get("resource_kind") == STORM:
        return _verbs_of_storm(record)
    if phase == "escalated" and not record.get("acknowledged"):
        found.append("acknowledge")
    if phase in KEPT_PHASES:
        found += ["retry", "close"]
    elif record.get("held_by") == "cool_down":
        found.append("retry")
    if phase in OPEN_PHASES and not record.get("cancel_by"):
        found.append("cancel")
    if phase != "closed":
        found.append("take-over")
    if record.get("outcome"):
        found.append("confirm")
    return found


def _verbs_of_storm(record: Record) -> list[str]:
    if record.get("phase") == "closed":
        return []
    return [*([] if record.get("acknowledged") else ["acknowledge"]), "release", "cancel"]


def asked(record: Record) -> dict[str, Any] | None:
    """The plan that waits with all that should be known before saying yes, or None."""
    waiting = record.get("waiting_for")
    if not waiting or record.get("phase") != "waiting_approval":
        return None
    details = dict((waiting.get("request") or {}).get("details") or {})
    plan = waiting["plan"]
    details.setdefault("steps", plan["steps"])
    for key, value in (("risk", max_risk(plan["steps"])), ("risk_means", ""), ("blast_radius", []), ("undo", "")):
        details.setdefault(key, value)
    for key in ("if_unanswered", "asked_because"):
        details.setdefault(key, "")
    return {**details, "plan_fingerprint": waiting["asked_fingerprint"], "expires_at": waiting["expires_at"]}


def decided(record: Record) -> list[dict[str, Any]]:
    """Requests that are over, latest first: what was decided by whom, or that nobody did."""
    over = [item for item in record.get("approvals") or () if item["state"] != "waiting"]
    return list(reversed(over))


def max_risk(steps: Sequence[Record]) -> str:
    """The worst risk among the steps."""
    ranked = ("read_only", "low", "disruptive", "destructive")
    return max((str(step.get("risk", "read_only")) for step in steps), key=ranked.index, default="read_only")


def _broke(record: Record) -> str:
    diagnosis = record.get("diagnosis") or {}
    return line(diagnosis.get("summary") or record.get("title"), 400)


def _known(record: Record) -> dict[str, Any] | None:
    diagnosis = record.get("diagnosis")
    if not diagnosis:
        return None
    return {
        "cause": line(diagnosis["suspected_cause"]),
        "sure": round(100 * float(diagnosis.get("confidence") or 0)),
        "author": line(diagnosis.get("author")),
        "ids": list(diagnosis.get("evidence_ids") or ()),
        "ruled_out": dict(diagnosis.get("ruled_out") or {}),
    }


def _done(record: Record) -> list[dict[str, Any]]:
    done = []
    for action in record.get("actions") or ():
        began, ended = moment(action["started_at"]), moment(action["finished_at"])
        took = duration(max((ended - began).total_seconds(), 0)) if began and ended else ""
        done.append({**action, "took": took})
    return done


def _holds(record: Record) -> dict[str, Any] | None:
    verification = record.get("verification")
    if not verification:
        return None
    return {"status": verification["status"], "reason": line(verification["reason"], 300)}


def _now(record: Record) -> str:
    outcome = record.get("outcome") or {}
    if taken := record.get("taken_over"):
        until = moment(taken["until"])
        why = f": {taken['comment']}" if taken["comment"] else ""
        before = f" (before that: {_ended(outcome)})" if outcome else ""
        return line(f"{taken['by']} has it until {until:%H:%M} UTC; nothing of ours acts on it{why}{before}", 600)
    if outcome:
        if outcome["reason"] == (record.get("verification") or {}).get("reason"):
            return ""  # whether it holds has said so already
        return line(_ended(outcome), 400)
    if record.get("wait_reason"):
        return line(record["wait_reason"], 400)
    return {"queued": "waiting for a free worker", "running": "at work"}.get(str(record.get("phase")), "")


def _ended(outcome: Record) -> str:
    return f"{outcome['status'].replace('_', ' ')}: {outcome['reason']}"


def _took(record: Record) -> str:
    times = (record.get("outcome") or {}).get("times") or {}
    ended, began = moment(times.get("verified") or times.get("closed")), moment(record.get("received_at"))
    return duration(max((ended - began).total_seconds(), 0)) if ended and began else ""

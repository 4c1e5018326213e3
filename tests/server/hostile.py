"""Bodies no well-meaning sender would send, each with the answer it must get."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

LABELS = {
    "alertname": "InstanceDown",
    "resource_kind": "Instance",
    "resource_id": "inst-abc123",
    "severity": "critical",
}
MINIMAL = {"alerts": [{"status": "firing", "labels": LABELS}]}


class Hostile(NamedTuple):
    name: str
    body: bytes
    status: int
    field: str = ""


def alert(**changes: Any) -> dict[str, Any]:
    """A good alert with these keys changed; `...` takes one away."""
    whole = {"status": "firing", "labels": LABELS, "startsAt": "2026-11-24T10:00:00Z", **changes}
    return {key: value for key, value in whole.items() if value is not ...}


def body(*alerts: Any, **more: Any) -> bytes:
    return json.dumps({"alerts": list(alerts), **more}).encode()


REFUSED = [
    Hostile("nothing", b"", 400, "body"),
    Hostile("not json", b'{"alerts": [}', 400, "body"),
    Hostile("half a body", body(alert())[:-9], 400, "body"),
    Hostile("not utf-8", b'{"alerts": "\xff\xfe"}', 400, "body"),
    Hostile("nan", b'{"alerts": [{"status": "firing", "labels": {"a": NaN}}]}', 400, "body"),
    Hostile("infinity", b'{"alerts": [{"status": "firing", "labels": {"a": 1e999}}]}', 400, "body"),
    Hostile("a number of 5000 digits", b'{"alerts": ' + b"9" * 5000 + b"}", 400, "body"),
    Hostile("deep nesting", b"[" * 100_000 + b"]" * 100_000, 400, "body"),
    Hostile("deep labels", b'{"alerts": [{"labels": ' + b'{"a":' * 90 + b"1" + b"}" * 90 + b"}]}", 400, "body"),
    Hostile("a list", b"[]", 422, "body"),
    Hostile("null", b"null", 422, "body"),
    Hostile("a string", b'"alerts"', 422, "body"),
    Hostile("no alerts", b"{}", 422, "alerts"),
    Hostile("alerts of the wrong type", b'{"alerts": {"status": "firing"}}', 422, "alerts"),
    Hostile("an empty list of alerts", b'{"alerts": []}', 422, "alerts"),
    Hostile("an alert that is a string", body("x"), 422, "alerts[0]"),
    Hostile("labels missing", body(alert(labels=...)), 422, "alerts[0].labels"),
    Hostile("labels null", body(alert(labels=None)), 422, "alerts[0].labels"),
    Hostile("labels empty", body(alert(labels={})), 422, "alerts[0].labels"),
    Hostile("labels a list", body(alert(labels=["a"])), 422, "alerts[0].labels"),
    Hostile(
        "a label that is a number",
        body(alert(labels={**LABELS, "resource_id": 7})),
        422,
        "alerts[0].labels.resource_id",
    ),
    Hostile("a label that is an object", body(alert(labels={"alertname": {}})), 422, "alerts[0].labels.alertname"),
    Hostile("status missing", body(alert(status=...)), 422, "alerts[0].status"),
    Hostile("an unknown status", body(alert(status="burning")), 422, "alerts[0].status"),
    Hostile("a time that is none", body(alert(startsAt="yesterday")), 422, "alerts[0].startsAt"),
    Hostile("a time without a zone", body(alert(startsAt="2026-11-24T10:00:00")), 422, "alerts[0].startsAt"),
    Hostile("a time past the calendar", body(alert(startsAt="9999-12-31T23:59:59-14:00")), 422, "alerts[0].startsAt"),
    Hostile("annotations a string", body(alert(annotations="x")), 422, "alerts[0].annotations"),
    Hostile("groupLabels a list", body(alert(), groupLabels=[1]), 422, "groupLabels"),
]

ACCEPTED = [
    Hostile("the minimal body", json.dumps(MINIMAL).encode(), 202),
    Hostile("a byte order mark", b"\xef\xbb\xbf" + json.dumps(MINIMAL).encode(), 202),
    Hostile("control characters", body(alert(labels={**LABELS, "note": "\x00\x1b[31m\x07\u202e\x7f"})), 202),
    Hostile("control characters in the id", body(alert(labels={**LABELS, "resource_id": "a\x00b\nc"})), 202),
    Hostile("lone surrogates", body(alert(labels={**LABELS, "note\ud800": "\udfff"})), 202),
    Hostile("labels of 100 kB", body(alert(labels={**LABELS, "note": "x" * 100_000})), 202),
    Hostile("an id of 100 kB", body(alert(labels={**LABELS, "resource_id": "x" * 100_000})), 202),
    Hostile("a thousand labels", body(alert(labels={**LABELS, **{f"l{i}": "v" for i in range(1000)}})), 202),
    Hostile("no resource labels", body(alert(labels={"alertname": "Watchdog"})), 202),
    Hostile("no alertname", body(alert(labels={"severity": "page"})), 202),
    Hostile("an unknown kind", body(alert(labels={**LABELS, "resource_kind": "Toaster"})), 202),
    Hostile("an unknown resource", body(alert(labels={**LABELS, "resource_id": "inst-none"})), 202),
    Hostile(
        "sql and shell in labels", body(alert(labels={**LABELS, "resource_id": "'; DROP TABLE x; $(reboot)"})), 202
    ),
    Hostile("a strange fingerprint", body(alert(fingerprint="../../etc/passwd\n" * 9)), 202),
    Hostile("nulls where nothing is", body(alert(annotations=None, endsAt=None), groupKey=None), 202),
    Hostile("the zero time", body(alert(endsAt="0001-01-01T00:00:00Z")), 202),
    Hostile("the zero time as a start", body(alert(startsAt="0001-01-01T00:00:00+14:00")), 202),
    Hostile("a start far in the future", body(alert(startsAt="9999-12-31T23:59:59Z")), 202),
    Hostile("keys of a later version", body(alert(severity=9), newKey={"a": 1}), 202),
    Hostile("resolved and never seen", body(alert(status="resolved")), 202),
]

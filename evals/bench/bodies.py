"""Alerts as Alertmanager sends them, and fleets of resources for them to be about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

STARTED = "2026-11-01T12:00:00.000Z"


def alert(case: str, resource_id: str, kind: str = "Instance", name: str = "InstanceDown") -> dict[str, Any]:
    """One firing alert; `case` makes it another than all others."""
    return {
        "status": "firing",
        "labels": {
            "alertname": name,
            "case": case,
            "instance": f"{resource_id}:9100",
            "job": "node",
            "severity": "critical",
            "resource_kind": kind,
            "resource_id": resource_id,
        },
        "annotations": {
            "summary": f"{resource_id} does not answer",
            "description": f"{resource_id} of job node has not answered for more than one minute.",
        },
        "startsAt": STARTED,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        "fingerprint": fingerprint(case),
    }


def fingerprint(case: str) -> str:
    """As distinct as the case, and of Alertmanager's alphabet."""
    return f"{case}{'0' * 16}"[:16] if len(case) <= 16 else case[:64]


def body(alerts: Sequence[dict[str, Any]]) -> bytes:
    """Alertmanager's webhook message, version 4."""
    message = {
        "receiver": "selfheal",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {"alertname": "InstanceDown"},
        "commonLabels": {"alertname": "InstanceDown", "job": "node", "severity": "critical"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example:9093",
        "version": "4",
        "groupKey": '{}:{alertname="InstanceDown"}',
        "truncatedAlerts": 0,
    }
    return json.dumps(message).encode()


def fleet(count: int, **more: Any) -> list[dict[str, Any]]:
    """Declared instances that nobody can log in to: heals of them cost our own work only."""
    common = {"kind": "Instance", "address": "127.0.0.1", "transport": "none", **more}
    return [{"id": instance(number), **common} for number in range(count)]


def instance(number: int) -> str:
    return f"inst-{number:05}"

"""How situations are made of faults: something put beside one, two at once, all of it while no alert goes out.

A healer looks within a second of the alert. So what belongs to one situation is put in place under a silence of
Alertmanager's, which ends when all of it is there.
"""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from evals.lab.declared import SERVICE_PORT
from evals.lab.expectations import FAULTS, Expectation, both
from evals.lab.faults import fault
from evals.lab.hosts import LabStage
from evals.lab.network import in_network
from evals.lab.stage import Fault, LabError, StageHost

Step = Callable[[LabStage, StageHost], None]


@dataclass(frozen=True)
class Aside:
    """Something beside a fault: how it is put there and taken away."""

    put: Step
    take: Step


def ask_for(host: StageHost, page: str) -> None:
    """Ask the host's service for a page of that name, spaces and all: it writes that into its own log."""
    with in_network(), socket.create_connection((host.address, SERVICE_PORT), 3) as client:
        client.sendall(f"GET /{page} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
        client.recv(4096)


@contextmanager
def hushed(stage: LabStage) -> Iterator[None]:
    """No alert goes out meanwhile; those that fire by then go out afterwards."""
    now = datetime.now(UTC)
    asked = {
        "matchers": [{"name": "alertname", "value": ".+", "isRegex": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(minutes=5)).isoformat(),
        "createdBy": "lab",
        "comment": "a situation is being made",
    }
    silence = _alertmanager(stage, "POST", "silences", asked)["silenceID"]
    try:
        yield
    finally:
        _alertmanager(stage, "DELETE", f"silence/{silence}")


def _alertmanager(stage: LabStage, method: str, path: str, body: object = None) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(
        f"{stage.alertmanager_url}/api/v2/{path}", data, {"Content-Type": "application/json"}, method=method
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with in_network(), opener.open(request, timeout=5) as answer:
            text = answer.read()
    except OSError as error:
        raise LabError(f"the lab's Alertmanager did not take {method} {path}: {error}") from error
    return json.loads(text) if text.strip() else {}


def beside(
    name: str, base: str, aside: Aside, expectation: Expectation, says: str = "", *, later: bool = False
) -> Fault:
    """The fault `base` with something beside it; `later`: that comes only when the fault is there."""
    one = fault(base)

    def inject(stage: LabStage, host: StageHost) -> None:
        with hushed(stage):
            for step in (one.inject, aside.put) if later else (aside.put, one.inject):
                step(stage, host)

    def restore(stage: LabStage, host: StageHost) -> None:
        try:
            aside.take(stage, host)
        finally:
            one.restore(stage, host)

    return replace(
        one, name=name, settings=("lab",), inject=inject, restore=restore, expectation=expectation,
        says=f"{one.says}; {says}" if says else one.says,
    )  # fmt: skip


def at_once(name: str, first: str, second: str) -> Fault:
    """Both faults at once, on their own hosts, told of as the first. Its way of telling what is well holds."""
    one, other = fault(first), fault(second)

    def elsewhere(stage: LabStage) -> StageHost:
        return next(host for host in stage.hosts if host.role == other.on)

    def inject(stage: LabStage, host: StageHost) -> None:
        with hushed(stage):
            one.inject(stage, host)
            other.inject(stage, elsewhere(stage))

    def restore(stage: LabStage, host: StageHost) -> None:
        with suppress(LabError):  # it may wait for what only the other's end brings back
            one.restore(stage, host)
        other.restore(stage, elsewhere(stage))
        one.restore(stage, host)

    return replace(
        one, name=name, settings=("lab",), inject=inject, restore=restore,
        or_alerts=(*one.or_alerts, *other.alertnames), says=f"{one.says}; and {other.says}",
        expectation=both(FAULTS[first], FAULTS[second]),
    )  # fmt: skip

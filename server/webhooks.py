"""Where Alertmanager delivers. 202 is a promise: what it names is on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from graph.records import MAX_LABEL_CHARS, AlertGroup
from server.alert_bodies import BadAlert, ReceivedGroup, read_group
from server.bodies import StrictRoute, read_json
from server.errors import ApiError, Problem, unavailable
from server.own_alerts import is_switch
from server.plain_bodies import read_plain
from server.services import Services
from server.store import Accepted, Overloaded, StoreError

PATH = "/webhooks/alertmanager"
ALERTS_PER_COMMIT = 250
COMMIT_SECONDS = 10.0

_SWITCH = Accepted(None, None, "ignored", "the dead man's switch of Self-Heal's own rules: heard, nothing to repair")
_EXAMPLE = {
    "alerts": [
        {
            "status": "firing",
            "labels": {
                "alertname": "InstanceDown",
                "resource_kind": "Instance",
                "resource_id": "inst-abc123",
                "severity": "critical",
            },
        }
    ]
}


class Told(BaseModel):
    """What became of one alert, in the order they came."""

    id: str | None
    number: int | None = None
    decision: Literal["opened", "joined", "resolved", "ignored"]
    reason: str
    field: str | None = None
    """For an alert that could not be understood: the field that is wrong."""


class Received(BaseModel):
    received: int
    incidents: list[Told]


def webhook_routes(services: Services) -> APIRouter:
    """`POST /webhooks/alertmanager`."""
    router = APIRouter(route_class=StrictRoute, tags=["webhook"])

    @router.post(
        PATH,
        status_code=202,
        response_model=Received,
        response_model_exclude_none=False,
        summary="Take on the alerts of Alertmanager's webhook message, version 4",
        responses={status: {"model": Problem} for status in (400, 401, 413, 422, 503)},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}},
            }
        },
    )
    async def alertmanager(request: Request) -> Response:
        return Response(await taken_on(services, await request.body()), 202, media_type="application/json")

    return router


class AlertDoor:
    """The ASGI application behind the webhook's path."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await _whole(receive)
            if body is None:
                return
            content = await taken_on(self._services, body)
        except ApiError as error:
            await error.response()(scope, receive, send)
            return
        # What a Response would send, at a third of its cost.
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": content})


async def _whole(receive: Receive) -> bytes | None:
    """The body; None where the sender has gone."""
    message = await receive()
    parts = [message.get("body", b"")]
    while message["type"] == "http.request" and message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts) if message["type"] == "http.request" else None


async def taken_on(services: Services, body: bytes) -> bytes:
    """What is answered once all that was understood is on disk. Raises ApiError."""
    received = read_plain(body) or read_group(read_json(body))
    told = _told(received, await _accept(services, received))
    for decision, times in Counter(item["decision"] for item in told).items():
        services.metrics.alert(decision, times)
    return orjson.dumps({"received": len(told), "incidents": told})


async def _accept(services: Services, received: ReceivedGroup) -> list[Accepted]:
    """All alerts durable, in commits of bounded size; a group that fails half way is sent again and joins itself."""
    accepted: list[Accepted] = []
    alerts = tuple(alert for alert in received.group.alerts if not is_switch(alert))
    if len(alerts) == len(received.group.alerts) <= ALERTS_PER_COMMIT:
        return list(await _commit(services, received.group))
    for start in range(0, len(alerts), ALERTS_PER_COMMIT):
        part = received.group.model_copy(update={"alerts": alerts[start : start + ALERTS_PER_COMMIT]})
        accepted += await _commit(services, part)
    if len(alerts) == len(received.group.alerts):
        return accepted
    if any(alert.status == "firing" and is_switch(alert) for alert in received.group.alerts):
        services.metrics.heard_switch()
    answers = iter(accepted)
    return [_SWITCH if is_switch(alert) else next(answers) for alert in received.group.alerts]


async def _commit(services: Services, group: AlertGroup) -> Sequence[Accepted]:
    try:
        most = services.settings.limits.max_queued
        return await services.store.accept(group, services.place, most, within=COMMIT_SECONDS)
    except Overloaded as error:
        services.metrics.refused("overloaded", len(group.alerts))
        raise unavailable(str(error), retry_after_seconds=10) from error
    except StoreError as error:
        services.metrics.refused("store", len(group.alerts))
        raise unavailable(f"the store can't take alerts now: {error}"[:300]) from error
    except TimeoutError as error:
        services.metrics.refused("store", len(group.alerts))
        raise unavailable(f"the store did not confirm within {COMMIT_SECONDS:g} s") from error


def _told(received: ReceivedGroup, accepted: Sequence[Accepted]) -> list[dict[str, Any]]:
    """A `Told` for each alert, in the order they came."""
    good = [_of(item) for item in accepted]
    if not received.bad:
        return good
    by_place = {bad.index: _ignored(bad) for bad in received.bad}
    by_place |= zip(received.positions, good, strict=True)
    return [by_place[position] for position in sorted(by_place)]


def _of(item: Accepted) -> dict[str, Any]:
    reason = item.reason[:MAX_LABEL_CHARS]
    return {"id": item.incident_id, "number": item.number, "decision": item.decision, "reason": reason, "field": None}


def _ignored(bad: BadAlert) -> dict[str, Any]:
    reason = f"{bad.field}: {bad.problem}; nothing was taken on for this alert"
    return Told(id=None, decision="ignored", reason=reason, field=bad.field).model_dump()

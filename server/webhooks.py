"""Where Alertmanager delivers. 202 is a promise: what it names is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from graph.records import MAX_LABEL_CHARS, AlertGroup
from server.alert_bodies import BadAlert, ReceivedGroup, read_group
from server.bodies import StrictRoute
from server.errors import Problem, unavailable
from server.own_alerts import is_switch
from server.services import Services
from server.store import Accepted, Overloaded, StoreError

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
        "/webhooks/alertmanager",
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
    async def alertmanager(request: Request) -> Received:
        received = read_group(await request.json())
        accepted = await _accept(services, received)
        told = _told(received, accepted)
        for item in told:
            services.metrics.alert(item.decision)
        return Received(received=len(told), incidents=told)

    return router


async def _accept(services: Services, received: ReceivedGroup) -> list[Accepted]:
    """All alerts durable, in commits of bounded size; a group that fails half way is sent again and joins itself."""
    accepted: list[Accepted] = []
    alerts = tuple(alert for alert in received.group.alerts if not is_switch(alert))
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
        async with asyncio.timeout(COMMIT_SECONDS):
            return await services.store.accept(group, services.place, services.settings.limits.max_queued)
    except Overloaded as error:
        services.metrics.refused("overloaded", len(group.alerts))
        raise unavailable(str(error), retry_after_seconds=10) from error
    except StoreError as error:
        services.metrics.refused("store", len(group.alerts))
        raise unavailable(f"the store can't take alerts now: {error}"[:300]) from error
    except TimeoutError as error:
        services.metrics.refused("store", len(group.alerts))
        raise unavailable(f"the store did not confirm within {COMMIT_SECONDS:g} s") from error


def _told(received: ReceivedGroup, accepted: Sequence[Accepted]) -> list[Told]:
    by_place: dict[int, Told] = {bad.index: _ignored(bad) for bad in received.bad}
    for position, item in zip(received.positions, accepted, strict=True):
        reason = item.reason[:MAX_LABEL_CHARS]
        by_place[position] = Told(id=item.incident_id, number=item.number, decision=item.decision, reason=reason)
    return [by_place[position] for position in sorted(by_place)]


def _ignored(bad: BadAlert) -> Told:
    reason = f"{bad.field}: {bad.problem}; nothing was taken on for this alert"
    return Told(id=None, decision="ignored", reason=reason, field=bad.field)

"""The server itself over HTTP: whether it is alive and usable, its numbers, and the switch that holds all repairs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field

from server.access.actor import Actor, needs
from server.bodies import StrictRoute
from server.errors import Problem
from server.services import Services
from server.store import StoreError
from server.verbs import Verbs

READY_SECONDS = 3.0
Approver = Annotated[Actor, Depends(needs("approver"))]


class Pause(BaseModel):
    """Who pauses all repairs, and why."""

    model_config = ConfigDict(extra="forbid")

    by: str | None = Field(default=None, max_length=200)
    reason: str = Field(default="", max_length=2000)


def operation_routes(services: Services) -> APIRouter:
    """Probes, metrics, pause and resume."""
    router = APIRouter(route_class=StrictRoute, tags=["server"])
    verbs = Verbs(services)

    @router.get("/healthz", summary="Alive")
    async def healthz() -> dict[str, str]:
        return {"service": "self-heal", "status": "alive"}

    @router.get("/readyz", summary="The store and the queue are usable", responses={503: {"model": Problem}})
    async def readyz() -> Response:
        reason = await not_ready(services)
        if reason is None:
            return JSONResponse({"ready": True})
        return JSONResponse({"ready": False, "error": reason}, 503, headers={"Retry-After": "2"})

    @router.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
    async def metrics() -> Response:
        counts, paused = await services.store.counts(), await services.store.paused()
        return Response(services.metrics.page(counts, paused is not None), media_type=CONTENT_TYPE_LATEST)

    @router.get("/api/pause", summary="Who paused all repairs, or null")
    async def paused() -> dict[str, Any]:
        return {"paused": await services.store.paused()}

    @router.post("/api/pause", summary="Hold every repair that has not begun; diagnosis goes on")
    async def pause(actor: Approver, body: Pause | None = None) -> dict[str, Any]:
        asked = body or Pause()
        return await verbs.pause(actor.who(asked.by), asked.reason)

    @router.post("/api/resume", summary="Let repairs go on")
    async def resume(actor: Approver, body: Pause | None = None) -> dict[str, Any]:
        return await verbs.resume(actor.who(body.by if body else None))

    return router


async def not_ready(services: Services) -> str | None:
    """Why the server is not ready to heal, or None."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            await services.store.ready()
    except StoreError as error:
        return f"the store is not usable: {error}"[:300]
    except TimeoutError:
        return f"the store did not answer within {READY_SECONDS:g} s"
    if services.broken is not None:
        return f"the heals can't run: {services.broken}"[:300]
    if services.runtime is None:
        return "still starting: alerts are taken on, heals begin in a moment"
    return services.runtime.usable()

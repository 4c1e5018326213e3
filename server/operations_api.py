"""The server itself over HTTP: whether it is alive and usable, and its numbers."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from server.bodies import StrictRoute
from server.errors import Problem
from server.services import Services
from server.store import StoreError

READY_SECONDS = 3.0


def operation_routes(services: Services) -> APIRouter:
    """Probes and metrics."""
    router = APIRouter(route_class=StrictRoute, tags=["server"])

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
        if services.runtime is not None:
            services.metrics.circuits(services.runtime.circuits.counts())
        counts, paused = await services.store.counts(), await services.store.paused()
        return Response(services.metrics.page(counts, paused is not None), media_type=CONTENT_TYPE_LATEST)

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

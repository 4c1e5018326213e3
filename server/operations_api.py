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
        return Response(await numbers(services), media_type=CONTENT_TYPE_LATEST)

    return router


async def numbers(services: Services) -> bytes:
    """The page for Prometheus. It comes without the store too, and then says so: that is when it is wanted most."""
    if services.runtime is not None:
        services.metrics.circuits(services.runtime.circuits.counts())
    trouble = await store_trouble(services)
    counts, paused = None, False
    try:
        async with asyncio.timeout(READY_SECONDS):
            counts, paused = await services.store.counts(), await services.store.paused() is not None
    except Exception as error:  # whatever the driver raises
        trouble = trouble or f"the store can't be read: {type(error).__name__}"
    ready = trouble is None and runtime_trouble(services) is None
    return services.metrics.page(counts, paused, usable=trouble is None, ready=ready)


async def not_ready(services: Services) -> str | None:
    """Why the server is not ready to heal, or None."""
    return await store_trouble(services) or runtime_trouble(services)


async def store_trouble(services: Services) -> str | None:
    """Why the store is not usable, or None."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            await services.store.ready()
    except StoreError as error:
        return f"the store is not usable: {error}"[:300]
    except TimeoutError:
        return f"the store did not answer within {READY_SECONDS:g} s"
    return None


def runtime_trouble(services: Services) -> str | None:
    """Why heals can't run in this process, or None."""
    if services.broken is not None:
        return f"the heals can't run: {services.broken}"[:300]
    if services.runtime is None:
        return "still starting: alerts are taken on, heals begin in a moment"
    return services.runtime.usable()

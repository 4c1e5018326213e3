"""The FastAPI application: routes and the order in which a request is looked at (who, size, then content)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request, Response, Security
from fastapi.security import HTTPBasic, HTTPBearer
from sqlalchemy.exc import OperationalError
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from server.access.directory import Directory
from server.access.login_routes import Doors, login_routes
from server.access.middleware import RequireActor
from server.access.sign_in import SignIn
from server.bodies import BodyLimit
from server.changes import Changes
from server.console.pages import console_routes
from server.console.plots.routes import plot_routes
from server.console.rendering import STATIC
from server.errors import explain_errors, unavailable, unforeseen
from server.fleet_api import fleet_routes
from server.incidents_api import incident_routes
from server.operations_api import operation_routes
from server.retention_api import retention_routes
from server.services import Load, Services
from server.store import StoreError
from server.webhooks import PATH, AlertDoor, webhook_routes

log = logging.getLogger("selfheal.server")

DESCRIPTION = """Agents that repair infrastructure on Prometheus alerts.

Every path but `/healthz`, `/readyz` and `/login` wants a token, as `Authorization: Bearer …` or as the password of
basic authentication (the webhook's for `/webhooks/`, the operator's for everything, a user's own as far as their role
goes), or the session of somebody signed in; what a session changes needs its CSRF token too, as `X-CSRF-Token` or in
the form.
Errors are `{"error", "field"?, "remedy"?}`.
"""

# Only told in the OpenAPI page: the check itself is RequireActor's, before any route is looked up.
_SCHEMES = [
    Security(
        HTTPBearer(auto_error=False, description="A user's or the operator's token, or the webhook's for /webhooks/.")
    ),
    Security(HTTPBasic(auto_error=False, description="Any user; the token as the password.")),
]


class Application(FastAPI):
    """Takes alerts on before anything else is gone through: they come by the one path that a storm takes, and the
    framework's layers, routing and validation would cost as much again as taking an alert on.

    Who sends and how much is looked at all the same. The route is there too, for the documentation.
    """

    alerts: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST":
            await self.alerts(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(
    services: Services,
    load: Load,
    on_broken: Callable[[], None] | None = None,
    announce: Callable[[str], None] | None = None,
) -> Application:
    """The application. `load` brings up what heals, behind the open port; `on_broken` is called if it can't.

    `announce` is given the one-time token of a first start; without it none is made.
    """
    access = services.settings.access
    coming = services.store.signing_in
    sign_in = SignIn(access, Directory(access, services.tokens), coming)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await services.store.note_windows()
        if announce is not None and (token := await sign_in.offer()) is not None:
            announce(token)
        leave = asyncio.Event()
        heals = asyncio.create_task(_keep_loaded(services, load, leave, on_broken), name="self-heal runtime")
        try:
            yield
        finally:
            leave.set()
            with suppress(Exception):  # Told when it happened; the store must still be closed.
                await heals
            sign_in.close()
            await services.store.close()

    app = Application(
        title="Self-Heal",
        description=DESCRIPTION,
        version="0.1.0",
        lifespan=lifespan,
        dependencies=_SCHEMES,
        redoc_url=None,
    )
    explain_errors(app)
    for failure in (StoreError, OperationalError):  # The second is what a read raises when the database is away.
        app.add_exception_handler(failure, _store_failed)
    app.include_router(webhook_routes(services))
    changes = Changes(services.store)
    app.include_router(incident_routes(services, changes))
    app.include_router(operation_routes(services))
    app.include_router(fleet_routes(services))
    app.include_router(retention_routes(services))
    app.include_router(console_routes(services, changes))
    app.include_router(plot_routes(services))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.include_router(login_routes(Doors(access, sign_in, coming)))
    most = services.settings.limits.max_body_bytes
    about_actors: dict[str, Any] = {"settings": access, "tokens": services.tokens, "store": coming, "max_bytes": most}
    app.add_middleware(BodyLimit, max_bytes=most)
    app.add_middleware(RequireActor, **about_actors)
    door = RequireActor(BodyLimit(AlertDoor(services), most), **about_actors)
    app.alerts = ServerErrorMiddleware(door, handler=unforeseen)
    return app


async def _store_failed(request: Request, error: Exception) -> Response:
    said = str(error.orig) if isinstance(error, OperationalError) else str(error)
    return unavailable(f"the store is not usable now: {said}"[:300]).response()


async def _keep_loaded(
    services: Services, load: Load, leave: asyncio.Event, on_broken: Callable[[], None] | None
) -> None:
    try:
        async with load(services) as runtime:
            services.runtime = runtime
            log.info("ready to heal: %d resources declared", len(services.resources))
            await leave.wait()
            services.runtime = None
    except Exception as error:
        services.broken = f"{type(error).__name__}: {error}"
        log.exception("the part that heals could not be started or stopped")
        if on_broken is not None:
            on_broken()

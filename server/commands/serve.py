"""`selfheal serve`: the web and the worker in one process. The port opens first; what heals is loaded behind it."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Annotated

import typer

from server import exits
from server.commands.common import ConfigOption, err, settings_of
from server.lock import sole_process
from server.logs import set_up_logging
from server.services import Runtime, Services
from server.settings import Settings, unknown_variables
from server.settings_errors import ConfigError

log = logging.getLogger("selfheal.serve")

GRACEFUL_SECONDS = 5
TURN_SECONDS = 0.0002
"""After which a thread lets another one on. The store's writer needs the interpreter for moments only, at every
statement; by default it would wait 5 ms each time for whatever the event loop is busy with."""
GARBAGE = (10_000, 4, 3)
"""Of the collector, once all is loaded: what a storm makes needs no collector to go again, what a graph leaves behind
does. By default it would look at the youngest every 700 objects."""


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of listen.host.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port, instead of listen.port.")] = None,
    web_only: Annotated[
        bool, typer.Option("--web-only", help="Accept and show, but leave healing to `selfheal worker` (PostgreSQL).")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
    config: ConfigOption = None,
) -> None:
    """Serve the webhook and the API, and heal. Stops after the steps under way on SIGTERM or Ctrl-C."""
    settings = settings_of(context, config)
    listen = settings.listen.model_copy(
        update={key: value for key, value in (("host", host), ("port", port)) if value is not None}
    )
    settings = settings.model_copy(update={"listen": listen})
    if web_only and settings.database_file is not None:
        remedy = "only others on a PostgreSQL database could heal then: leave it out, or set database_url"
        raise ConfigError("--web-only", [remedy])
    set_up_logging(verbose)
    for name in unknown_variables():
        log.warning("the variable %s sets nothing: see selfheal.example.yaml for the keys there are", name)
    with sole_process(settings.database_file):
        broken = run(settings, web_only)
    if broken:
        err().print(f"the server stopped: {broken}", style="red", markup=False)
        raise typer.Exit(exits.ERROR)


def run(settings: Settings, web_only: bool = False) -> str | None:
    """Serve until told to stop. Returns why it stopped by itself, or None."""
    import uvicorn

    from server.access.login_routes import sign_in_link
    from server.access.sign_in import ONE_TIME_HOURS
    from server.app import create_app
    from server.preflight import prepare

    services = prepare(settings)
    base = settings.public_url

    def announce(token: str) -> None:
        said = f"nobody is configured yet: sign in once, within {ONE_TIME_HOURS} hours, at {sign_in_link(base, token)}"
        err().print(said, markup=False, soft_wrap=True)

    load = load_web_behind if web_only else load_behind
    app = create_app(services, load, lambda: setattr(server, "should_exit", True), announce)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.listen.host,
            port=settings.listen.port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # Whose forwarded headers are believed is for access.trusted_proxies to say.
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
        )
    )
    log.info("opening http://%s:%s", settings.listen.host, settings.listen.port)
    log.info(
        "the webhook's token is in %s, the operator's in %s", settings.webhook.token_file, settings.operator.token_file
    )
    sys.setswitchinterval(TURN_SECONDS)
    try:
        server.run()
    except SystemExit:  # uvicorn's way to say that the port could not be opened; it has logged why
        return f"{settings.server_url} can't be opened: is the port taken? Choose another with --port"
    return services.broken


@asynccontextmanager
async def load_behind(services: Services) -> AsyncIterator[Runtime]:
    """Load the heavy parts in a thread, so that alerts are answered meanwhile."""
    module = await asyncio.to_thread(import_module, "server.runtime")
    async with module.load_server(services) as runtime:
        # What was loaded stays: looking through it for garbage, again and again, would stop every answer meanwhile.
        await asyncio.to_thread(gc.collect)
        gc.freeze()
        gc.set_threshold(*GARBAGE)
        yield runtime


@asynccontextmanager
async def load_web_behind(services: Services) -> AsyncIterator[Runtime]:
    """As `load_behind`, without what heals."""
    module = await asyncio.to_thread(import_module, "server.runtime")
    async with module.load_web(services) as runtime:
        yield runtime

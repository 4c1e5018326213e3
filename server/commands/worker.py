"""`selfheal worker`: heals, without a web server. Any number of them share one PostgreSQL database."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import Annotated

import typer

from server.commands.common import ConfigOption, settings_of
from server.commands.serve import TURN_SECONDS
from server.logs import set_up_logging
from server.settings import Settings
from server.settings_errors import ConfigError

log = logging.getLogger("selfheal.worker")


def worker(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
    config: ConfigOption = None,
) -> None:
    """Heal what any server on the same PostgreSQL database accepts. Stops after the steps under way on SIGTERM.

    Whoever is killed is replaced by the others within ten seconds.
    """
    settings = settings_of(context, config)
    if settings.database_file is not None:
        remedy = "a SQLite file has room for one process, `selfheal serve`: set database_url to postgresql://…"
        raise ConfigError("database_url", [remedy])
    set_up_logging(verbose)
    sys.setswitchinterval(TURN_SECONDS)
    asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    from server.preflight import prepare
    from server.runtime import load_worker

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    services = prepare(settings)
    try:
        async with load_worker(services) as healing:
            log.info("ready to heal as %s: %d resources declared", healing.name, len(services.resources))
            await stop.wait()
            log.info("stopping: what is under way ends its step, others go on with the rest")
    finally:
        await services.store.close()

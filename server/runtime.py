"""The part that heals: agents, queue and runner, brought up behind the open port and drained on the way down."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from agents.agent import Agent
from agents.checkpoints import sqlite_checkpoints
from server.console.plots.page import keep_plots
from server.metrics import NodeTimer
from server.notify_targets import make_directory
from server.notify_worker import NotifyWorker
from server.queue import HealQueue
from server.runner import Runner
from server.services import Runtime, Services
from server.wiring import deps_of, make_prometheus, make_silencer, open_tools
from tools.actions.catalogue import Catalogue
from tools.clients.circuit import Circuits

DRAIN_SECONDS = 20.0


@dataclass(frozen=True)
class Healing:
    """What heals in this process: a runner with its agents, and what an edited plan is completed with."""

    runner: Runner
    actions: Catalogue
    notices: NotifyWorker
    name: str
    circuits: Circuits


@asynccontextmanager
async def load_server(services: Services) -> AsyncIterator[Runtime]:
    """Everything `serve` needs behind its port. On leaving, running heals end their super-step."""
    async with load_healing(services) as healing, AsyncExitStack() as stack:

        async def run_leg(incident_id: str, leg: int) -> None:
            await healing.runner.run_leg(incident_id, leg)

        concurrency = services.settings.worker_concurrency
        queue = HealQueue(f"sqlite:///{services.settings.beside('queue')}", healing.name, run_leg, concurrency)
        await queue.launch()
        stack.push_async_callback(queue.close, DRAIN_SECONDS)
        healing.runner.start(queue)
        stack.push_async_callback(healing.runner.stop)
        plotted = make_prometheus(services.settings)  # Another than the heals': who looks must not keep them waiting.
        stack.push_async_callback(plotted.close)
        keeping = asyncio.create_task(keep_plots(services.store, plotted), name="plots")
        stack.push_async_callback(_cancelled, keeping)
        yield Runtime(healing.actions, lambda: None, plotted, healing.circuits)


@asynccontextmanager
async def load_healing(services: Services) -> AsyncIterator[Healing]:
    """Agents and a runner on the running event loop, without a queue: legs run when `runner.run_leg` is called.

    Only for the one process on its store (see `server.lock`): what ran there before is taken for dead.
    """
    settings, store = services.settings, services.store
    async with AsyncExitStack() as stack:
        tools = await stack.enter_async_context(open_tools(settings, store))
        saver, pruner = await stack.enter_async_context(sqlite_checkpoints(settings.beside("checkpoints")))
        timer = NodeTimer(store, store, services.metrics)
        agents = {
            name: Agent(deps_of(kind, tools, store, timer, services.policies, settings.heal_settings), saver, pruner)
            for name, kind in services.kinds.items()
        }
        directory = make_directory(settings.notify)
        stack.push_async_callback(directory.close)
        notices = NotifyWorker(store, directory, settings.public_url)
        stack.push_async_callback(_cancelled, asyncio.create_task(notices.run(), name="notices"))
        await store.start_over()
        if (silencer := make_silencer(services, tools)) is not None:
            stack.push_async_callback(silencer.release)
            stack.push_async_callback(_cancelled, asyncio.create_task(silencer.run(), name="silences"))
        name = process_name()
        yield Healing(Runner(store, agents, tools.condition, name), tools.actions, notices, name, tools.circuits)


def process_name() -> str:
    """This process and no other, ever: leases and the queue tell processes apart by it."""
    return f"{socket.gethostname()[:60]}-{os.getpid()}-{secrets.token_hex(3)}"


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

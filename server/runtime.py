"""The part that heals: agents and a runner, brought up behind the open port and drained on the way down."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from agents.agent import Agent
from agents.checkpoints import Checkpoints, Fence, postgres_checkpoints, sqlite_checkpoints
from agents.threads import Threads
from server.chores import beat, on_duty, this_worker
from server.console.plots.page import keep_plots
from server.leases import HeldLeases
from server.metrics import NodeTimer
from server.notify_targets import make_directory
from server.notify_worker import NotifyWorker
from server.retention import Keeper
from server.runner import Runner
from server.services import Runtime, Services
from server.settings import Settings
from server.silencing import Silencer
from server.store import StoreError
from server.wiring import deps_of, make_prometheus, make_silencer, open_tools
from tools.actions.catalogue import Catalogue
from tools.clients.circuit import Circuits
from tools.clients.prometheus import PrometheusClient

DRAIN_SECONDS = 20.0


@dataclass(frozen=True)
class Healing:
    """What heals in this process: a runner with its agents, and what an edited plan is completed with."""

    runner: Runner
    actions: Catalogue
    notices: NotifyWorker
    name: str
    keeper: Keeper
    circuits: Circuits


@asynccontextmanager
async def load_server(services: Services) -> AsyncIterator[Runtime]:
    """Everything `serve` needs behind its port. On leaving, running heals end their super-step."""
    async with load_healing(services, "serve") as healing, AsyncExitStack() as stack:
        healing.runner.start()
        stack.push_async_callback(healing.runner.stop, DRAIN_SECONDS)
        plotted = _plotted(stack, services, healing.name)
        _beside(stack, healing.keeper.run(), "retention")
        yield Runtime(healing.actions, lambda: None, plotted, healing.keeper, healing.circuits)


@asynccontextmanager
async def load_web(services: Services) -> AsyncIterator[Runtime]:
    """What a web server needs that does not heal: others do, on the same database."""
    async with AsyncExitStack() as stack:
        services.store.hear_others()
        tools = await stack.enter_async_context(open_tools(services.settings, services.store))
        name = process_name()
        await _be_seen(stack, services, name, "web")
        plotted = _plotted(stack, services, name)
        yield Runtime(tools.actions, lambda: None, plotted, circuits=tools.circuits)


@asynccontextmanager
async def load_worker(services: Services) -> AsyncIterator[Healing]:
    """What heals without a web server of its own."""
    async with load_healing(services, "worker") as healing:
        healing.runner.start()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(healing.runner.stop, DRAIN_SECONDS)
            _beside(stack, healing.keeper.run(), "retention")
            yield healing


@asynccontextmanager
async def load_healing(services: Services, role: str = "heal") -> AsyncIterator[Healing]:
    """Agents and a runner on the running event loop; legs run when the runner is started, or told to run one.

    On SQLite only for the one process on its store (see `server.lock`): what ran there before is taken for dead.
    """
    settings, store = services.settings, services.store
    async with AsyncExitStack() as stack:
        store.hear_others()
        leases = HeldLeases()
        tools = await stack.enter_async_context(open_tools(settings, store))
        checkpoints = await stack.enter_async_context(checkpoints_of(settings, leases.check))
        timer = NodeTimer(store, store, services.metrics)
        agents = {
            name: Agent(
                deps_of(kind, tools, store, timer, services.policies, settings.heal_settings),
                checkpoints.saver,
                checkpoints.pruner,
            )
            for name, kind in services.kinds.items()
        }
        name = process_name()
        directory = make_directory(settings.notify)
        stack.push_async_callback(directory.close)
        notices = NotifyWorker(store, directory, settings.public_url, name)
        _beside(stack, notices.run(), "notices")
        if not store.shared:
            await store.start_over()
        await _be_seen(stack, services, name, role)
        if (silencer := make_silencer(services, tools)) is not None:
            stack.push_async_callback(_released, silencer, services, name)
            _beside(stack, on_duty(store, "silences", name, silencer.run), "silences")
        stack.push_async_callback(_kept, services)
        _beside(stack, services.metrics.keep_always(store), "totals")
        lost = services.metrics.lease_lost
        runner = Runner(store, agents, tools.condition, name, None, settings.worker_concurrency, leases, lost)
        keeper = Keeper(store, settings.retention.terms, name, Threads(checkpoints.saver))
        yield Healing(runner, tools.actions, notices, name, keeper, tools.circuits)


def checkpoints_of(settings: Settings, fence: Fence) -> AbstractAsyncContextManager[Checkpoints]:
    """Where this configuration keeps the states of heals."""
    if settings.database_file is None:
        return postgres_checkpoints(settings.database_url, fence)
    return sqlite_checkpoints(settings.beside("checkpoints"), fence)


def process_name() -> str:
    """This process and no other, ever: leases tell processes apart by it."""
    return f"{socket.gethostname()[:60]}-{os.getpid()}-{secrets.token_hex(3)}"


def _plotted(stack: AsyncExitStack, services: Services, name: str) -> PrometheusClient:
    """Who is asked for plots, and has those of what is over kept: another than the heals', who must not wait for it."""
    client = make_prometheus(services.settings)
    stack.push_async_callback(client.close)
    _beside(stack, on_duty(services.store, "plots", name, lambda: keep_plots(services.store, client)), "plots")
    return client


async def _be_seen(stack: AsyncExitStack, services: Services, name: str, role: str) -> None:
    worker = this_worker(name, role)
    await services.store.workers.beat(worker)
    stack.push_async_callback(services.store.workers.leave, name)
    _beside(stack, beat(services.store, worker), "beat")


def _beside(stack: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> None:
    stack.push_async_callback(_cancelled, asyncio.create_task(work, name=name))


async def _released(silencer: Silencer, services: Services, name: str) -> None:
    """Let everything ring again, unless another process goes on with what is silenced."""
    if not await services.store.workers.others_heal(name):
        await silencer.release()


async def _kept(services: Services) -> None:
    with suppress(StoreError):  # The numbers of the last seconds; nothing else may suffer for them.
        await services.metrics.keep(services.store)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

"""Heals told to LangSmith or to an OpenTelemetry collector, only where the variables of these ask for it.

Off by default. What is sent was redacted before, and no heal waits for it or fails by it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from server.leaving import briefly
from server.otel import traced_by_otel

if TYPE_CHECKING:
    from server.langsmith_client import RedactingClient

log = logging.getLogger("selfheal.tracing")

FLUSH_SECONDS = 3.0
_SWITCHES = ("LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING", "LANGCHAIN_TRACING")


@asynccontextmanager
async def tracing() -> AsyncIterator[None]:
    """Within, heals are traced as the environment asks. On leaving, what is left is sent, for a short while at most."""
    async with _traced_by_langsmith(), traced_by_otel():
        yield


@asynccontextmanager
async def _traced_by_langsmith() -> AsyncIterator[None]:
    if not langsmith_asked_for():
        yield
        return
    import langsmith

    client = await asyncio.to_thread(_make_client)
    if client is None:
        # Else LangChain would make a bare client of its own.
        langsmith.configure(enabled=False)
        yield
        return
    langsmith.configure(client=client, enabled=True)
    log.info("runs are traced at %s, redacted", client.api_url)
    try:
        yield
    finally:
        # The closed client stays in place, for the same reason.
        langsmith.configure(enabled=False)
        await briefly(lambda: client.close(FLUSH_SECONDS), 2 * FLUSH_SECONDS)


def langsmith_asked_for() -> bool:
    """Whether LangChain and LangGraph would trace: the first of LangSmith's switches that is set says `true`."""
    values = (os.environ.get(name, "").strip() for name in _SWITCHES)
    return next((value for value in values if value), "") == "true"


def _make_client() -> RedactingClient | None:
    """None, with the reason logged, where LangSmith's variables make no sense: then nothing is traced."""
    # It repeats every failed batch, with bodies: we say it once a minute.
    logging.getLogger("langsmith").setLevel(logging.CRITICAL)
    try:
        from server.langsmith_client import RedactingClient

        return RedactingClient()
    except Exception as error:
        log.warning("LANGSMITH_TRACING is on, but nothing is traced: %s", error)
        return None

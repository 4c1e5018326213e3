"""End sessions that keep a transaction open and do nothing: they hold connections and locks that others need."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from graph.kind import ActionSpec
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Params
from tools.actions.on_database import client_of
from tools.actions.on_sessions import DEADLINE_SECONDS, OnSessions, ended, orders_for

_NONE = "no session is idle inside a transaction for that long"


class EndIdleParams(Params):
    """How long a session must have been idle to be ended."""

    min_seconds: int = Field(ge=5, le=86400, description="idle inside a transaction for at least this long")


class EndIdleSessions(OnSessions[EndIdleParams]):
    """Those that work are left alone, and so are those idle without a transaction: pools keep such ones."""

    spec = ActionSpec(
        name="end_idle_sessions",
        summary="end sessions that are idle inside a transaction for long",
        risk="disruptive",
        params=EndIdleParams,
        deadline_seconds=DEADLINE_SECONDS,
    )
    params = EndIdleParams

    def statement(self, resource: Resource, params: EndIdleParams) -> str:
        return client_of(self.context, resource).render(resource, orders_for(resource).end_idle, (params.min_seconds,))

    async def precondition(self, resource: Resource, params: EndIdleParams) -> str | None:
        """There are such sessions."""
        return None if await self._count(resource, params) else _NONE

    async def run(
        self, resource: Resource, params: EndIdleParams, key: str, first_started_at: datetime
    ) -> ActionOutput:
        """Choose and end in one statement."""
        return ended(await self.ask(resource, self.statement(resource, params)), _NONE)

    async def probe(self, resource: Resource, params: EndIdleParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """Whether any are left: ending those that are does no harm."""
        left = await self._count(resource, params)
        return Probe("no_effect" if left else "took_effect", f"{left} sessions are idle inside a transaction")

    async def _count(self, resource: Resource, params: EndIdleParams) -> int:
        (row,) = await self.ask(resource, orders_for(resource).count_idle, params.min_seconds)
        return int(str(row["n"]))

"""End one session of a database: one that holds up others."""

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


class EndSessionParams(Params):
    """Which one: its id alone is used again, so what was seen of it besides must still be so."""

    pid: int = Field(gt=0, description="the session's id, as the evidence has it")
    started: str = Field(min_length=1, max_length=60, description="as the evidence has it")


class EndSession(OnSessions[EndSessionParams]):
    """Its open transaction is rolled back by the server. A session that is another one now is never touched."""

    spec = ActionSpec(
        name="end_session",
        summary="end one session of a database, named by id and beginning",
        risk="disruptive",
        params=EndSessionParams,
        deadline_seconds=DEADLINE_SECONDS,
    )
    params = EndSessionParams

    def statement(self, resource: Resource, params: EndSessionParams) -> str:
        client = client_of(self.context, resource)
        return client.render(resource, orders_for(resource).end, (params.pid, params.started))

    async def precondition(self, resource: Resource, params: EndSessionParams) -> str | None:
        """It is there, and still the same."""
        return None if await self._there(resource, params) else _gone(params)

    async def run(
        self, resource: Resource, params: EndSessionParams, key: str, first_started_at: datetime
    ) -> ActionOutput:
        """Choose and end in one statement."""
        return ended(await self.ask(resource, self.statement(resource, params)), _gone(params))

    async def probe(self, resource: Resource, params: EndSessionParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """Whether it is still there."""
        if await self._there(resource, params):
            return Probe("no_effect", f"session {params.pid} is still there")
        return Probe("took_effect", f"session {params.pid} is gone")

    async def _there(self, resource: Resource, params: EndSessionParams) -> bool:
        return bool(await self.ask(resource, orders_for(resource).find, params.pid, params.started))


def _gone(params: EndSessionParams) -> str:
    return f"session {params.pid} has ended or done something else since it was seen: nothing to end"

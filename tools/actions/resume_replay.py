"""Resume the replay of a PostgreSQL replica that somebody paused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graph.kind import ActionSpec, touches_cluster
from graph.ports import Probe
from graph.records import Resource
from tools.actions.on_postgres import DEADLINE_SECONDS, OnPostgres, replica_only, seen_of
from tools.actions.on_provider import NoParams


class ResumeReplay(OnPostgres[NoParams]):
    """Nothing is lost by it: what was received is replayed."""

    spec = ActionSpec(
        name="resume_replay",
        summary="resume the paused replay of a replica (PostgreSQL)",
        risk="low",
        params=NoParams,
        deadline_seconds=DEADLINE_SECONDS,
        touches=touches_cluster,
    )
    params = NoParams

    def statements(self, resource: Resource, params: NoParams) -> tuple[str, ...]:
        return ("select pg_wal_replay_resume()",)

    async def objection(self, resource: Resource, params: NoParams) -> str | None:
        """It is a replica, and paused."""
        if refused := await replica_only(self.context, resource):
            return refused
        seen = await seen_of(self.context, resource)
        return None if seen is not None and seen.paused else "its replay is not paused: nothing to resume"

    async def effect(self, resource: Resource, params: NoParams, baseline: Mapping[str, Any]) -> Probe:
        seen = await seen_of(self.context, resource)
        paused = seen is not None and seen.paused
        return Probe("no_effect", "it is still paused") if paused else Probe("took_effect", "it is not paused")

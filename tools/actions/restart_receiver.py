"""End the stuck WAL receiver of a PostgreSQL replica: its server starts another at once."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from graph.kind import ActionSpec, touches_cluster
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, Params, place
from tools.actions.claimed import claim_of, probe_of_claim, run_claimed
from tools.actions.on_database import of_engine
from tools.actions.on_postgres import behind_patroni, not_patronis, replica_only, seen_of
from tools.clients.databases.database import DatabaseError
from tools.services.units import sudo

_ON_HOST_SECONDS = 15


class ReceiverParams(Params):
    """Which one: a pid is used again, so its beginning must still be the same."""

    pid: int = Field(gt=1, le=4_194_304, description="pid of the WAL receiver, as the evidence has it")
    started: str = Field(min_length=1, max_length=60, description="when it began, as the evidence has it")


class RestartReceiver(Action[ReceiverParams]):
    """A process that is stopped does not hear: it is told to end, and woken to hear it. Never killed outright, as that
    makes the whole server recover."""

    spec = ActionSpec(
        name="restart_receiver",
        summary="end the stuck WAL receiver of a replica, which its server replaces (PostgreSQL)",
        risk="disruptive",
        params=ReceiverParams,
        deadline_seconds=40.0,
        touches=touches_cluster,
    )
    params = ReceiverParams

    def admit(self, resource: Resource, params: ReceiverParams) -> ReceiverParams:
        of_engine(resource, "postgresql")
        not_patronis(resource)
        return params

    def render(self, resource: Resource, params: ReceiverParams) -> str:
        return f"{place(resource)}$ {_line(resource, params)}"

    async def precondition(self, resource: Resource, params: ReceiverParams) -> str | None:
        """It is a replica, and this is still its receiver."""
        if refused := await behind_patroni(self.context, resource) or await replica_only(self.context, resource):
            return refused
        seen = await seen_of(self.context, resource)
        if seen is None or (seen.receiver_pid, seen.receiver_started) != (params.pid, params.started):
            return f"process {params.pid} is no longer its WAL receiver: nothing to end"
        return None

    async def baseline(self, resource: Resource, params: ReceiverParams) -> dict[str, Any]:
        return {"pid": params.pid, "started": params.started}

    async def run(
        self, resource: Resource, params: ReceiverParams, key: str, first_started_at: datetime
    ) -> ActionOutput:
        """One claimed command, which looks once more that it is a WAL receiver."""
        return await run_claimed(self.context, resource, key, _line(resource, params), _ON_HOST_SECONDS)

    async def probe(self, resource: Resource, params: ReceiverParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The claim, and where that has no end, whether another receiver is there."""
        if proven := probe_of_claim(await claim_of(self.context, resource, key), resource):
            return proven
        try:
            seen = await seen_of(self.context, resource)
        except DatabaseError as error:
            return Probe("unknown", f"begun, without an exit status; {str(error)[:160]}")
        if seen is not None and (seen.receiver_pid, seen.receiver_started) != (params.pid, params.started):
            return Probe("took_effect", f"process {params.pid} is its WAL receiver no more")
        return Probe("unknown", "begun, without an exit status, and it is still there")


def _line(resource: Resource, params: ReceiverParams) -> str:
    pid, name = int(params.pid), shlex.quote("walreceiver")
    signal = " && ".join(f"{sudo(resource)}kill -s {word} -- {pid}" for word in ("TERM", "CONT"))
    return f"grep -qa {name} /proc/{pid}/cmdline || {{ echo 'no WAL receiver any more'; exit 3; }}; {signal}"

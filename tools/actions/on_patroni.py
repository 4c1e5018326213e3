"""Repairs of a PostgreSQL cluster that Patroni manages: it is asked to do them, and does them its own safe way."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from graph.kind import ActionSpec, touches_cluster
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, ActionContext, NotAllowed, P, Params
from tools.actions.on_database import of_engine
from tools.actions.on_provider import NoParams
from tools.clients.databases.database import DatabaseError, StatementFailed, database_of, peers_of
from tools.clients.databases.patroni import PatroniClient, PatroniCluster, PatroniMember, call_of, url_of
from tools.clients.databases.postgresql import PostgresClient


def _client(context: ActionContext) -> PatroniClient:
    found = context.databases.get("postgresql")
    if not isinstance(found, PostgresClient):
        raise NotAllowed("action", "no client for PostgreSQL is configured")
    return found.patroni


class OnPatroni(Action[P]):
    """One call to the member's own Patroni."""

    @abstractmethod
    def call(self, resource: Resource, params: P) -> tuple[str, dict[str, Any]]:
        """Path and body of the POST."""

    @abstractmethod
    def objection(self, resource: Resource, params: P, cluster: PatroniCluster) -> str | None:
        """Why Patroni must not be asked for this now, or None."""

    @abstractmethod
    def done(self, resource: Resource, params: P, cluster: PatroniCluster, baseline: Mapping[str, Any]) -> Probe:
        """What the cluster shows of a call that may have been cut short."""

    def admit(self, resource: Resource, params: P) -> P:
        of_engine(resource, "postgresql")
        if not database_of(resource).patroni_url:
            raise NotAllowed("action", f"{resource.key} declares no database.patroni_url")
        return params

    def render(self, resource: Resource, params: P) -> str:
        """`http://10.0.0.7:8008> POST /restart {}`."""
        path, body = self.call(resource, params)
        return f"{url_of(resource)}> {call_of('POST', path, body)}"

    async def precondition(self, resource: Resource, params: P) -> str | None:
        """Patroni manages the cluster just now, and its state calls for this."""
        cluster = await _client(self.context).cluster(resource)
        if cluster.paused:
            return "Patroni is paused: somebody wants the cluster left alone"
        return self.objection(resource, params, cluster)

    async def baseline(self, resource: Resource, params: P) -> dict[str, Any]:
        try:
            cluster = await _client(self.context).cluster(resource)
        except DatabaseError as error:
            return {"unknown": str(error)[:200]}
        own, leader = cluster.of(resource), cluster.leader
        return {"state": own.state if own else "", "leader": leader.name if leader else ""}

    async def run(self, resource: Resource, params: P, key: str, first_started_at: datetime) -> ActionOutput:
        path, body = self.call(resource, params)
        try:
            return ActionOutput("succeeded", (await _client(self.context).tell(resource, path, body))[:400])
        except StatementFailed as error:
            return ActionOutput("failed", str(error))

    async def probe(self, resource: Resource, params: P, key: str, baseline: Mapping[str, Any]) -> Probe:
        return self.done(resource, params, await _client(self.context).cluster(resource), baseline)


class PatroniRestart(OnPatroni[NoParams]):
    """Restarts this member's server; never a leader for another's sake."""

    spec = ActionSpec(
        name="patroni_restart",
        summary="have Patroni restart this member's server",
        risk="disruptive",
        params=NoParams,
        deadline_seconds=60.0,
        touches=touches_cluster,
    )
    params = NoParams

    def call(self, resource: Resource, params: NoParams) -> tuple[str, dict[str, Any]]:
        return "/restart", {}

    def objection(self, resource: Resource, params: NoParams, cluster: PatroniCluster) -> str | None:
        own = cluster.of(resource)
        if own is None:
            return f"Patroni knows no member at {resource.address}:{database_of(resource).port}"
        return f"{own.name} is the leader and runs" if own.leads and own.runs else None

    def done(self, resource: Resource, params: NoParams, cluster: PatroniCluster, baseline: Mapping[str, Any]) -> Probe:
        return _runs_again(cluster.of(resource), baseline)


class PatroniReinitialize(OnPatroni[NoParams]):
    """A fresh copy of the leader; Patroni removes the old data itself, so there is no way back."""

    spec = ActionSpec(
        name="patroni_reinitialize",
        summary="have Patroni copy the leader afresh to this member",
        risk="destructive",
        params=NoParams,
        deadline_seconds=60.0,
        touches=touches_cluster,
    )
    params = NoParams

    def call(self, resource: Resource, params: NoParams) -> tuple[str, dict[str, Any]]:
        return "/reinitialize", {"force": True}

    def objection(self, resource: Resource, params: NoParams, cluster: PatroniCluster) -> str | None:
        """It is known and leads nobody, and there is a leader to copy."""
        own = cluster.of(resource)
        if own is None:
            return f"Patroni knows no member at {resource.address}:{database_of(resource).port}"
        if own.leads:
            return f"{own.name} is the leader: it is never made anew"
        return None if cluster.leader else "the cluster has no running leader: there is nothing to copy"

    def done(self, resource: Resource, params: NoParams, cluster: PatroniCluster, baseline: Mapping[str, Any]) -> Probe:
        return _runs_again(cluster.of(resource), baseline)


class CandidateParams(Params):
    """Who is to lead."""

    replica: str = Field(min_length=1, max_length=200, description="id of a declared peer")


class PatroniFailover(OnPatroni[CandidateParams]):
    """Patroni's own lock keeps the old leader from taking writes. Asked of the candidate's Patroni: the old one is
    lost."""

    spec = ActionSpec(
        name="patroni_failover",
        summary="have Patroni make another member the leader, where there is none",
        risk="destructive",
        params=CandidateParams,
        deadline_seconds=60.0,
        touches=touches_cluster,
        judged_by="traffic",
    )
    params = CandidateParams

    def call(self, resource: Resource, params: CandidateParams) -> tuple[str, dict[str, Any]]:
        return "/failover", {"candidate": params.replica}

    def objection(self, resource: Resource, params: CandidateParams, cluster: PatroniCluster) -> str | None:
        """Nobody leads, and the candidate lacks no more than it may."""
        if cluster.leader is not None:
            return f"{cluster.leader.name} leads and runs: it is not replaced"
        peer = next((p for p in peers_of(resource, self.context.inventory) if p.id == params.replica), None)
        candidate = cluster.of(peer) if peer else None
        if peer is None or candidate is None:
            return f"{params.replica} is no declared peer that Patroni knows"
        most = database_of(peer).max_promote_lag_bytes
        if not candidate.runs:
            return f"{candidate.name} is {candidate.state}"
        if candidate.lag is None or candidate.lag > most:
            lacks = "an unknown number of" if candidate.lag is None else candidate.lag
            return f"{candidate.name} lacks {lacks} bytes; {most} are allowed"
        return None

    def done(
        self, resource: Resource, params: CandidateParams, cluster: PatroniCluster, baseline: Mapping[str, Any]
    ) -> Probe:
        leader = cluster.leader
        if leader is not None and leader.name != baseline.get("leader"):
            return Probe("took_effect", f"{leader.name} leads")
        return Probe("no_effect", "nobody leads")


def _runs_again(own: PatroniMember | None, baseline: Mapping[str, Any]) -> Probe:
    if own is not None and own.runs and baseline.get("state") not in (own.state, None):
        return Probe("took_effect", f"{own.name} is {own.state}")
    return Probe("unknown", f"it is {own.state if own else 'unknown to Patroni'}")

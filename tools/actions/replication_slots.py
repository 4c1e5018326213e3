"""Make the slot of a replica anew on its primary, and drop one that nobody uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from graph.kind import ActionSpec, touches_cluster
from graph.ports import Probe
from graph.records import Resource
from tools.actions.action import NotAllowed, Params
from tools.actions.on_database import primary_of, unfit_primary
from tools.actions.on_postgres import DEADLINE_SECONDS, OnPostgres, postgres_of, standby_of
from tools.actions.on_provider import NoParams
from tools.clients.databases.database import Row, database_of, peers_of
from tools.clients.databases.postgres_text import literal

LOST = "lost"


class RecreateSlot(OnPostgres[NoParams]):
    """On the primary, for the replica it belongs to. One that is there and good is left alone."""

    spec = ActionSpec(
        name="recreate_slot",
        summary="make the declared slot of a replica on its primary, where it is missing or lost (PostgreSQL)",
        risk="low",
        params=NoParams,
        deadline_seconds=DEADLINE_SECONDS,
        touches=touches_cluster,
    )
    params = NoParams

    def admit(self, resource: Resource, params: NoParams) -> NoParams:
        """A replica with a declared slot and a declared primary."""
        super().admit(resource, params)
        if not database_of(resource).replication.slot:
            raise NotAllowed("action", f"{resource.key} declares no database.replication.slot")
        primary_of(self.context, resource)
        return params

    def target(self, resource: Resource, params: NoParams) -> Resource:
        return primary_of(self.context, resource)

    def statements(self, resource: Resource, params: NoParams) -> tuple[str, ...]:
        name = literal(str(database_of(resource).replication.slot))
        return (
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots s"
            f" where slot_name = {name} and not active and to_jsonb(s) ->> 'wal_status' = '{LOST}'",
            f"select slot_name as made from pg_create_physical_replication_slot({name}, true)"
            f" where not exists (select 1 from pg_replication_slots where slot_name = {name})",
        )

    async def objection(self, resource: Resource, params: NoParams) -> str | None:
        """Its primary is one and well, and the slot is missing or lost."""
        primary = primary_of(self.context, resource)
        if unfit := await unfit_primary(self.context, primary):
            return unfit
        view = await standby_of(self.context, primary, resource)
        if view.slot_exists and view.wal_status != LOST:
            return f"the slot is there ({view.wal_status or 'in order'}): nothing to make"
        return None

    async def effect(self, resource: Resource, params: NoParams, baseline: Mapping[str, Any]) -> Probe:
        view = await standby_of(self.context, primary_of(self.context, resource), resource)
        there = view.slot_exists and view.wal_status != LOST
        return Probe("took_effect", "the slot is there") if there else Probe("no_effect", "there is no such slot")


class SlotParams(Params):
    """Which slot."""

    slot: str = Field(pattern=r"^[a-z0-9_]{1,63}$", description="a slot nobody uses, as the evidence has it")


class DropSlot(OnPostgres[SlotParams]):
    """Never one in use, and never one of a declared peer: that replica could not come back without being rebuilt."""

    spec = ActionSpec(
        name="drop_slot",
        summary="drop a replication slot that nobody uses and no declared replica owns (PostgreSQL)",
        risk="destructive",
        params=SlotParams,
        deadline_seconds=DEADLINE_SECONDS,
        touches=touches_cluster,
    )
    params = SlotParams

    def admit(self, resource: Resource, params: SlotParams) -> SlotParams:
        """No slot that a declared peer, or the resource itself, is fed by."""
        super().admit(resource, params)
        members = (resource, *peers_of(resource, self.context.inventory))
        if owner := next((m for m in members if database_of(m).replication.slot == params.slot), None):
            raise NotAllowed("slot", f"{params.slot} is the slot of {owner.key}: rebuild or start that replica instead")
        missing = [key for key in resource.peer_keys if key not in self.context.inventory]
        if missing:
            raise NotAllowed("slot", f"{', '.join(missing)} is not declared: the slot may be its own")
        return params

    def statements(self, resource: Resource, params: SlotParams) -> tuple[str, ...]:
        return (
            "select pg_drop_replication_slot(slot_name), slot_name as dropped from pg_replication_slots"
            f" where slot_name = {literal(params.slot)} and not active",
        )

    async def objection(self, resource: Resource, params: SlotParams) -> str | None:
        """It is there, unused, and physical: a logical one is somebody's subscription."""
        row = await self._slot(resource, params)
        if row is None:
            return f"there is no slot {params.slot}"
        if row["active"]:
            return f"slot {params.slot} is in use"
        if row["type"] != "physical":
            return f"slot {params.slot} is logical: somebody's subscription would be lost with it"
        return None

    async def effect(self, resource: Resource, params: SlotParams, baseline: Mapping[str, Any]) -> Probe:
        there = await self._slot(resource, params) is not None
        return Probe("no_effect", "it is still there") if there else Probe("took_effect", "there is no such slot")

    async def _slot(self, resource: Resource, params: SlotParams) -> Row | None:
        statement = "select active, slot_type as type from pg_replication_slots where slot_name = %s"
        rows = await postgres_of(self.context, resource).execute(resource, statement, (params.slot,))
        return rows[0] if rows else None

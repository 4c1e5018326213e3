"""Restart one declared service: for one that runs and does not work, or that has failed."""

from __future__ import annotations

from graph.kind import ActionSpec
from tools.actions.on_service import DEADLINE_SECONDS, OnService, ServiceParams
from tools.services.manager import ServiceManager, UnitState


class RestartService(OnService):
    """Also lifts a start limit that was hit, without which a restart would be refused."""

    spec = ActionSpec(
        name="restart_service",
        summary="restart one declared service, also one over its start limit",
        risk="disruptive",
        params=ServiceParams,
        deadline_seconds=DEADLINE_SECONDS,
    )

    def command(self, manager: ServiceManager, unit: str) -> str:
        return manager.restart_command(unit)

    def objection(self, state: UnitState) -> str | None:
        return None

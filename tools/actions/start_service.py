"""Start one declared service that is not running: less harm than a restart, for it interrupts nobody."""

from __future__ import annotations

from graph.kind import ActionSpec
from tools.actions.on_service import DEADLINE_SECONDS, OnService, ServiceParams
from tools.services.manager import ServiceManager, UnitState


class StartService(OnService):
    """Refuses for a service that runs already."""

    spec = ActionSpec(
        name="start_service",
        summary="start one declared service that is not running, also one over its start limit",
        risk="disruptive",
        params=ServiceParams,
        deadline_seconds=DEADLINE_SECONDS,
    )

    def command(self, manager: ServiceManager, unit: str) -> str:
        return manager.start_command(unit)

    def objection(self, state: UnitState) -> str | None:
        return f"{state.unit} is already running: nothing to start" if state.state == "running" else None

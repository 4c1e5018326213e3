"""Service managers: systemd and supervisord behind one port, chosen by what a resource declares."""

from __future__ import annotations

from tools.services.manager import ServiceManager, UnitState, UnknownUnit
from tools.services.status import MANAGERS, ManagerSilent, manager_for, unit_states
from tools.services.supervisord import Supervisord
from tools.services.systemd import Systemd
from tools.services.units import declared

__all__ = (
    "MANAGERS",
    "ManagerSilent",
    "ServiceManager",
    "Supervisord",
    "Systemd",
    "UnitState",
    "UnknownUnit",
    "declared",
    "manager_for",
    "unit_states",
)

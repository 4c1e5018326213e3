"""Reading the state of a resource's units over a host: the one place where managers and hosts meet."""

from __future__ import annotations

from collections.abc import Sequence

from graph.records import Resource
from tools.clients.host import Hosts
from tools.services.manager import ServiceManager, UnitState
from tools.services.supervisord import Supervisord
from tools.services.systemd import Systemd

MANAGERS: tuple[type[Systemd] | type[Supervisord], ...] = (Systemd, Supervisord)


def manager_for(resource: Resource) -> ServiceManager:
    """The manager that runs the resource's services."""
    wanted = resource.service_manager.name
    return next(manager(resource) for manager in MANAGERS if manager.name == wanted)


def declared_names(resource: Resource) -> dict[str, str]:
    """systemd's name of each declared service → as it is declared; nothing where systemd does not run them."""
    manager = manager_for(resource)
    return {manager.normalise(name): name for name in resource.services} if manager.name == "systemd" else {}


class ManagerSilent(Exception):
    """The service manager told nothing of any unit: it does not run, or may not be asked."""


async def unit_states(
    hosts: Hosts, resource: Resource, units: Sequence[str], timeout: float = 10.0
) -> dict[str, UnitState]:
    """The state of these units, by name as asked for. Raises HostUnreachable, UnknownUnit, ManagerSilent."""
    if not units:
        return {}
    manager = manager_for(resource)
    result = await hosts.run(resource, manager.status_command(units), timeout)
    states = manager.parse_status(result.stdout, units)
    if all(state.state == "unknown" and not state.raw for state in states.values()):
        said = (result.stderr.strip() or result.stdout.strip() or "nothing")[:300]
        raise ManagerSilent(
            f"{manager.name} on {resource.key} told nothing of {', '.join(units)}; "
            f"exit status {result.exit_status}, it said: {said}"
        )
    return states

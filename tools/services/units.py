"""Which units may be named: the guard before any unit gets into a command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from graph.records import Resource
from tools.services.manager import ServiceManager, UnknownUnit


def declared(resource: Resource, unit: str, manager: ServiceManager) -> str:
    """The unit as the resource declares it, found by either spelling (`nginx`, `nginx.service`).

    Raises UnknownUnit, naming what is declared.
    """
    wanted = manager.normalise(unit)
    for service in resource.services:
        if manager.normalise(service) == wanted:
            return service
    known = ", ".join(resource.services) or "none"
    raise UnknownUnit(f"{unit!r} is not a declared service of {resource.key} (declared: {known})")


class Guard:
    """Normalised names of a resource's declared units, quoted for a shell."""

    def __init__(self, resource: Resource, manager: ServiceManager) -> None:
        self._resource = resource
        self._manager = manager

    def word(self, unit: str) -> str:
        """The unit as a shell word. Raises UnknownUnit."""
        return shlex.quote(self._manager.normalise(declared(self._resource, unit, self._manager)))

    def words(self, units: Sequence[str]) -> str:
        """The units as shell words."""
        return " ".join(self.word(unit) for unit in units)


def sudo(resource: Resource) -> str:
    """`sudo -n ` where the resource's user needs it, else nothing. Locally we are who we are."""
    uses_sudo = resource.transport == "ssh" and resource.ssh is not None and resource.ssh.uses_sudo
    return "sudo -n " if uses_sudo else ""

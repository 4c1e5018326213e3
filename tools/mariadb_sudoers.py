"""The lines that sudoers needs for what is done about a MariaDB server beyond restarting it: one exact command each."""

from __future__ import annotations

from graph.records import Resource
from tools.actions.fencing import unit_of
from tools.actions.mariadb_copy import rebuild_sudoers
from tools.services.status import manager_for


def mariadb_sudoers(resource: Resource) -> tuple[str, ...]:
    """Each to stand behind `USER ALL=`. Keeping a unit that also has a SysV script from starting runs another program,
    and so needs EXEC where NOEXEC is the default."""
    unit = manager_for(resource).normalise(unit_of(resource))
    return (*rebuild_sudoers(resource), f"(root) NOPASSWD: EXEC: /usr/bin/systemctl disable --now {unit}")

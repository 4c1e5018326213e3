"""The database pairs of a stage: what their hosts have beyond those of apps, set up, declared and watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from evals.lab import mariadb, postgres
from evals.lab.disk import Disk
from evals.lab.faults import on_mariadb, on_postgres
from evals.lab.rootfs_files import USER
from evals.lab.stage import LabError, Role, Stage, StageHost
from evals.lab.surroundings import current

_IDS: Mapping[Role, str] = {"pg_primary": "pg-1", "pg_replica": "pg-2", "my_primary": "my-1", "my_replica": "my-2"}
_UNITS: Mapping[Role, str] = {
    "pg_primary": postgres.UNIT, "pg_replica": postgres.UNIT, "my_primary": mariadb.UNIT, "my_replica": mariadb.UNIT,
}  # fmt: skip
_PAIRS: tuple[tuple[ModuleType, Role, Role], ...] = (
    (postgres, "pg_primary", "pg_replica"),
    (mariadb, "my_primary", "my_replica"),
)


def is_database(role: Role) -> bool:
    return role in _IDS


def unit_of(role: Role) -> str:
    """The unit of what a host of that role is for."""
    return _UNITS.get(role, current().service)


def check_roles(roles: Sequence[Role]) -> None:
    """Raises LabError where a pair lacks a member, or has one twice."""
    for _, primary, replica in _PAIRS:
        if not roles.count(primary) == roles.count(replica) <= 1:
            raise LabError(f"a stage has one {primary} and one {replica}, or neither")


def furnish(disk: Disk, role: Role) -> None:
    """Write to the disk of a host of that role what its server needs, before its power goes on."""
    files: Mapping[str, str] = {}
    modes: Mapping[str, int] = {}
    if role in ("pg_primary", "pg_replica"):
        files, modes = postgres.files(USER), postgres.MODES
    elif is_database(role):
        files, modes = mariadb.files(1 if role == "my_primary" else 2, USER), mariadb.MODES
    for where, text in files.items():
        (disk.root / where).parent.mkdir(parents=True, exist_ok=True)
        disk.write(where, text)
        (disk.root / where).chmod(modes.get(where, 0o644))


def set_up(stage: Stage) -> None:
    """Every pair that the stage has: new servers with new data, the second following the first. Raises LabError."""
    for engine, primary, replica in _present(stage.hosts):
        engine.set_up(stage, primary, replica)


def recover(stage: Stage, host: StageHost) -> None:
    """Both members of the host's pair are what they were declared, in step; anew where they are not."""
    for engine, primary, replica in _present(stage.hosts):
        if host in (primary, replica):
            in_step = on_postgres.in_step if engine is postgres else on_mariadb.in_step
            if not in_step(stage, replica):
                engine.set_up(stage, primary, replica)


def resources(hosts: Sequence[StageHost], ssh: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Entries of selfheal.yaml for the servers; their passwords are written to files in `folder`."""
    made = []
    for engine, primary, replica in _present(hosts):
        first, second = _IDS[primary.role], _IDS[replica.role]
        made.append(engine.resource(primary, "primary", first, second, ssh, folder))
        made.append(engine.resource(replica, "replica", second, first, ssh, folder))
    return made


def scrapes(hosts: Sequence[StageHost]) -> list[dict[str, Any]]:
    """The jobs of Prometheus that watch them."""
    return [
        engine.scrape({_IDS[primary.role]: (primary, "primary"), _IDS[replica.role]: (replica, "replica")})
        for engine, primary, replica in _present(hosts)
    ]


def _present(hosts: Sequence[StageHost]) -> list[tuple[ModuleType, StageHost, StageHost]]:
    by_role = {host.role: host for host in hosts}
    return [(engine, by_role[first], by_role[second]) for engine, first, second in _PAIRS if first in by_role]

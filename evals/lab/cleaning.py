"""What may be removed on the lab's hosts, as their resources declare it and as their sudoers allow it."""

from __future__ import annotations

from typing import Any

from graph.records import Resource, SshAccess
from graph.resources import Cleanup, Volume
from tools.disk_sudoers import disk_sudoers

DATA_MOUNT = "/srv/data"

CLEANUP: dict[str, Any] = {
    # faults make files that are seconds old, and a file's ctime can't be forged
    "min_age_minutes": 0,
    "journal_keep_mib": 16,
    "restart_units": ["courier"],
}


def sudo_commands() -> tuple[str, ...]:
    """For the lab's sudoers."""
    resource = Resource(
        id="any",
        kind="Instance",
        address="127.0.0.1",
        ssh=SshAccess(user="any", key_file="any", known_hosts="any"),
        cleanup=Cleanup(**CLEANUP),
        volumes=(Volume(mount=DATA_MOUNT, max_gib=1),),
    )
    return disk_sudoers(resource)

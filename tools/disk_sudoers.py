"""The lines that sudoers needs for what is asked of a full disk and done about it: as narrow as the actions are.

sudo 1.9.10 or newer matches arguments by regular expressions, so each line allows one command on the declared roots and
no other. Nothing here lets its user run a program of choice, or name a file outside of the roots.
"""

from __future__ import annotations

import shlex

from graph.records import Resource
from tools.actions import big_logs, sweeping
from tools.actions.sweeping import escaped
from tools.evidence.disk_commands import DEEP, wal_find, wal_roots


def disk_sudoers(resource: Resource) -> tuple[str, ...]:
    """Commands for a `NOPASSWD:` list, with the characters escaped that sudoers gives a meaning of its own."""
    commands = [*sweeping.sudoers(resource), *big_logs.sudoers(resource), *_looking(resource), *_doing(resource)]
    return tuple(_in_sudoers(command) for command in commands)


def _looking(resource: Resource) -> list[str]:
    allowed = [rf"/usr/bin/du ^-xk0 -d {DEEP} /[^ ]*$", rf"/usr/bin/du ^--inodes -x0 -d {DEEP + 2} /[^ ]*$"]
    for root in wal_roots(resource):
        allowed.append(f"/usr/bin/find ^{escaped(' '.join(shlex.split(wal_find(root))))}$")
    return allowed


def _doing(resource: Resource) -> list[str]:
    allowed = ["/usr/bin/journalctl ^(--rotate )?--vacuum-size=[0-9]+M$"]
    if resource.cleanup.package_cache:
        allowed.append("/usr/bin/apt-get clean")
    for volume in resource.volumes:
        allowed += [
            "/usr/bin/growpart ^/dev/[a-z0-9]+ [0-9]+$",
            "/usr/sbin/resize2fs ^/dev/[a-z0-9]+$",
            f"/usr/sbin/xfs_growfs ^{escaped(volume.mount)}$",
        ]
    return list(dict.fromkeys(allowed))


def _in_sudoers(command: str) -> str:
    return "".join(f"\\{character}" if character in ",:=" else character for character in command)

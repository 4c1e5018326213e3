"""The shell lines by which a MariaDB replica gets a fresh copy of its primary: written here, run as claimed commands.

A logical copy by `mariadb-dump`, consistent by one transaction, with the primary's GTID position in it. It goes into a
server of its own on a folder of its own beside the data; only when it is complete is the real server stopped and the
folders are exchanged. The old data stays beside the new.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from graph.records import Resource
from tools.actions.action import NotAllowed
from tools.clients.databases.database import database_of
from tools.services.status import manager_for
from tools.services.units import declared, sudo

FRESH, BEFORE = ".rebuilding", ".before"
_SERVER_SECONDS = 60
_PACKET = "--max-allowed-packet=1G"
_ALIVE = "'SELECT 1'"
_NEVER = ("", "/", "/var", "/var/lib", "/srv", "/home", "/opt", "/etc", "/usr")


@dataclass(frozen=True)
class Places:
    """Folders and names on the replica's host, as shell words; `owner` is the prefix that makes a command run as who
    owns the data, `root` as root."""

    data: str
    fresh: str
    before: str
    socket: str
    user: str
    owner: str
    root: str
    unit: str


def places_of(resource: Resource) -> Places:
    """Raises NotAllowed where the resource does not declare what a rebuild needs."""
    database = database_of(resource)
    data, user = (database.data_dir or "").rstrip("/"), database.os_user
    unit = database.service or (resource.services[0] if resource.services else "")
    for name, value in (("data_dir", data), ("os_user", user), ("service", unit)):
        if not value:
            raise NotAllowed("action", f"{resource.key} declares no database.{name}: it can't be rebuilt")
    if data in _NEVER or not data.startswith("/") or ".." in data.split("/") or "\n" in data:
        raise NotAllowed("action", f"database.data_dir {data!r} of {resource.key} is no folder that may be exchanged")
    as_root = sudo(resource)
    return Places(
        data=shlex.quote(data),
        fresh=shlex.quote(data + FRESH),
        before=shlex.quote(data + BEFORE),
        socket=shlex.quote(f"{data}{FRESH}/copy.sock"),
        user=shlex.quote(user),
        owner=f"sudo -n -u {shlex.quote(user)} " if as_root else "",
        root=as_root,
        unit=declared(resource, unit, manager_for(resource)),
    )


def option_file(user: str, password: str) -> str:
    """What the dump reads to log in: never part of a command."""
    escaped = password.replace("\\", "\\\\").replace('"', '\\"')
    return f'[client]\nuser="{user}"\npassword="{escaped}"\n'


def copy_line(resource: Resource, primary: Resource, options: str) -> str:
    """Copy the primary into the fresh folder. `options` is a shell word: the option file with the login.

    `SHUTDOWN` follows only a complete dump; what is incomplete ends in a statement that fails. What the copy's own
    server has noted of following a source is forgotten, as its names of files are its own; the position stays.
    """
    at, port = places_of(resource), database_of(primary).port
    client = f"{at.owner}{_client(at)}"
    dump = (
        f"mariadb-dump --defaults-extra-file={options} --host={shlex.quote(primary.address)} --port={int(port)} "
        "--protocol=tcp --all-databases --single-transaction --quick --gtid --master-data=1 --routines --events "
        "--triggers --hex-blob --max-allowed-packet=1G"
    )
    failed = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the copy is not complete';"
    return (
        f"set -e; {at.root}{_clear(at)}; {at.root}{_make(at)}; {at.owner}{_install(at)} >/dev/null; "
        f"{at.owner}{_server(at)} >/dev/null & "
        f"n=0; until {client} -e {_ALIVE} >/dev/null 2>&1; do n=$((n+1)); "
        f"[ $n -lt {_SERVER_SECONDS * 5} ] || {{ echo 'the server for the copy did not start'; exit 1; }}; "
        f"sleep 0.2; done; "
        f'{{ {dump} && echo "RESET REPLICA ALL; SHUTDOWN;" || echo "{failed}"; }} | {client} {_PACKET} || '
        f"{{ {client} -e SHUTDOWN || true; rm -f {options}; exit 1; }}; rm -f {options}; wait"
    )


def _clear(at: Places) -> str:
    return f"rm -rf {at.fresh}"


def _make(at: Places) -> str:
    return f"install -d -o {at.user} -m 0755 {at.fresh}"


def _install(at: Places) -> str:
    return (
        f"mariadb-install-db --datadir={at.fresh} --user={at.user} --skip-test-db "
        f"--auth-root-authentication-method=socket --auth-root-socket-user={at.user}"
    )


def _server(at: Places) -> str:
    return (
        f"mariadbd --datadir={at.fresh} --user={at.user} --socket={at.socket} --pid-file={at.fresh}/copy.pid "
        "--skip-networking --skip-log-bin --skip-slave-start --read-only=0 --innodb-flush-log-at-trx-commit=0 "
        f"{_PACKET}"
    )


def _client(at: Places) -> str:
    return f"mariadb --no-defaults --socket={at.socket} --user={at.user}"


def _moves(at: Places) -> tuple[tuple[str, str], ...]:
    return ((at.data, at.before), (at.fresh, at.data), (at.before, at.data), (at.data, at.fresh))


def rebuild_sudoers(resource: Resource) -> tuple[str, ...]:
    """What the resource's SSH user must be allowed in sudoers for a rebuild: who to run as, and the exact command.

    mariadb-install-db is a script, so it needs EXEC where NOEXEC is the default.
    """
    at = places_of(resource)
    client = f"/usr/bin/{_client(at)}"
    as_root = [_clear(at), _make(at), *(f"mv -T {a} {b}" for a, b in _moves(at))]
    as_owner = [
        f"/usr/sbin/{_server(at)}",
        f"/usr/bin/du -sm {at.data}",
        f"{client} -e {_ALIVE.strip(chr(39))}",
        f"{client} -e SHUTDOWN",
        f"{client} {_PACKET}",
    ]
    return (
        *(f"(root) NOPASSWD: {_escaped(f'/usr/bin/{command}')}" for command in as_root),
        *(f"({at.user}) NOPASSWD: {_escaped(command)}" for command in as_owner),
        f"({at.user}) NOPASSWD: EXEC: {_escaped(f'/usr/bin/{_install(at)}')}",
    )


def _escaped(command: str) -> str:
    """As sudoers wants it: these mean something else there."""
    return re.sub(r"([,:=\\])", r"\\\1", command)


def exchange_line(resource: Resource) -> str:
    """Stop the server, put the fresh folder in the place of the data, start it. What fails leaves the old data in its
    place, and the server running on it."""
    at, manager = places_of(resource), manager_for(resource)
    start = f"{{ {manager.start_command(at.unit)}; }}"
    return (
        # a start begins by lifting a start limit, which fails where there is none
        f"set +e; {manager.stop_command(at.unit)} || exit 1; "
        f"{at.root}mv -T {at.data} {at.before} || {{ {start}; exit 1; }}; "
        f"{at.root}mv -T {at.fresh} {at.data} || {{ {at.root}mv -T {at.before} {at.data}; {start}; exit 1; }}; "
        f"{start}"
    )


def put_back_line(resource: Resource) -> str:
    """The old data in its place again; the copy goes where a later rebuild begins by removing it."""
    at, manager = places_of(resource), manager_for(resource)
    start = f"{{ {manager.start_command(at.unit)}; }}"
    return (
        f"{manager.stop_command(at.unit)} || exit 1; {at.root}{_clear(at)}; "
        f"{at.root}mv -T {at.data} {at.fresh} || {{ {start}; exit 1; }}; "
        f"{at.root}mv -T {at.before} {at.data} || {{ {at.root}mv -T {at.fresh} {at.data}; {start}; exit 1; }}; {start}"
    )


def look_line(resource: Resource) -> str:
    """Tells, changing nothing: what is where, how much room there is and is needed (MiB), which programs lack."""
    at = places_of(resource)
    return (
        f'echo "data $(stat -c %i {at.data} 2>/dev/null)"; [ -e {at.before} ] && echo before; '
        f"mountpoint -q {at.data} && echo mount; "
        f'echo "room $(df -m --output=avail {at.data} 2>/dev/null | tail -n 1)"; '
        f'echo "need $({at.owner}du -sm {at.data} 2>/dev/null | cut -f 1)"; '
        "for name in mariadb mariadb-dump mariadb-install-db mariadbd; do "
        '[ -n "$(PATH=$PATH:/usr/sbin command -v $name)" ] || echo "missing $name"; done'
    )

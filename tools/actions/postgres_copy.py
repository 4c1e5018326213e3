"""The shell lines by which a PostgreSQL replica gets a fresh copy of its primary: run as claimed commands.

pg_basebackup copies into a folder beside the data while the old server may still run; only a complete copy is exchanged
for the data, which is set aside. The password stands in a file beside them that only the server's owner may read.
"""

from __future__ import annotations

import shlex

from graph.records import Resource
from tools.actions.mariadb_copy import Places, exchange_line, places_of, put_back_line
from tools.clients.databases.database import database_of
from tools.clients.databases.postgres_text import conninfo

_OWN_FILES = ("postgresql.conf", "pg_hba.conf", "pg_ident.conf")

__all__ = ("copy_line", "exchange_line", "feed_line", "look_line", "passfile_line", "places_of", "put_back_line")


def passfile_line(resource: Resource, primary: Resource, password: str) -> str:
    """One line of a password file (libpq's `.pgpass`), for any database and replication."""
    wanted = (primary.address, str(database_of(primary).port), "*", database_of(resource).replication.user, password)
    return ":".join(part.replace("\\", "\\\\").replace(":", "\\:") for part in wanted) + "\n"


def feed_line(resource: Resource) -> str:
    """Keeps what it is given to read as the password file, readable by the server's owner alone."""
    at, file = places_of(resource), _passfile(resource)
    return f"umask 077; {at.owner}rm -f {file}; {at.owner}dd of={file} status=none && {at.owner}chmod 0600 {file}"


def copy_line(resource: Resource, primary: Resource) -> str:
    """Copy the primary into the fresh folder, set up as its replica, with the replica's own configuration files."""
    at, replication = places_of(resource), database_of(resource).replication
    source = conninfo(
        host=primary.address,
        port=str(database_of(primary).port),
        user=replication.user,
        application_name=resource.id,
        **({"passfile": _passfile_path(resource)} if replication.password_file else {}),
    )
    slot = f" -S {shlex.quote(replication.slot)}" if replication.slot else ""
    keep = " ".join(shlex.quote(name) for name in _OWN_FILES)
    return (
        f"set -e; {_binaries(at)}; {at.root}rm -rf {at.fresh}; {at.root}install -d -o {at.user} -m 0700 {at.fresh}; "
        f'{at.owner}"$bin"/pg_basebackup -w -D {at.fresh} -d {shlex.quote(source)} -X stream -c fast -R{slot}; '
        f"for file in {keep}; do if {at.owner}test -e {at.data}/$file; then "
        f"{at.owner}cp -p {at.data}/$file {at.fresh}/$file; fi; done"
    )


def look_line(resource: Resource) -> str:
    """Tells, changing nothing: what is where, how much room there is (MiB), which system it is, which program lacks."""
    at = places_of(resource)
    return (
        f'{_binaries(at)}; echo "data $({at.owner}stat -c %i {at.data} 2>/dev/null)"; '
        f"{at.owner}test -e {at.before} && echo before; mountpoint -q {at.data} && echo mount; "
        f'echo "room $(df -m --output=avail "$(dirname {at.data})" 2>/dev/null | tail -n 1)"; '
        f'echo "need $({at.owner}du -sm {at.data} 2>/dev/null | cut -f 1)"; '
        f'echo "system $({at.owner}"$bin"/pg_controldata {at.data} 2>/dev/null '
        '| sed -n "s/^Database system identifier: *//p")"; '
        f'{at.owner}test -x "$bin"/pg_basebackup || echo missing pg_basebackup'
    )


def _binaries(at: Places) -> str:
    """Sets $bin to the folder of the programs of the data's own version."""
    return (
        f"bin=/usr/lib/postgresql/$({at.owner}cat {at.data}/PG_VERSION 2>/dev/null)/bin; "
        '[ -x "$bin"/pg_basebackup ] || bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1); '
        '[ -n "$bin" ] || bin=$(dirname "$(command -v pg_basebackup)")'
    )


def _passfile_path(resource: Resource) -> str:
    return f"{(database_of(resource).data_dir or '').rstrip('/')}.pgpass"


def _passfile(resource: Resource) -> str:
    return shlex.quote(_passfile_path(resource))

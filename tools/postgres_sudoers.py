"""What the SSH user of a PostgreSQL member must be allowed by sudoers for its repairs: exact commands."""

from __future__ import annotations

import re

from graph.records import Resource
from tools.actions.postgres_copy import places_of
from tools.clients.databases.database import database_of

_MOVES = (("data", "before"), ("fresh", "data"), ("before", "data"), ("data", "fresh"))


def postgres_sudoers(resource: Resource) -> tuple[str, ...]:
    """Lines for behind `USER ALL=`: who to run as, and the command."""
    at = places_of(resource)
    passfile = f"{(database_of(resource).data_dir or '').rstrip('/')}.pgpass"
    as_root = [
        f"/usr/bin/rm -rf {at.fresh}",
        f"/usr/bin/install -d -o {at.user} -m 0700 {at.fresh}",
        *(f"/usr/bin/mv -T {getattr(at, a)} {getattr(at, b)}" for a, b in _MOVES),
        f"/usr/bin/test -s {at.data}/global/pg_control",
        "/usr/bin/kill -s TERM -- [1-9]*",
        "/usr/bin/kill -s CONT -- [1-9]*",
        f"/usr/bin/systemctl disable --now {at.unit.removesuffix('.service')}.service",
    ]
    as_owner = [
        f"/usr/bin/rm -f {passfile}",
        f"/usr/bin/dd of={passfile} status=none",
        f"/usr/bin/chmod 0600 {passfile}",
        f"/usr/lib/postgresql/*/bin/pg_basebackup -w -D {at.fresh} -d *",
        f"/usr/lib/postgresql/*/bin/pg_controldata {at.data}",
        "/usr/bin/test -x /usr/lib/postgresql/*/bin/pg_basebackup",
        f"/usr/bin/test -e {at.data}/pg*.conf",
        f"/usr/bin/test -e {at.data}/postgresql.conf",
        f"/usr/bin/test -e {at.before}",
        *(
            f"/usr/bin/cp -p {at.data}/{name} {at.fresh}/{name}"
            for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf")
        ),
        f"/usr/bin/stat -c %i {at.data}",
        f"/usr/bin/du -sm {at.data}",
        f"/usr/bin/cat {at.data}/PG_VERSION",
    ]
    return (
        *(f"(root) NOPASSWD: {_escaped(command)}" for command in as_root),
        *(f"({at.user}) NOPASSWD: {_escaped(command)}" for command in as_owner),
    )


def _escaped(command: str) -> str:
    """As sudoers wants it: these mean something else there."""
    return re.sub(r"([,:=\\])", r"\\\1", command)

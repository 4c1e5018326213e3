"""PostgreSQL's literals and connection strings, by its driver.

The driver is loaded by whoever first needs it, here and in `postgresql`: it takes 9 MiB, and a process that watches
no PostgreSQL need not hold them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def literal(value: object) -> str:
    """The value as SQL writes it."""
    from psycopg import sql

    return sql.Literal(value).as_string(None).strip()


def conninfo(**parts: Any) -> str:
    """A connection string of these parts."""
    from psycopg.conninfo import make_conninfo

    return make_conninfo("", **parts)


def conninfo_parts(text: str) -> Mapping[str, Any]:
    """The parts of a connection string; none for one that can't be read."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        return conninfo_to_dict(text)
    except psycopg.Error:
        return {}

"""Many rows in few statements: what is written for a whole commit of alerts goes to the database a statement a table.

A row a statement costs more than the row, and in SQLite's driver every statement gives the interpreter away and waits
for it again, which a busy event loop makes dear. Statements come in a few sizes, so that each is prepared once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

import orjson
from sqlalchemy import JSON, Connection, Table

from server.store import quick
from server.store.stored_json import json_value

SIZES = (256, 192, 128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
"""Rows of one statement: few enough to be kept prepared, near enough to each other that two or three make any number.
The largest has to stay within SQLite's 32,766 values."""

Rows = Sequence[tuple[Any, ...]]


def insert_rows(
    connection: Connection,
    table: Table,
    names: tuple[str, ...],
    rows: Rows,
    key: tuple[str, ...] = (),
    replace: tuple[str, ...] = (),
) -> None:
    """Insert rows of these columns; where `key` is there already, replace the columns of `replace`. No two of the rows
    may have the same key. JSON columns are given as JSON text."""
    postgresql = connection.dialect.name == "postgresql"
    for part in _parts(rows):
        text = _insert(table, names, len(part), key, replace, postgresql)
        _run(connection, text, tuple(chain.from_iterable(part)))


@dataclass(frozen=True)
class Query:
    """These columns of a source, which joins `wanted(c1, c2, …)`: a table of values of these types."""

    columns: tuple[str, ...]
    source: str
    types: tuple[str, ...]


def matching(connection: Connection, query: Query, wanted: Rows) -> Iterator[Sequence[Any]]:
    """The rows for these values. JSON comes as it may: see `loaded`; floats with 15 digits (see `microseconds`)."""
    postgresql = connection.dialect.name == "postgresql"
    for part in _parts(wanted):
        found = _run(connection, _matching(query, len(part), postgresql), tuple(chain.from_iterable(part)))
        if postgresql:
            yield from found
        else:
            # All in one value: SQLite's driver would give the interpreter away and wait for it at every row.
            yield from orjson.loads(found[0][0])


def microseconds(column: str) -> str:
    """A time as a whole number in SQL, which comes through exactly: divide it by a million."""
    return f"CAST(round({column} * 1000000) AS BIGINT)"


def change_alike(
    connection: Connection, table: Table, column: str, keys: Sequence[Any], values: Mapping[str, Any]
) -> None:
    """Give the same values to all rows whose `column` is one of these. JSON columns are given as JSON text."""
    postgresql = connection.dialect.name == "postgresql"
    for part in _parts(keys):
        text = _update(table, column, tuple(values), len(part), postgresql)
        _run(connection, text, (*values.values(), *part))


def loaded(value: Any) -> Any:
    """JSON of a query that did not pass by its column's type: PostgreSQL's driver gives objects, SQLite's text."""
    return json_value(value) if isinstance(value, str) else value


def next_numbers(connection: Connection, table: str, column: str, count: int) -> list[int]:
    """Numbers for `count` new rows, for who must know them before the rows are written. Numbers may be left unused."""
    if connection.dialect.name == "postgresql":
        text = f"SELECT nextval(pg_get_serial_sequence('{table}', '{column}')) FROM generate_series(1, {int(count)})"
        return [int(row[0]) for row in _run(connection, text)]
    # Writers come one at a time, and SQLite itself would take the next above the highest.
    highest = one_number(connection, f"SELECT max({column}) FROM {table}")
    return list(range(highest + 1, highest + count + 1))


def one_number(connection: Connection, text: str) -> int:
    """What the query gives; 0 for nothing."""
    return int(_run(connection, text)[0][0] or 0)


def _run(connection: Connection, text: str, values: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
    """The rows a statement gives. On SQLite straight to the driver: what SQLAlchemy adds to a statement takes as long
    as the statement. Raises what SQLAlchemy would."""
    if connection.dialect.name == "postgresql":
        found = connection.exec_driver_sql(text, values)
        return found.all() if found.returns_rows else ()
    return quick.straight(connection, text, values)


def _parts(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    start = 0
    for size in SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


@cache
def _insert(
    table: Table, names: tuple[str, ...], count: int, key: tuple[str, ...], replace: tuple[str, ...], postgresql: bool
) -> str:
    marks = ", ".join(_mark(isinstance(table.c[name].type, JSON), postgresql) for name in names)
    text = f"INSERT INTO {table.name} ({', '.join(f'{chr(34)}{name}{chr(34)}' for name in names)}) VALUES "
    text += ", ".join([f"({marks})"] * count)
    if key:
        taken = ", ".join(f'"{name}" = excluded."{name}"' for name in replace)
        text += f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {taken}"
    return text


@cache
def _update(table: Table, column: str, names: tuple[str, ...], count: int, postgresql: bool) -> str:
    taken = ", ".join(f'"{name}" = {_mark(isinstance(table.c[name].type, JSON), postgresql)}' for name in names)
    marks = ", ".join(["%s" if postgresql else "?"] * count)
    return f'UPDATE {table.name} SET {taken} WHERE "{column}" IN ({marks})'


@cache
def _matching(query: Query, count: int, postgresql: bool) -> str:
    mark = "%s" if postgresql else "?"
    one = ", ".join(f"CAST({mark} AS {name})" for name in query.types)
    names = ", ".join(f"c{number}" for number in range(1, len(query.types) + 1))
    wanted = f"WITH wanted({names}) AS (VALUES {', '.join([f'({one})'] * count)})"
    columns = ", ".join(query.columns)
    shown = columns if postgresql else f"json_group_array(json_array({columns}))"
    return f"{wanted} SELECT {shown} FROM {query.source}"


def _mark(is_json: bool, postgresql: bool) -> str:
    if not postgresql:
        return "?"
    return "CAST(%s AS JSON)" if is_json else "%s"

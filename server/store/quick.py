"""Statements of every heal, run straight on SQLite's driver.

What SQLAlchemy adds to a statement takes several times what the statement takes, and a heal makes a hundred. Here each
is compiled by it once, for the values it is given; on PostgreSQL, where the way to the server is what counts, it runs
them as ever. Statements are kept for good: give those that were made once, with `bindparam` for what varies.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from server.store.stored_json import json_value

T = TypeVar("T")
Values = Mapping[str, Any]
_Process = Callable[[Any], Any]


def rows(connection: Connection, statement: Executable, values: Values) -> Sequence[Any]:
    """All rows, their columns by name."""
    if connection.dialect.name != "sqlite":
        return connection.execute(statement, values).all()
    compiled = _compiled_for(connection, statement, values)
    return [compiled.row(found) for found in straight(connection, compiled.text, compiled.bound(values))]


def values_of(connection: Connection, statement: Executable, values: Values) -> list[Any]:
    """All values of its one column, which is JSON and never null.

    On SQLite in one step: between two rows its driver gives the interpreter away, and waits for it as long as the event
    loop is busy. It keeps the order of a subquery for what joins its rows (select.c, where it omits ORDER BY).
    """
    if connection.dialect.name != "sqlite":
        return list(connection.execute(statement, values).scalars())
    compiled = _compiled_for(connection, statement, values)
    [column] = compiled.made._fields  # type: ignore[attr-defined]
    joined = f"SELECT group_concat({column}, ',') FROM ({compiled.text})"
    found = _on_driver(connection, joined, compiled.bound(values), _first_of)
    return [] if found is None or found[0] is None else list(json_value(f"[{found[0]}]"))


def first(connection: Connection, statement: Executable, values: Values) -> Any | None:
    """The first row, or None."""
    if connection.dialect.name != "sqlite":
        return connection.execute(statement, values).first()
    compiled = _compiled_for(connection, statement, values)
    found = _on_driver(connection, compiled.text, compiled.bound(values), _first_of)
    return None if found is None else compiled.row(found)


def scalar(connection: Connection, statement: Executable, values: Values) -> Any:
    """The first column of the first row; None where there is none."""
    found = first(connection, statement, values)
    return None if found is None else found[0]


def run(connection: Connection, statement: Executable, values: Values) -> int:
    """How many rows it changed."""
    if connection.dialect.name != "sqlite":
        return connection.execute(statement, values).rowcount
    compiled = _compiled_for(connection, statement, values)
    return _on_driver(connection, compiled.text, compiled.bound(values), _changed_by)


def run_each(connection: Connection, statement: Executable, each: Sequence[Values]) -> None:
    """The same with one set of values after the other; all of the same names."""
    if connection.dialect.name != "sqlite":
        connection.execute(statement, each)  # In one go: there each way to the server counts.
        return
    for values in each:
        run(connection, statement, values)


def straight(connection: Connection, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a text on SQLite's driver; the rows it gives. Raises what SQLAlchemy would."""
    return _on_driver(connection, text, values, _all_of)


@dataclass(frozen=True)
class _Compiled:
    """`names` in the order of the marks in `text`; `fixed` are the values that are part of the statement."""

    text: str
    names: tuple[str, ...]
    fixed: Mapping[str, Any]
    processes: Mapping[str, _Process]
    made: Callable[..., Any]
    reads: tuple[tuple[int, _Process], ...]
    """By column: what makes a value of what the driver gives, where that is needed."""

    def row(self, found: tuple[Any, ...]) -> Any:
        if not self.reads:
            return self.made(*found)
        values = list(found)
        for place, read in self.reads:
            values[place] = read(values[place])
        return self.made(*values)

    def bound(self, values: Values) -> list[Any]:
        given = []
        for name in self.names:
            value = values[name] if name in values else self.fixed[name]
            process = self.processes.get(name)
            given.append(process(value) if process is not None else value)
        return given


_compiled: dict[tuple[Executable, tuple[str, ...]], _Compiled] = {}


def _compiled_for(connection: Connection, statement: Executable, values: Values) -> _Compiled:
    key = (statement, tuple(values))
    compiled = _compiled.get(key)
    if compiled is None:
        compiled = _compiled[key] = _compile(connection, statement, values)
    return compiled


def _on_driver(connection: Connection, text: str, values: Sequence[Any], take: Callable[[sqlite3.Cursor], T]) -> T:
    driver: Any = connection.connection.driver_connection
    try:
        return take(driver.execute(text, values))
    except sqlite3.Error as error:
        raise DBAPIError.instance(text, list(values), error, sqlite3.Error) from error


def _all_of(cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
    return cursor.fetchall()


def _first_of(cursor: sqlite3.Cursor) -> tuple[Any, ...] | None:
    found: tuple[Any, ...] | None = cursor.fetchone()
    cursor.close()  # A query that is left half read would keep its snapshot.
    return found


def _changed_by(cursor: sqlite3.Cursor) -> int:
    return cursor.rowcount


def _compile(connection: Connection, statement: Any, values: Values) -> _Compiled:
    dialect = connection.dialect
    made = statement.compile(dialect=dialect, column_keys=list(values))
    assert isinstance(made, SQLCompiler) and not made.update_prefetch
    whole = made.construct_expanded_state(dict(values))
    fixed = {name: value for name, value in whole.parameters.items() if name not in values}
    for column in made.insert_prefetch:
        assert isinstance(column.default, ScalarElementColumnDefault), f"{column} has no plain default"
        fixed[column.key] = column.default.arg
    columns = made._result_columns
    reads = ((place, column.type._cached_result_processor(dialect, None)) for place, column in enumerate(columns))
    return _Compiled(
        text=whole.statement,
        names=tuple(whole.positiontup or ()),
        fixed=fixed,
        processes=cast("Mapping[str, _Process]", {**made._bind_processors, **whole.processors}),
        made=namedtuple("Row", [column.keyname for column in columns], rename=True),
        reads=tuple((place, read) for place, read in reads if read is not None),
    )

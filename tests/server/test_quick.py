"""Statements run straight on SQLite's driver give what SQLAlchemy gives, and looks are of what is committed."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import Connection, Insert, Select, Update, bindparam, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from server.store import StoreError, quick
from server.store.engine import StoreBusy
from server.store.rows import change, incident_row
from server.store.schema import alerts, incidents, journal
from tests.server.world import World, alert

_RUNNING = select(incidents).where(incidents.c.phase.in_(("queued", "running")), incidents.c.number > bindparam("from"))
_BY_ID = select(incidents).where(incidents.c.id == bindparam("of_id"))
_CHANGE = update(incidents).where(incidents.c.id == bindparam("of_id"))
_ADD = insert(journal)
ENTRY = {
    "idempotency_key": "k", "incident_id": "i", "resource": "Instance/x", "attempt": 1, "action": "restart",
    "rendered": "true", "plan_fingerprint": "f", "holder": "w:1", "undo": 0, "started_at": 1.0, "deadline_at": 2.0,
    "baseline": {"a": [1, None, "ü"]},
}  # fmt: skip


async def test_rows_are_as_sqlalchemy_gives_them_json_and_lists_of_values_too(world: World) -> None:
    incident_id = await world.opened()

    def both(connection: Connection) -> None:
        queries: list[tuple[Select[tuple[object, ...]], dict[str, object]]] = [
            (_RUNNING, {"from": 0}),
            (_BY_ID, {"of_id": incident_id}),
        ]
        for query, values in queries:
            expected = connection.execute(query, values).all()
            found = quick.rows(connection, query, values)
            assert [tuple(row) for row in found] == [tuple(row) for row in expected] and len(found) == 1
            assert found[0].issue_types == expected[0].issue_types == ["service_down"]
            one = quick.first(connection, query, values)
            assert one is not None and one.id == incident_id
        assert quick.rows(connection, _RUNNING, {"from": 99}) == []
        assert quick.first(connection, _BY_ID, {"of_id": "nobody"}) is None
        assert quick.scalar(connection, _BY_ID, {"of_id": "nobody"}) is None
        assert quick.scalar(connection, _BY_ID, {"of_id": incident_id}) == 1

    await world.store._db.read(both)


async def test_values_come_at_once_and_in_the_order_asked_for(world: World) -> None:
    incident_id = await world.opened(*(alert(f"A{number}") for number in range(12)))
    latest_first = select(alerts.c.body).where(alerts.c.incident_id == bindparam("of_id")).order_by(alerts.c.id.desc())

    def both(connection: Connection) -> None:
        for query in (latest_first, latest_first.order_by(None).order_by(alerts.c.fingerprint), latest_first.limit(5)):
            values = {"of_id": incident_id}
            found = quick.values_of(connection, query, values)
            assert found == list(connection.execute(query, values).scalars()) and len(found) >= 5
        assert quick.values_of(connection, latest_first, {"of_id": "nobody"}) == []

    await world.store._db.read(both)


async def test_values_that_only_pythons_json_reads_come_too(sqlite_world: World) -> None:
    incident_id = await sqlite_world.opened()
    query = select(alerts.c.body).where(alerts.c.incident_id == bindparam("of_id"))

    def work(connection: Connection) -> list[object]:
        connection.exec_driver_sql("""UPDATE alerts SET body = '{"value": Infinity, "text": "a,b\\n\\ud800"}'""")
        return quick.values_of(connection, query, {"of_id": incident_id})

    assert await sqlite_world.store._db.write(work) == [{"value": float("inf"), "text": "a,b\n\ud800"}]


async def test_changes_are_counted_bind_json_and_take_the_columns_defaults(world: World) -> None:
    incident_id = await world.opened()

    def work(connection: Connection) -> None:
        assert quick.run(connection, _CHANGE, {"of_id": incident_id, "attempts": [{"number": 1}], "failures": 2}) == 1
        assert quick.run(connection, _CHANGE, {"of_id": incident_id, "wait_reason": None}) == 1
        assert quick.run(connection, _CHANGE, {"of_id": "nobody", "failures": 3}) == 0
        row = connection.execute(_BY_ID, {"of_id": incident_id}).one()
        assert (row.attempts, row.failures, row.wait_reason) == ([{"number": 1}], 2, None)
        quick.run(connection, _ADD, ENTRY)
        entry = connection.execute(select(journal)).one()
        assert (entry.starts, entry.baseline, entry.result) == (1, {"a": [1, None, "ü"]}, None)

    await world.store._db.write(work)


@pytest.mark.parametrize(
    ("statement", "values", "raised"),
    [
        (_ADD, ENTRY, IntegrityError),
        (_CHANGE, {"of_id": "i", "phase": object()}, DBAPIError),
    ],
)
async def test_what_fails_raises_what_sqlalchemy_would(
    sqlite_world: World, statement: Insert | Update, values: dict[str, object], raised: type[DBAPIError]
) -> None:
    await sqlite_world.store._db.write(lambda c: quick.run(c, _ADD, ENTRY))
    with pytest.raises(raised):
        await sqlite_world.store._db.write(lambda c: quick.run(c, statement, values))


async def test_of_what_is_written_together_only_that_which_fails_is_undone(world: World) -> None:
    incident_id = await world.opened()
    db = world.store._db

    def good(connection: Connection) -> None:
        change(connection, incident_id, failures=7)

    def bad(connection: Connection) -> None:
        change(connection, incident_id, failures=8)
        raise ValueError("changed its mind")

    results = await asyncio.gather(*(db.write(work) for work in (good, bad, bad, good)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), ValueError, ValueError, type(None)]
    row = await db.read(lambda c: incident_row(c, incident_id))
    assert row is not None and row.failures == 7


async def test_a_glance_sees_what_is_committed_and_each_anew(world: World) -> None:
    incident_id = await world.opened()
    db = world.store._db
    for failures in (1, 2, 3):
        await db.write(lambda c, now=failures: change(c, incident_id, failures=now))  # type: ignore[misc]
        row = await db.glance(lambda c: incident_row(c, incident_id))
        assert row is not None and row.failures == failures


async def test_a_glance_that_fails_leaves_nothing_half_read_behind(sqlite_world: World) -> None:
    incident_id = await sqlite_world.opened()
    db = sqlite_world.store._db

    def breaks(connection: Connection) -> None:
        assert incident_row(connection, incident_id) is not None
        raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        await db.glance(breaks)
    await db.write(lambda c: change(c, incident_id, failures=5))
    row = await db.glance(lambda c: incident_row(c, incident_id))
    assert row is not None and row.failures == 5


async def test_a_glance_into_a_database_that_is_broken_says_so(sqlite_world: World) -> None:
    def gone(connection: Connection) -> None:
        connection.exec_driver_sql("SELECT * FROM not_there")

    with pytest.raises(StoreError) as caught:
        await sqlite_world.store._db.glance(gone)
    assert isinstance(caught.value, StoreBusy)


async def test_glances_that_fail_do_not_use_up_the_connections(sqlite_world: World) -> None:
    incident_id = await sqlite_world.opened()

    def breaks(connection: Connection) -> None:
        raise ValueError("again")

    for _ in range(30):
        with pytest.raises(ValueError, match="again"):
            await sqlite_world.store._db.glance(breaks)
    row = await sqlite_world.store._db.read(lambda c: incident_row(c, incident_id))
    assert row is not None


@pytest.mark.parametrize("kept_off", [False, True])
async def test_in_somebody_elses_loop_nothing_is_read(sqlite_world: World, kept_off: bool) -> None:
    if kept_off:
        sqlite_world.store.keep_off_the_loop()
    there = await sqlite_world.store._db.glance(lambda c: threading.current_thread())
    assert (there is threading.current_thread()) is not kept_off

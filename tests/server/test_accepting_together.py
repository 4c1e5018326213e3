"""Alerts that come together are written together, and each is answered as if it had come alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from graph.records import Alert, AlertGroup
from server.store import Overloaded, StoreError
from server.store.accepting import Arrival, accept_all
from server.store.bulk import SIZES, change_alike, insert_rows
from server.store.gathering import STORMING, Pressure
from server.store.rows import new_id
from server.store.schema import alerts, evidence_raw, incidents
from tests.server.world import World, alert, placing


def arrival(*some: Alert, most: int = 10_000) -> Arrival:
    return Arrival(AlertGroup(alerts=some), placing, most)


async def taken(world: World, *arrivals: Arrival) -> list[Any]:
    return list(await world.store._db.write(lambda c: accept_all(c, arrivals, world.at)))


async def counts(world: World) -> dict[str, int]:
    query = select(alerts.c.fingerprint, alerts.c.count)
    return dict(await world.store._db.read(lambda c: c.execute(query).all()))  # type: ignore[arg-type]


async def test_the_second_of_two_groups_joins_what_the_first_has_opened(tmp_path: Path) -> None:
    world = World(tmp_path)
    [first], [second, third] = await taken(world, arrival(alert()), arrival(alert(), alert("ServiceDown")))
    assert [one.decision for one in (first, second, third)] == ["opened", "joined", "joined"]
    assert {one.number for one in (first, second, third)} == {1}
    assert second.reason == "already part of #1" and "ServiceDown joins #1" in third.reason
    assert sorted((await counts(world)).values()) == [1, 2]
    await world.store.close()


async def test_an_alert_that_resolves_in_the_same_moment_withdraws_the_heal(tmp_path: Path) -> None:
    world = World(tmp_path)
    _, [resolved] = await taken(world, arrival(alert()), arrival(alert(status="resolved")))
    assert resolved.decision == "resolved"
    record = await world.store.incident("1")
    assert record is not None and record["phase"] == "queued"
    assert [entry["sentence"].split()[0] for entry in record["timeline"]] == ["received", "all"]
    stop = await world.store.stop(record["id"])
    assert stop is not None
    await world.store.close()


async def test_an_alert_that_joins_is_told_after_what_it_joins_and_before_it_resolves(tmp_path: Path) -> None:
    world = World(tmp_path)
    other = alert("ServiceDown")
    resolved = other.model_copy(update={"status": "resolved"})
    await taken(world, arrival(alert()), arrival(other), arrival(other), arrival(resolved))
    told = [entry for entry in await world.store.timeline((await world.store.incident("1") or {})["id"])]
    assert [entry["sentence"] for entry in told][1:] == [
        "ServiceDown joins #1, open on the same resource",
        "ServiceDown resolved; 1 still firing",
    ]
    assert told[1] == told[1] | {"key": f"joined:{other.fingerprint}", "author": "alertmanager", "records": {}}
    assert len({entry["id"] for entry in told}) == 3
    await world.store.close()


async def test_who_comes_when_the_queue_is_full_is_turned_away_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    first, second, third = await taken(
        world, arrival(alert()), arrival(alert(resource_id="inst-2"), most=1), arrival(alert("ServiceDown"))
    )
    assert first[0].decision == "opened" and third[0].decision == "joined"
    assert isinstance(second, Overloaded)
    await world.store.close()


async def test_a_group_that_cannot_be_decided_does_not_cost_the_others(tmp_path: Path) -> None:
    world = World(tmp_path)

    def broken(one: Alert) -> Any:
        raise LookupError(one.name)

    good = [world.store.accept(AlertGroup(alerts=(alert(f"A{n}"),)), placing) for n in range(3)]
    bad = world.store.accept(AlertGroup(alerts=(alert("B"),)), broken)
    *answers, failure = await asyncio.gather(*good, bad, return_exceptions=True)
    assert isinstance(failure, LookupError)
    assert sorted(answer[0].decision for answer in answers) == ["joined", "joined", "opened"]  # type: ignore[index]
    await world.store.close()


async def test_what_else_follows_is_written_with_them_once_for_all(tmp_path: Path) -> None:
    world, seen, told = World(tmp_path), [], []  # type: ignore[var-annotated]

    def also(connection: Any, accepted: Any, now: Any) -> list[str]:
        seen.append(len(accepted))
        return ["another"]

    world.store._gathering.also = also
    world.store.listen(told.append)
    groups = [AlertGroup(alerts=(alert(f"A{n}"),)) for n in range(3)]
    await asyncio.gather(*(world.store.accept(group, placing) for group in groups))
    assert seen == [3] and "another" in told
    await world.store.close()


async def test_a_repeat_of_what_was_mitigated_counts_though_it_opens_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    firing = alert(starts_at=world.at)
    incident = await world.opened(firing)
    await world.begin(incident)
    await world.end(incident, world.finished("mitigated"))
    await world.store._db.write(lambda c: change_alike(c, incidents, "id", [incident], {"phase": "closed"}))
    [again, once_more] = await world.post(firing, firing)
    assert (again.decision, once_more.decision) == ("ignored", "ignored")
    assert list((await counts(world)).values()) == [3]
    await world.store.close()


@pytest.mark.parametrize("count", [0, 1, 7, 300])
async def test_any_number_of_rows_is_written_in_few_statements(tmp_path: Path, count: int) -> None:
    world = World(tmp_path)
    rows = [(f"{new_id()}/E1", "i", "host", "raw") for _ in range(count)]
    names = ("ref", "incident_id", "source", "raw")
    for raw in ("raw", "replaced"):
        given = [(*row[:3], raw) for row in rows]
        await world.store._db.write(
            lambda c, given=given: insert_rows(c, evidence_raw, names, given, ("ref",), ("raw",))
        )
    found = await world.store._db.read(lambda c: c.execute(select(evidence_raw.c.raw)).scalars().all())
    assert list(found) == ["replaced"] * count
    assert SIZES[-1] == 1 and max(SIZES) * 17 < 32_766
    await world.store.close()


def test_pressure_is_high_while_alerts_storm_in_and_falls_by_itself() -> None:
    now = [0.0]
    pressure = Pressure(lambda: now[0])
    assert not pressure.high
    for _ in range(int(2 * STORMING)):
        now[0] += 0.001
        pressure.came()
    assert pressure.high
    now[0] += 2.0
    assert not pressure.high


async def test_a_closed_store_takes_nothing_on_and_says_so(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.store.close()
    groups = [AlertGroup(alerts=(alert(f"A{n}"),)) for n in range(2)]
    for failure in await asyncio.gather(
        *(world.store.accept(group, placing) for group in groups), return_exceptions=True
    ):
        assert isinstance(failure, StoreError) and "closed" in str(failure)

"""What was learnt from heals that ended: written as they end, found by an index, the nearest first."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, text

from graph.ports import Entry
from graph.records import Attempt, Incident, Outcome, Resource
from server.store import past
from server.store.schema import past_heals
from tests.server.world import OTHER, RESOURCE, World, alert

CAUSES = ("process_crashed", "disk_full", "oom_killed", "bad_config", "unknown")


def asking(number: int = 99_999, resource: Resource = RESOURCE) -> Incident:
    """A new incident that asks for the past."""
    return Incident(
        id=f"new-{number}",
        number=number,
        resource_kind=resource.kind,
        resource_id=resource.id,
        issue_types=("service_down",),
        alerts=(alert(),),
        received_at=datetime.fromisoformat("2026-02-01T00:00:00Z"),
        resource=resource,
    )


async def suspects(world: World, incident_id: str, cause: str, target: str | None = "web") -> None:
    records = {"diagnosis": {"suspected_cause": cause, "target": target}}
    await world.store.tell(Entry(incident_id, f"d:{world.at}", world.at, "diagnose", "runbook", "suspects", records))


async def failed_attempt(world: World, incident_id: str, cause: str, *actions: str) -> None:
    attempt = Attempt(
        number=1,
        suspected_cause=cause,
        plan_fingerprint="x",
        actions=actions,
        target="web",
        acted=True,
        why_ended="still down",
        ended_at=world.at,
    )
    records = {"attempts": [attempt.model_dump(mode="json")]}
    await world.store.tell(Entry(incident_id, "r", world.at, "retry", "self-heal", "attempt 1 ended", records))


async def healed(world: World, resource_id: str = "inst-1", cause: str = "process_crashed", attempt: int = 1) -> str:
    """An incident that one action mended."""
    incident_id = await world.opened(alert(resource_id=resource_id, starts_at=world.at))
    await world.begin(incident_id)
    await suspects(world, incident_id, cause)
    touches = (f"Instance/{resource_id}",)
    await world.store.start(world.request(incident_id, touches=touches, attempt=attempt))
    await world.end(incident_id, world.finished("mitigated", world.at))
    world.later(3600)
    return incident_id


async def test_what_held_is_found_by_the_next_incident_of_the_resource(world: World) -> None:
    await healed(world)
    [found] = await world.store.past(asking(), ["process_crashed"])
    assert (found.number, found.resource_key, found.alertnames) == (1, "Instance/inst-1", ("InstanceDown",))
    assert (found.suspected_cause, found.target, found.outcome) == ("process_crashed", "web", "mitigated")
    assert [(one.actions, one.held) for one in found.attempts] == [(("restart_service",), True)]
    assert found.likeness == "same resource and cause" and not found.reopened


async def test_what_did_not_help_is_told_before_what_held(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await suspects(world, incident_id, "bad_config")
    await failed_attempt(world, incident_id, "bad_config", "reload_service")
    await suspects(world, incident_id, "process_crashed")
    await world.store.start(world.request(incident_id, idempotency_key="k:2", attempt=2))
    await world.end(incident_id, world.finished("mitigated", world.at))
    [found] = await world.store.past(asking(), ())
    assert [(one.suspected_cause, one.actions, one.held, one.why_ended) for one in found.attempts] == [
        ("bad_config", ("reload_service",), False, "still down"),
        ("process_crashed", ("restart_service",), True, ""),
    ]


async def test_a_resource_found_well_after_a_failed_attempt_has_the_cause_that_was_for(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await failed_attempt(world, incident_id, "process_crashed", "restart_service")
    await suspects(world, incident_id, "no_fault", None)
    await world.end(incident_id, world.finished("mitigated", world.at))
    [found] = await world.store.past(asking(), ())
    assert (found.suspected_cause, found.target) == ("process_crashed", "web")
    assert not any(one.held for one in found.attempts)


async def test_what_ended_without_success_says_how(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.store.start(world.request(incident_id))
    await world.end(incident_id, world.finished("escalated"))
    [found] = await world.store.past(asking(), ())
    assert (found.outcome, found.suspected_cause) == ("escalated", "no diagnosis")
    assert [(one.held, one.why_ended) for one in found.attempts] == [(False, "escalated: so it ended")]


async def test_an_attempt_that_never_acted_teaches_nothing(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.finished("declined"))
    [found] = await world.store.past(asking(), ())
    assert found.attempts == () and found.outcome == "declined"


async def test_what_a_human_says_in_closing_is_kept(world: World) -> None:
    incident_id = await world.opened()
    await world.begin(incident_id)
    await world.end(incident_id, world.finished("escalated"))
    await world.store.close_incident(incident_id, "ada", "the disk was replaced")
    [found] = await world.store.past(asking(), ())
    assert found.comment == "the disk was replaced"


async def test_what_came_back_did_not_hold_and_the_second_ending_is_the_one_remembered(world: World) -> None:
    began = world.at
    incident_id = await healed(world)
    await world.post(alert(starts_at=began))
    await world.store.rechecked(incident_id, True, "Prometheus still shows it")
    [open_again] = await world.store.past(asking(), ())
    assert open_again.reopened and not open_again.attempts[0].held
    await world.begin(incident_id, "w:2")
    await world.store.start(world.request(incident_id, "w:2", idempotency_key="k:2", attempt=2, action="soft_reboot"))
    await world.end(incident_id, world.finished("mitigated", world.at), "w:2")
    [found] = await world.store.past(asking(), ())
    assert not found.reopened
    assert [(one.actions, one.held) for one in found.attempts] == [
        (("restart_service",), False),
        (("soft_reboot",), True),
    ]
    assert "came back" in found.attempts[0].why_ended


async def test_an_incident_is_no_past_of_its_own(world: World) -> None:
    began = world.at
    incident_id = await healed(world)
    await world.post(alert(starts_at=began))
    await world.store.rechecked(incident_id, True, "Prometheus still shows it")
    leg = await world.begin(incident_id, "w:2")
    assert await world.store.past(leg.incident, ["process_crashed"]) == []


async def test_the_same_resource_and_cause_come_first_then_the_resource_then_the_kind_and_cause(world: World) -> None:
    await healed(world, "inst-1", "process_crashed")
    await healed(world, "inst-1", "oom_killed")
    await healed(world, "inst-2", "process_crashed")
    await healed(world, "inst-2", "oom_killed")
    found = await world.store.past(asking(), ["process_crashed"])
    assert [(item.number, item.likeness) for item in found] == [
        (1, "same resource and cause"),
        (2, "same resource"),
        (3, "same kind and cause"),
    ]


async def test_a_leg_that_is_not_ours_any_more_changes_nothing_of_the_past(world: World) -> None:
    incident_id = await healed(world)
    assert not await world.end(incident_id, world.finished("escalated"))
    [found] = await world.store.past(asking(), ())
    assert found.outcome == "mitigated"


OF_BEFORE = Path(__file__).with_name("recorded") / "database_of_0_1.sql"


async def without_past(world: World) -> None:
    """The same incidents as a release from before there was a past would have left them, in its tables."""
    await world.store.close()
    file, now = world.folder / "selfheal.db", world.folder / "now.db"
    file.rename(now)
    with closing(sqlite3.connect(file, isolation_level=None)) as old:
        old.executescript(OF_BEFORE.read_text())
        old.execute("ATTACH ? AS now", (str(now),))
        for table in ("alerts", "timeline", "journal", "incidents"):
            old.execute(f"DELETE FROM main.{table}")
        for table in ("incidents", "alerts", "timeline", "journal"):
            columns = ", ".join(row[1] for row in old.execute(f"PRAGMA main.table_info({table})"))
            old.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
        old.execute("DROP TABLE past_heals")


async def test_a_database_from_before_there_was_a_past_learns_from_what_it_holds(sqlite_world: World) -> None:
    world = sqlite_world
    await healed(world)
    await healed(world, "inst-2", "oom_killed")
    await without_past(world)
    world.store = world.open()
    found = await world.store.past(asking(), ["oom_killed"])
    assert [(item.number, item.suspected_cause) for item in found] == [(1, "process_crashed"), (2, "oom_killed")]
    assert [one.held for item in found for one in item.attempts] == [True, True]


async def test_a_record_that_cannot_be_read_any_more_does_not_keep_the_database_shut(sqlite_world: World) -> None:
    world = sqlite_world
    await healed(world)
    await healed(world, cause="oom_killed")
    await without_past(world)
    with closing(sqlite3.connect(world.folder / "selfheal.db", isolation_level=None)) as old:
        old.execute('UPDATE incidents SET outcome = \'{"status": "unheard of"}\' WHERE number = 1')
    world.store = world.open()
    assert [item.number for item in await world.store.past(asking(), ())] == [2]


async def test_an_unplaced_alert_leaves_no_past(world: World) -> None:
    await world.post(alert(resource_id="nobody"))
    await world.store.close()
    world.store = world.open()
    nobody = asking(resource=RESOURCE.model_copy(update={"id": "nobody"}))
    assert await world.store.past(nobody, ()) == []


# -- among many ---------------------------------------------------------------------------------------------


def many(count: int) -> list[dict[str, Any]]:
    """Rows of 40 resources and five causes, in no order of time."""
    dice = random.Random(7)
    times = [1_700_000_000.0 + 60 * index for index in range(count)]
    dice.shuffle(times)
    return [
        {
            "incident_id": f"old-{index}",
            "number": index + 1,
            "resource_kind": "Instance" if index % 4 else "Database",
            "resource_id": f"inst-{index % 40}",
            "suspected_cause": dice.choice(CAUSES),
            "target": None,
            "alertnames": ["InstanceDown"],
            "outcome": "mitigated",
            "rule": "verified",
            "attempts": [{"actions": ["restart_service"], "cause": "x", "held": True, "why": ""}],
            "reopened": 0,
            "comment": "",
            "closed_at": times[index],
        }
        for index in range(count)
    ]


def expected(rows: list[dict[str, Any]], resource_id: str, causes: list[str], limit: int) -> list[int]:
    """By hand: every row judged, sorted by likeness and age."""

    def likeness(row: dict[str, Any]) -> int:
        if row["resource_kind"] != "Instance":
            return 9
        same, cause = row["resource_id"] == resource_id, row["suspected_cause"] in causes
        return 0 if same and cause else 1 if same else 2 if cause else 9

    ranked = sorted((likeness(row), -row["closed_at"], row["number"]) for row in rows)
    return [number for rank, _, number in ranked if rank < 9][:limit]


async def test_among_twenty_thousand_the_right_ones_are_found(world: World) -> None:
    rare = {"resource_id": "inst-2", "suspected_cause": "oom_killed"}
    rows = [row for row in many(20_000) if not rare.items() <= row.items()]
    rows[1] |= rare
    await world.store._db.write(lambda c: c.execute(insert(past_heals), rows))
    asked: list[list[str]] = [[], ["oom_killed"], ["bad_config", "disk_full"], ["nothing_like_it"]]
    for resource_id in ("inst-1", "inst-2", "unseen"):
        incident = asking(resource=RESOURCE.model_copy(update={"id": resource_id}))
        for causes in asked:
            found = await world.store.past(incident, causes)
            assert [item.number for item in found] == expected(rows, resource_id, causes, 5), (resource_id, causes)


async def test_every_search_takes_rows_and_order_from_an_index(sqlite_world: World) -> None:
    def plans(connection: Connection) -> list[str]:
        lines = []
        for _, queries in past.searches(asking(resource=OTHER), ["oom_killed", "bad_config"], 5):
            for query, values in queries:
                sql = str(query.params(values).compile(connection.engine, compile_kwargs={"literal_binds": True}))
                lines += [row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {sql}"))]
        return lines

    both = "SEARCH past_heals USING INDEX past_of_resource_and_cause"
    assert await sqlite_world.store._db.read(plans) == [
        f"{both} (resource_kind=? AND resource_id=? AND suspected_cause=?)",
        f"{both} (resource_kind=? AND resource_id=? AND suspected_cause=?)",
        "SEARCH past_heals USING INDEX past_of_resource (resource_kind=? AND resource_id=?)",
        "SEARCH past_heals USING INDEX past_of_cause (resource_kind=? AND suspected_cause=?)",
        "SEARCH past_heals USING INDEX past_of_cause (resource_kind=? AND suspected_cause=?)",
    ]


async def test_texts_without_end_are_cut_before_they_are_kept(world: World) -> None:
    incident_id = await world.opened(alert("A" * 5_000))
    await world.begin(incident_id)
    await suspects(world, incident_id, "c" * 5_000)
    await world.store.start(world.request(incident_id))
    end = world.finished("escalated")
    long = Outcome(status="escalated", reason="r" * 50_000, rule="x" * 500, times=end.outcome.times)
    await world.end(incident_id, type(end)(long))
    [found] = await world.store.past(asking(), ())
    kept = (found.suspected_cause, *found.alertnames, *(one.why_ended for one in found.attempts))
    assert max(map(len, kept)) <= 300

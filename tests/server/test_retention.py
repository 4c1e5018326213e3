"""What closed incidents leave behind: compacted to their story, their evidence for its time, the audit log for good."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import ValidationError
from rich.console import Console
from sqlalchemy import func, select, update

from graph.records import AlertGroup
from graph.rules.retention import Terms
from server.console.views import incident as view
from server.ladder import report
from server.retention_settings import RetentionSettings
from server.store import Store
from server.store.compacting import settle
from server.store.retention_tables import compactions
from server.store.schema import alerts, audit, model_texts
from server.store.who import Who
from server.story import story
from tests.server.retained import COMMENT, TERMS, Heavy, Scene, copied, scenes

MOST_BYTES = 8 * 1024
SOON = 60.0


Open = Callable[[str], Awaitable[Heavy]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    return asyncio.run(scenes(tmp_path_factory.mktemp("scenes")))


@pytest_asyncio.fixture
async def begin(made: dict[str, Scene], tmp_path: Path) -> AsyncIterator[Open]:
    """Opens a copy of a scene."""
    async with AsyncExitStack() as stack:

        async def opened(name: str) -> Heavy:
            return await stack.enter_async_context(made[name].opened(tmp_path / name))

        yield opened


async def compact(old: Heavy) -> dict[str, Any]:
    """What is done three days later."""
    old.later(3)
    return await old.keeper().once(SOON)


def printed(record: dict[str, Any]) -> str:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(story(record))
    return console.export_text()


# -- how little is left ------------------------------------------------------------------------------------


async def test_the_heaviest_incidents_take_at_most_8_kib_each_beside_their_evidence(
    begin: Open, tmp_path: Path
) -> None:
    old = await begin("heavy")
    incident_id = await old.id_of(1)
    assert await old.beside(incident_id) > 100_000
    ids = [incident_id, *await old.write(lambda c: copied(c, incident_id, range(2, 51)))]
    old.later(31)
    found = [await old.store.retention.gather(each) for each in ids]
    await old.write(lambda c: [settle(c, item, old.clock.now()) for item in found])
    said = [row.bytes for row in await old.rows(select(compactions.c.bytes))]
    assert len(said) == 50 and max(said) <= MOST_BYTES and await old.beside(incident_id) <= MOST_BYTES
    assert sum((await old.store.retention.bytes_of(incident_id))["evidence"].values()) > MOST_BYTES
    await old.keeper().once(SOON)
    grown = size_of(Path(old.folder / "selfheal.db"), tmp_path / "full") - await empty(tmp_path)
    assert grown / len(ids) <= MOST_BYTES


async def empty(folder: Path) -> int:
    """Bytes of a database that nothing is in."""
    store = Store.open(f"sqlite:///{folder / 'new.db'}")
    await store.close()
    return size_of(folder / "new.db", folder / "empty")


def size_of(database: Path, copy: Path) -> int:
    """Bytes of a database without free pages."""
    with sqlite3.connect(database) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    return copy.stat().st_size


async def test_free_pages_are_used_again_by_what_comes_next(begin: Open) -> None:
    old = await begin("heavy")
    await compact(old)
    before = (await old.store.retention.report())["database"]
    assert before["free_bytes"] > 200_000
    await old.store.accept(AlertGroup(alerts=old.alerts("inst-2", 30)), old.place)
    after = (await old.store.retention.report())["database"]
    assert after["bytes"] == before["bytes"] and after["free_bytes"] < before["free_bytes"]


# -- what is still told ------------------------------------------------------------------------------------


async def test_the_page_tells_the_same_story_after_compaction(begin: Open) -> None:
    old = await begin("heavy")
    incident_id = await old.id_of(1)
    whole = await old.record(incident_id)
    await compact(old)
    for days in (0, 40):
        old.later(days)
        await old.keeper().once(SOON)
        record = await old.record(incident_id)
        told, before = view.headline(record), view.headline(whole)
        assert {name: told[name] for name in ("broke", "known", "holds", "now", "took")} == {
            name: before[name] for name in ("broke", "known", "holds", "now", "took")
        }
        shown = [(item["rendered"], item["status"], item["undo"], item["took"]) for item in told["done"]]
        assert shown == [(item["rendered"], item["status"], item["undo"], item["took"]) for item in before["done"]]
        assert record["title"] == whole["title"] and record["attempts"] == whole["attempts"]
        assert {item["id"] for item in record["evidence"]} >= set(record["diagnosis"]["evidence_ids"])
        assert [(item["by"], item["comment"]) for item in record["approvals"]] == [("ann", COMMENT)] * 3
        assert record["confirmations"] == whole["confirmations"] and record["audit"] == whole["audit"]
        nodes = {entry["node"] for entry in record["timeline"]}
        assert nodes >= {"diagnose", "plan", "approve", "execute", "verify", "rollback", "close"}
        assert record["model"] == whole["model"]
        assert "compacted on" in printed(record)


async def test_an_ordinary_incident_keeps_every_sentence_and_alert(begin: Open) -> None:
    old = await begin("one")
    incident_id = await old.id_of(1)
    whole = await old.record(incident_id)
    await compact(old)
    record = await old.record(incident_id)
    assert record["compacted"]["left_out"].get("sentences") is None
    assert sum("joins #1" in entry["sentence"] for entry in record["timeline"]) == len(whole["alerts"]) - 1 > 0
    assert [entry["sentence"] for entry in record["timeline"]] == [entry["sentence"] for entry in whole["timeline"]]
    assert [alert["labels"] for alert in record["alerts"]] == [alert["labels"] for alert in whole["alerts"]]
    assert record["resource"] == whole["resource"] and record["plan"] == whole["plan"]


async def test_evidence_commands_and_model_calls_are_whole_until_their_time_is_over(begin: Open) -> None:
    old = await begin("one")
    incident_id = await old.id_of(1)
    whole, calls = await old.record(incident_id), await old.store.model_calls(incident_id)
    refs = [item["raw_ref"] for item in whole["evidence"]]
    raws = [await old.store.raw(ref) for ref in refs]
    plots = await old.store.plots.of(incident_id, 0)
    old.later(29)
    await old.keeper().once(SOON)
    record = await old.record(incident_id)
    assert all(raws) and [await old.store.raw(ref) for ref in refs] == raws
    assert (record["evidence"], record["commands"]) == (whole["evidence"], whole["commands"])
    assert await old.store.model_calls(incident_id) == calls and len(calls[0]["messages"][0]["text"]) > 1000
    assert await old.store.plots.of(incident_id, 0) == plots
    old.later(2)
    assert (await old.keeper().once(SOON))["evidence_expired"] == 1
    record = await old.record(incident_id)
    assert [await old.store.raw(ref) for ref in refs] == [None] * len(refs)
    assert all(item["raw_ref"] is None for item in record["evidence"]) and record["commands"] == []
    assert await old.store.model_calls(incident_id) == [] and await old.store.plots.of(incident_id, 0) is None
    assert record["compacted"]["evidence"] == "expired" and record["compacted"]["expired_at"]


async def test_numbers_that_are_scraped_do_not_go_back(begin: Open) -> None:
    old = await begin("two")
    before = await old.store.counts()
    for days in (3, 60, 400):
        old.later(days)
        await old.keeper(Terms(2, 30, 365)).once(SOON)
        assert (await old.store.counts())["totals"] == before["totals"]


# -- what is still learnt ----------------------------------------------------------------------------------


async def test_what_was_learnt_and_measured_stays_right_when_incidents_are_compacted_and_deleted(begin: Open) -> None:
    old = await begin("two")
    incident_id = await old.id_of(1)
    record = await old.store.record_of(incident_id)
    assert record is not None
    asking = record.model_copy(update={"id": "another"})
    known = await old.store.past(asking, ["crashed"])
    beginning = old.clock.now().replace(year=2000)
    measured = report((), await old.store.measured(beginning))
    assert known[0].attempts and measured[0]["healed"] == 2 and measured[0]["confirmed_right"] == 2
    logged = [entry for entry in (await old.store.audit())[0] if entry["incident_id"] == incident_id]
    for days in (3, 400):
        old.later(days)
        done = await old.keeper(Terms(2, 30, 365)).once(SOON)
        assert report((), await old.store.measured(beginning)) == measured
        assert await old.store.past(asking, ["crashed"]) == known
    assert done["incidents_deleted"] == 1 and await old.store.incident(incident_id) is None
    entries = (await old.store.audit(limit=100))[0]
    assert [entry for entry in entries if entry["incident_id"] == incident_id] == logged
    assert next(entry for entry in entries if entry["what"] == "delete_incidents")["detail"]["numbers"] == [1]


async def test_the_newest_incident_is_never_deleted_so_that_no_number_is_given_twice(begin: Open) -> None:
    old = await begin("two")
    old.later(1000)
    assert (await old.keeper(Terms(2, 30, 365)).asked(Who("ann"), SOON))["incidents_deleted"] == 1
    assert (await old.keeper(Terms(2, 30, 365)).asked(Who("ann"), SOON))["incidents_deleted"] == 0
    [first, *_] = await old.store.accept(AlertGroup(alerts=old.alerts("inst-1", 1)), old.place)
    assert first.number == 3


async def test_a_repair_found_wrong_long_after_it_was_compacted_still_demotes(begin: Open) -> None:
    old = await begin("one")
    await compact(old)
    incident_id = await old.id_of(1)
    await old.store.confirm(incident_id, "bob", "crashed", False, "it was the disk")
    record = await old.record(incident_id)
    assert record["confirmations"][-1]["right"] is False and "it was the disk" in record["timeline"][-1]["sentence"]
    [line] = report((), await old.store.measured(old.clock.now().replace(year=2000)))
    assert line["confirmed_wrong"] == 1


# -- what is taken up again --------------------------------------------------------------------------------


async def test_a_compacted_incident_whose_alert_still_fires_is_healed_again_with_all_it_needs(begin: Open) -> None:
    old = await begin("one")
    incident_id = await old.id_of(1)
    whole = await old.record(incident_id)
    known = await old.store.record_of(incident_id)
    assert known is not None
    fired = [alert.model_copy(update={"status": "firing", "ends_at": None}) for alert in known.alerts]
    await compact(old)
    [again, *_] = await old.store.accept(AlertGroup(alerts=tuple(fired[:1])), old.place)
    assert again.incident_id == incident_id
    [asked] = await old.store.to_recheck()
    assert asked.alerts[0].labels == dict(fired[0].labels)
    await old.store.rechecked(incident_id, True, "Prometheus still shows WebDown0")
    before = await old.record(incident_id)
    assert before["phase"] == "queued" and before["resource"] == whole["resource"]
    assert len(before["attempts"]) == 3 and before["diagnosis"] == whole["diagnosis"] and before["outcome"] is None
    await old.leg(incident_id)
    record = await old.record(incident_id)
    assert record["phase"] == "escalated" and "3 of 3 attempts" in record["outcome"]["reason"]
    await old.store.close_incident(incident_id, "ann", "seen to by hand")
    assert len({action["idempotency_key"] for action in record["actions"]}) == len(record["actions"])
    assert [entry["sentence"] for entry in record["timeline"]][:3] == [
        entry["sentence"] for entry in whole["timeline"]
    ][:3]
    assert len(record["timeline"]) > len(whole["timeline"])
    assert (await compact(old))["compacted"] == 1
    assert len((await old.record(incident_id))["actions"]) == len(record["actions"])


# -- doing it ----------------------------------------------------------------------------------------------


async def test_what_is_open_or_young_is_left_alone(begin: Open) -> None:
    old = await begin("waiting")
    young = await old.id_of(1)
    before = await old.record(young)
    waiting = await old.id_of(2)
    old.later(1)
    done = await old.keeper().once(SOON)
    assert done["compacted"] == 0 and await old.record(young) == before
    old.later(100)
    await old.keeper(Terms(2, 30, 60)).once(SOON)
    record = await old.record(waiting)
    assert record["compacted"] is None and record["evidence"] and record["resource"]


async def test_checkpoints_go_soon_after_the_end_and_those_of_waiting_heals_stay(begin: Open) -> None:
    old = await begin("waiting")
    over = await old.id_of(1)
    waiting = await old.id_of(2)
    assert await old.threads.after("", 10) == sorted([over, waiting])
    assert (await old.keeper().once(SOON))["checkpoints"] == 0
    old.later(0.01)
    assert (await old.keeper().due())["checkpoints"] == 1
    assert (await old.keeper().once(SOON))["checkpoints"] == 1
    assert await old.threads.after("", 10) == [waiting]


async def test_after_the_clock_jumped_nothing_expires_until_somebody_asks(begin: Open) -> None:
    old = await begin("two")
    keeper = old.keeper(Terms(2, 30, 365))
    await keeper.once(SOON)
    old.later(1000)
    done = await keeper.once(SOON)
    assert (done["compacted"], done["evidence_expired"], done["incidents_deleted"]) == (2, 0, 0)
    assert (await keeper.once(SOON))["evidence_expired"] == 0
    done = await keeper.asked(Who("ann"), SOON)
    assert (done["evidence_expired"], done["incidents_deleted"]) == (2, 1)


async def test_two_keepers_at_once_do_it_once(begin: Open) -> None:
    old = await begin("one")
    incident_id = await old.id_of(1)
    more = await old.write(lambda c: copied(c, incident_id, range(2, 8)))
    old.later(40)
    done = await asyncio.gather(*(old.keeper(name=name).once(SOON) for name in ("a", "b", "c")))
    assert sum(one["compacted"] for one in done) == len(more) + 1
    assert {(await old.record(each))["compacted"]["evidence"] for each in (incident_id, *more)} == {"expired"}
    turn = old.store.workers.on_duty
    assert [await turn("retention", name, 60) for name in ("a", "b", "a")] == [True, False, True]
    old.clock.advance(61)
    assert await turn("retention", "b", 60)


async def test_what_changes_while_it_is_read_is_not_compacted_then(begin: Open) -> None:
    old = await begin("one")
    incident_id = await old.id_of(1)
    old.later(3)
    found = await old.store.retention.gather(incident_id)
    assert found is not None
    await old.store.confirm(incident_id, "bob", "crashed", None, "")
    assert await old.store.retention.settle(found) is None
    assert (await old.record(incident_id))["compacted"] is None
    assert (await old.keeper().once(SOON))["compacted"] == 1


async def test_a_record_that_can_not_be_read_keeps_no_other_from_being_compacted(begin: Open) -> None:
    old = await begin("one")
    broken = await old.id_of(1)
    [well] = await old.write(lambda c: copied(c, broken, [2]))
    await old.write(lambda c: c.execute(update(alerts).where(alerts.c.incident_id == broken).values(body={"x": 1})))
    assert (await compact(old))["compacted"] == 1
    assert (await old.record(well))["compacted"] and (await old.keeper().once(SOON))["compacted"] == 0
    assert (await old.store.retention.report())["compacted"]["could_not_be"] == 1
    old.later(40)
    assert (await old.keeper().once(SOON))["evidence_expired"] == 2


async def test_nothing_that_others_still_name_is_cleared(begin: Open) -> None:
    old = await begin("waiting")
    waiting = await old.id_of(2)
    before = await old.record(waiting)
    old.later(3)
    assert (await old.keeper().once(SOON))["texts_cleared"] > 0
    assert (await old.record(waiting))["commands"] == before["commands"] != []
    assert (await old.rows(select(func.count()).select_from(model_texts)))[0][0] == 1
    [call, *_] = await old.store.model_calls(waiting)
    assert call["messages"][0]["text"].startswith("You find out")


async def test_the_audit_log_is_added_to_and_never_less(begin: Open) -> None:
    old = await begin("two")
    await compact(old)
    count = select(func.count()).select_from(audit)
    before = (await old.rows(count))[0][0]
    old.later(1000)
    await old.keeper(Terms(2, 30, 365)).asked(Who("ann"), SOON)
    assert (await old.rows(count))[0][0] > before
    assert (await old.store.audit())[0][0]["what"] == "retention_run"


@pytest.mark.parametrize(
    "terms",
    [{"compact_days": 0.5}, {"compact_days": 9, "evidence_days": 3}, {"evidence_days": 30, "incident_days": 10}],
)
def test_terms_that_make_no_sense_are_refused(terms: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        RetentionSettings.model_validate(terms)


def test_the_terms_without_settings_keep_evidence_for_a_month_and_incidents_for_good() -> None:
    assert RetentionSettings().terms == TERMS

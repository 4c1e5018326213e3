"""Heals that waited when the previous release was stopped, in the checkpoints it left: today's goes on with them."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

from agents.checkpoints import sqlite_checkpoints
from agents.legs import Finished, WaitingForApproval
from graph.ports import AlreadyStarted, HealSettings
from graph.records import ActionResult
from tests.flow.story import INCIDENT_ID, Story, answer

RECORDED = Path(__file__).with_name("recorded")
SOAKS = HealSettings(soak_seconds=60, verify_timeout_seconds=300)


@asynccontextmanager
async def left_by(release: str, name: str, folder: Path, story: Story) -> AsyncIterator[Story]:
    """The story, on the thread of that name as that release left it."""
    file = folder / "checkpoints.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((RECORDED / f"thread_{name}_of_{release}.sql").read_text())
    async with sqlite_checkpoints(file) as kept:
        story.saver = kept.saver  # type: ignore[assignment]
        yield story


async def test_a_plan_that_waited_for_a_human_is_run_once_it_is_approved(tmp_path: Path) -> None:
    async with left_by("0_1", "asked", tmp_path, Story(policies=(), settings=SOAKS)) as story:
        asked = await story.leg()
        assert isinstance(asked, WaitingForApproval) and story.actions.ran == []
        story.journal.approved.add(asked.plan.plan_fingerprint)
        end = await story.heal(decision=answer("approve", asked))
        assert isinstance(end, Finished) and end.outcome.status == "mitigated"
        assert story.actions.ran == ["restart"]


async def test_a_repair_that_soaked_is_judged_and_not_done_again(tmp_path: Path) -> None:
    async with left_by("0_1", "soaking", tmp_path, Story(settings=SOAKS)) as story:
        key, began = f"{INCIDENT_ID}:1:0", story.clock.now()
        done = ActionResult(idempotency_key=key, action="restart", step=0, status="succeeded", started_at=began)
        story.journal.entries[key] = AlreadyStarted(began, began + timedelta(seconds=5), {}, done)
        end = await story.heal()
        assert isinstance(end, Finished) and end.outcome.status == "mitigated"
        assert story.actions.ran == []

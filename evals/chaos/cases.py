"""One death and what became of it: on SQLite the server is started again, on PostgreSQL another worker takes over."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from evals.chaos.ground import SECONDS, Database, Ground
from evals.chaos.points import How, Point, points_of
from evals.lab.probing import wait_until

Verdict = Literal["once", "lost", "doubled", "escalated_unknown", "never_struck"]

VICTIM, STANDBY, WEB = "victim", "standby", "web"
AFTERMATH_SECONDS = 3.0
"""How long a zombie that goes on is watched: its next step, if it took one, would come at once."""


@dataclass(frozen=True)
class Result:
    """How one case ended. `effects`: how often the target did what was to be done once."""

    database: Database
    point: Point
    how: How
    verdict: Verdict
    effects: int
    seconds: float
    takeover_seconds: float | None = None
    story: str = ""

    @property
    def good(self) -> bool:
        return self.verdict in ("once", "escalated_unknown")

    def as_json(self) -> dict[str, Any]:
        return {
            "database": self.database,
            "point": str(self.point),
            "how": self.how,
            "verdict": self.verdict,
            "effects": self.effects,
            "seconds": round(self.seconds, 1),
            "takeover_seconds": None if self.takeover_seconds is None else round(self.takeover_seconds, 1),
        }


def rehearse(ground: Ground, database: Database) -> list[Point]:
    """One heal in which nobody dies: the moments there are."""
    trace = ground.folder / f"trace-{database}"
    trace.unlink(missing_ok=True)
    _set_up(ground, database, None, "kill", trace)
    try:
        ground.strike()
        if ground.ended() is None:
            raise RuntimeError(f"even the rehearsal did not end:\n{ground.log(VICTIM)}")
    finally:
        ground.end()
        ground.mend()
    return points_of(trace.read_text().splitlines())


def play(ground: Ground, database: Database, point: Point, how: How = "kill") -> Result:
    """Let the process that heals die (kill), stand still (stop) or be asked to go (term) at this point of a heal."""
    began = time.monotonic()
    _set_up(ground, database, point, how)
    try:
        before = ground.spawned()
        ground.strike()
        struck_at = _struck(ground, how)
        if struck_at is None:
            return Result(database, point, how, "never_struck", ground.spawned() - before, time.monotonic() - began)
        _replace(ground, database)
        record = ground.ended()
        if how == "stop":
            record = _wake_the_dead(ground, record)
        effects = ground.spawned() - before
        story = _told(record) if record else _logs(ground)
        taken = _takeover(record, struck_at)
        return Result(
            database, point, how, verdict_of(record, effects), effects, time.monotonic() - began, taken, story
        )
    finally:
        ground.end()
        ground.mend()


def restart_database(ground: Ground) -> Result:
    """PostgreSQL itself is killed and started again while the repair soaks."""
    began, point = time.monotonic(), Point("database", "after", 1, "the effect: PostgreSQL is restarted")
    ground.fresh("postgresql")
    ground.start(WEB, "serve", "--web-only")
    ground.ready()
    ground.start(VICTIM, "worker")
    ground.ready(VICTIM)
    try:
        before = ground.spawned()
        ground.strike()
        wait_until(lambda: None if ground.spawned() > before else "not yet", SECONDS, "the service is started")
        ground.restart_database()
        record = ground.ended()
        effects = ground.spawned() - before
        story = _told(record) if record else _logs(ground)
        verdict = verdict_of(record, effects)
        return Result("postgresql", point, "kill", verdict, effects, time.monotonic() - began, story=story)
    finally:
        ground.end()
        ground.mend()


def verdict_of(record: Mapping[str, Any] | None, effects: int) -> Verdict:
    """Nothing lost, nothing done twice; or honestly not known, and a human told."""
    if effects > 1:
        return "doubled"
    if record is None:
        return "lost"
    if record["outcome"]["status"] == "mitigated" and effects == 1:
        return "once"
    return "escalated_unknown" if record["outcome"]["status"] == "escalated" else "lost"


def _set_up(ground: Ground, database: Database, point: Point | None, how: How, trace: Path | None = None) -> None:
    ground.fresh(database)
    if database == "sqlite":
        ground.start(VICTIM, "serve", at=point, how=how, trace=trace)
        ground.ready()
        return
    of_the_web = point is not None and point.event == "accept"
    ground.start(WEB if not of_the_web else VICTIM, "serve", "--web-only", at=point if of_the_web else None, how=how,
                 trace=trace)  # fmt: skip
    ground.ready()
    if of_the_web:
        ground.start(STANDBY, "worker")
        ground.ready(STANDBY)
        return
    ground.start(VICTIM, "worker", at=point, how=how, trace=trace)
    ground.ready(VICTIM)
    if point is not None:
        # It is there all the time, but takes nothing away from the victim.
        ground.start(STANDBY, "worker")
        ground.ready(STANDBY)
        ground.signal(STANDBY, signal.SIGSTOP)


def _struck(ground: Ground, how: How) -> float | None:
    """When it happened; None where the heal went by without it."""
    gone = ground.stopped if how == "stop" else ground.dead
    until = time.monotonic() + SECONDS
    looked_at = time.monotonic()
    while time.monotonic() < until:
        if gone(VICTIM):
            return time.time()
        if time.monotonic() - looked_at > 1.0:
            looked_at = time.monotonic()
            if ground.is_over():
                time.sleep(1.0)  # for what the process does after its last write
                return time.time() if gone(VICTIM) else None
        time.sleep(0.02)
    return None


def _replace(ground: Ground, database: Database) -> None:
    if database == "sqlite":
        ground.end(VICTIM)
        ground.start("successor", "serve")
        return
    if not ground.stopped(VICTIM) and ground.dead(VICTIM) and not _has_web(ground):
        ground.end(VICTIM)
        ground.start(WEB, "serve", "--web-only")
    ground.signal(STANDBY, signal.SIGCONT)


def _has_web(ground: Ground) -> bool:
    return WEB in ground._running


def _wake_the_dead(ground: Ground, record: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The zombie goes on; what its successor made of the heal must stay."""
    ground.signal(VICTIM, signal.SIGCONT)
    time.sleep(AFTERMATH_SECONDS)
    wait_until(lambda: None if ground.incidents() else "no answer", SECONDS, "the server answers")
    after = ground.incidents()[0]
    if record is None or after["outcome"] != record["outcome"]:
        return None
    return after


def _takeover(record: Mapping[str, Any] | None, struck_at: float) -> float | None:
    """Seconds from the death until another worker went on, where the record tells of it."""
    for entry in (record or {}).get("timeline", ()):
        if "another worker goes on" in entry["sentence"]:
            return datetime.fromisoformat(entry["at"]).timestamp() - struck_at
    return None


def _told(record: Mapping[str, Any]) -> str:
    """What the record says happened."""
    entries = [f"{entry['at'][11:19]} {entry['node']}: {entry['sentence']}" for entry in record["timeline"]]
    return "\n".join([*entries, f"outcome: {record['outcome']['status']}: {record['outcome']['reason']}"])


def _logs(ground: Ground) -> str:
    return "\n".join(f"== {name}\n{ground.log(name)}" for name in (VICTIM, STANDBY, WEB, "successor"))

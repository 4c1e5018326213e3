"""Freeze windows: times that an operator has set aside, in which diagnosis goes on and repairs wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from croniter.croniter import CroniterError
from pydantic import Field, field_validator, model_validator

from graph.ports import Hold
from graph.record import Record
from graph.rules.scopes import ALL, covers, in_words, scope_problem


class FreezeWindow(Record):
    """One window that comes again: it begins whenever `starts` matches, in `timezone`, and lasts `hours` as clocks on
    a wall would count them off (an hour that daylight saving takes or gives is neither taken nor given)."""

    name: str = Field(min_length=1, max_length=100)
    starts: str
    """Five fields as in crontab: minute, hour, day of month, month, day of week."""
    hours: float = Field(gt=0, le=24 * 60)
    timezone: str = "UTC"
    scope: str = ALL
    reason: str = ""

    @field_validator("starts")
    @classmethod
    def _cron(cls, starts: str) -> str:
        if len(starts.split()) != 5 or not croniter.is_valid(starts):
            raise ValueError("must be five crontab fields, e.g. '0 18 * * FRI'")
        return starts

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{name!r:.60} is no time zone: use one such as Europe/Berlin, or UTC") from None
        return name

    @field_validator("scope")
    @classmethod
    def _scope(cls, scope: str) -> str:
        if problem := scope_problem(scope):
            raise ValueError(problem)
        return scope

    @model_validator(mode="after")
    def _ever_begins(self) -> Self:
        try:
            self.next_start(datetime(2000, 1, 1, tzinfo=ZoneInfo(self.timezone)))
        except CroniterError:
            raise ValueError(f"starts: {self.starts!r} names no day that ever comes") from None
        return self

    def last_start(self, now: datetime) -> datetime:
        """When it last began, `now` included."""
        local = now.astimezone(ZoneInfo(self.timezone))
        # croniter's `get_prev` leaves out the moment itself.
        found: datetime = croniter(self.starts, local + timedelta(seconds=1)).get_prev(datetime)
        return found

    def next_start(self, now: datetime) -> datetime:
        """When it begins next, after `now`."""
        found: datetime = croniter(self.starts, now.astimezone(ZoneInfo(self.timezone))).get_next(datetime)
        return found

    def end_of(self, start: datetime) -> datetime:
        """When the window that began then is over."""
        return start + timedelta(hours=self.hours)

    def until(self, now: datetime) -> datetime | None:
        """When the window that is open now is over, or None where it is not open."""
        end = self.end_of(self.last_start(now))
        return end if now < end else None


def frozen(windows: Sequence[FreezeWindow], kind: str, group: str, resource_id: str, now: datetime) -> Hold | None:
    """Why repairs of this resource wait, until the last of the windows that are open now is over; or None."""
    open_now = [
        (until, window)
        for window in windows
        if covers(window.scope, kind, group, resource_id) and (until := window.until(now)) is not None
    ]
    if not open_now:
        return None
    until, window = max(open_now, key=lambda item: item[0])
    why = f": {window.reason}" if window.reason else ""
    local = until.astimezone(ZoneInfo(window.timezone))
    reason = f"freeze window {window.name} ({in_words(window.scope)}) until {local:%Y-%m-%d %H:%M} {window.timezone}"
    return Hold("freeze_window", f"{reason}{why}", until)

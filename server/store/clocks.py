"""Rows that were written before the clock was set back, in SQL (see `graph.rules.clocks`)."""

from __future__ import annotations

from typing import Any

from graph.rules.clocks import SET_BACK

SET_BACK_SECONDS = SET_BACK.total_seconds()


def set_back(at: Any, now: Any) -> Any:
    """Whether the clock was set back since it showed `at` (a column, or seconds since the epoch)."""
    return at > now + SET_BACK_SECONDS

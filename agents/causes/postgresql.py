"""Why a PostgreSQL server, or its replication, is in trouble."""

from __future__ import annotations

from graph.kind import Cause

ACTIONS: tuple[str, ...] = ()

CAUSES: tuple[Cause, ...] = ()

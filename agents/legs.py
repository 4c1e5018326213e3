"""How a leg of a heal ends: what an agent tells its runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graph.records import Gate, Outcome, Plan


@dataclass(frozen=True)
class Finished:
    """The heal is over."""

    outcome: Outcome


@dataclass(frozen=True)
class WaitingForApproval:
    """A human is asked. `request` is LangChain's human-in-the-loop request."""

    request: Mapping[str, Any]
    plan: Plan
    gate: Gate
    expires_at: datetime


@dataclass(frozen=True)
class Resting:
    """Nothing to do before `until`; the resource is kept, the worker is free."""

    until: datetime
    reason: str
    rule: str = ""
    """What holds it (`fleet_budget`, `cool_down` …); empty where it waits for nobody else."""


LegEnd = Finished | WaitingForApproval | Resting

"""The checkpointed state: a TypedDict of plain JSON, one key per record, and the one place that reads and writes it.

Channels hold JSON rather than records because a single record that a newer release can't read would wedge a whole
thread. Nodes get a validated `Heal`; what can't be read is told and escalated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypedDict

from pydantic import BaseModel, ConfigDict, ValidationError

from graph.reasoning import Inquiry
from graph.records import (
    ActionResult,
    Approval,
    Attempt,
    Diagnosis,
    Evidence,
    Gate,
    Incident,
    Outcome,
    Plan,
    Record,
    Stop,
    Verification,
    Wait,
)

SCHEMA_VERSION = 1


class HealState(TypedDict, total=False):
    """JSON only. `broken` says why the state could not be read or a node could not do its work."""

    schema_version: int
    graph_version: str
    alerts: list[dict[str, Any]]
    """Only where a heal is started by hand (Studio): the alert body that `opening` makes an incident of."""
    incident: dict[str, Any]
    evidence: list[dict[str, Any]]
    inquiries: list[dict[str, Any]]
    looks: int
    diagnosis: dict[str, Any] | None
    plan: dict[str, Any] | None
    gate: dict[str, Any] | None
    approval: dict[str, Any] | None
    results: list[dict[str, Any]]
    verification: dict[str, Any] | None
    attempts: list[dict[str, Any]]
    wait: dict[str, Any] | None
    stop: dict[str, Any] | None
    outcome: dict[str, Any] | None
    broken: str | None


class Heal(BaseModel):
    """The state as records: what nodes and routes read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    graph_version: str = ""
    alerts: tuple[Any, ...] = ()
    incident: Incident
    evidence: tuple[Evidence, ...] = ()
    inquiries: tuple[Inquiry, ...] = ()
    """What the reasoner asked for before it said what is wrong, in this look."""
    looks: int = 0
    """How often this attempt has been diagnosed: what nothing explains is looked at again before it is escalated."""
    diagnosis: Diagnosis | None = None
    plan: Plan | None = None
    gate: Gate | None = None
    approval: Approval | None = None
    results: tuple[ActionResult, ...] = ()
    verification: Verification | None = None
    attempts: tuple[Attempt, ...] = ()
    wait: Wait | None = None
    stop: Stop | None = None
    outcome: Outcome | None = None
    broken: str | None = None

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Self:
        """Validate the state. Raises UnreadableState, naming the key."""
        found = state.get("schema_version", SCHEMA_VERSION)
        if found != SCHEMA_VERSION:
            raise UnreadableState(f"state has schema_version {found}; this release reads {SCHEMA_VERSION}")
        try:
            return cls.model_validate(dict(state))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UnreadableState(f"state key {where}: {first['msg']}") from error

    @property
    def attempt(self) -> int:
        """The number of the attempt under way, from 1."""
        return len(self.attempts) + 1

    @property
    def acted(self) -> bool:
        """Whether an action of this attempt has started."""
        return any(result.started_at is not None for result in self.results)


class UnreadableState(Exception):
    """The checkpointed state does not fit this release's records."""


Update = dict[str, Any]
"""What a node returns: records (or tuples of them, or None) by state key."""


def dump(update: Update) -> dict[str, Any]:
    """Records to JSON, ready for the channels."""
    return {key: _json(value) for key, value in update.items()}


def _json(value: Any) -> Any:
    if isinstance(value, Record | BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, tuple | list):
        return [_json(item) for item in value]
    return value

"""A case: one recorded incident, and what would have been right to think and to do of it.

A folder each: `case.yaml` says what it is, `alert.json` is Alertmanager's body, `recorded/` is all that was seen, and
`expected.yaml` alone holds the answer. Whoever is measured never gets to see that file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from graph.alerts import AlertGroup
from graph.facts import FactValue, parse_key
from graph.kind import NO_FAULT, UNKNOWN_CAUSE
from graph.records import Attempt, Resource

Difficulty = Literal["easy", "medium", "hard"]
Ending = Literal["repair", "no_fault", "escalate"]
Split = Literal["train", "test"]
Trait = Literal["no_fault", "red_herring", "missing_source", "dual_fault", "poisoned"]
CALLS_FILE = "recorded/calls.jsonl"

Model = TypeVar("Model", bound=BaseModel)


class InvalidCase(Exception):
    """A case that can't be used: the message names the file and the field, and says what is wanted."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Provenance(_Strict):
    """Where the case comes from."""

    source: Literal["lab", "incident", "import"]
    recorded_at: AwareDatetime
    product_version: str = ""
    note: str = ""
    """In a few words that do not give the answer away."""


class CaseFile(_Strict):
    """`case.yaml`. `id` and `tags` say nothing of what is wrong."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{2,63}$")
    kind: str
    """The resource's kind, as agents declare it."""
    tags: tuple[str, ...] = ()
    provenance: Provenance
    difficulty: Difficulty = "medium"


class Confirmed(_Strict):
    """What a human said of the incident afterwards, or the lab's own world."""

    by: Literal["human", "world", "nobody"] = "nobody"
    cause: str = ""
    comment: str = ""


class CameOf(_Strict):
    """What came of the recorded incident: for people, no part of what is scored."""

    suspected_cause: str = ""
    author: str = ""
    actions: tuple[str, ...] = ()
    outcome: str = ""
    reason: str = ""
    confirmed: Confirmed = Confirmed()


class Expected(_Strict):
    """`expected.yaml`: what is right.

    `required_facts` are names of facts (`unit.result`) or whole keys (`unit.result{unit="web"}`, which also fits a key
    with more labels): each must be carried by some evidence that the diagnosis cites. Of `first_actions` the plan's
    first must be one. `forbidden_actions` are names, or `*` for every action that is not read-only: one in a plan fails
    the case outright.
    """

    ending: Ending
    accepted_causes: tuple[str, ...] = Field(min_length=1)
    """Causes as the kind declares them, `no_fault` or `unknown`; the best first."""
    required_facts: tuple[str, ...] = ()
    first_actions: tuple[str, ...] = ()
    forbidden_actions: tuple[str, ...] = ()
    mechanism: str = Field(pattern=r"^[a-z0-9_]+$")
    """What was done to the world: cases of one mechanism are on the same side of the split."""
    traits: tuple[Trait, ...] = ()
    came_of: CameOf = CameOf()

    @model_validator(mode="after")
    def _of_a_piece(self) -> Expected:
        if (self.ending == "no_fault") != (NO_FAULT in self.accepted_causes):
            raise ValueError("ending: `no_fault` and the accepted cause `no_fault` go together")
        if self.ending == "repair" and not self.first_actions:
            raise ValueError("first_actions: a case that ends in `repair` names at least one acceptable first action")
        if self.ending != "repair" and self.first_actions:
            raise ValueError(f"first_actions: nothing is to be done where a case ends in `{self.ending}`")
        if self.ending == "repair" and UNKNOWN_CAUSE in self.accepted_causes:
            raise ValueError("accepted_causes: nothing can be repaired for an `unknown` cause")
        for key in self.required_facts:
            parse_key(key)
        return self


class Recorded(_Strict):
    """One recorded call: what was asked, of whom, when, and the whole answer (redacted, neutral names).

    Sources that are always gathered have no params; `round` counts the gatherings of an attempt from 1. Between two
    attempts the agent acted, so that the world is another one.
    """

    tool: str
    """The name of the source or of the inquiry tool."""
    params: dict[str, Any] = {}
    inquiry: bool = False
    round: int = Field(default=1, ge=1)
    attempt: int = Field(default=1, ge=1)
    asked: str = ""
    """The exact query, command or call."""
    at_seconds: float
    """Since the incident was received."""
    took_seconds: float = 0.0
    status: Literal["observed", "no_data", "failed"] = "observed"
    text: str = ""
    facts: dict[str, FactValue] = {}
    raw: str = ""


class Context(_Strict):
    """`recorded/context.json`: what the incident was about, as the agent knew it."""

    resource: Resource | None
    inventory: tuple[Resource, ...] = ()
    """What else was declared and matters to it: the other members of its cluster, what it runs on …"""
    received_at: AwareDatetime
    attempt: int = Field(default=1, ge=1)
    """Which of the incident's attempts the case is about: only its calls are replayed."""
    attempts: tuple[Attempt, ...] = ()
    """What had been tried before, where the case is about a later attempt."""


@dataclass(frozen=True)
class Case:
    """A whole case. `folder` is where it was read from, or will be written."""

    folder: Path
    file: CaseFile
    alerts: AlertGroup
    context: Context
    calls: tuple[Recorded, ...]
    expected: Expected

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def received_at(self) -> datetime:
        return self.context.received_at


def load_cases(root: Path, globs: Sequence[str] = ("*",)) -> tuple[Case, ...]:
    """The cases under `root` whose folder's name fits one of the globs, by id. Raises InvalidCase."""
    folders = sorted({path.parent for glob in globs for path in root.glob(f"{glob}/case.yaml")})
    cases = tuple(load_case(folder) for folder in folders)
    seen: dict[str, Path] = {}
    for case in cases:
        if case.id in seen:
            raise InvalidCase(f"{case.folder}: id {case.id} is that of {seen[case.id]} too; an id is given once")
        seen[case.id] = case.folder
    return cases


def load_case(folder: Path) -> Case:
    """Raises InvalidCase naming the file and the field."""
    return Case(
        folder=folder,
        file=_yaml(folder / "case.yaml", CaseFile),
        alerts=_json(folder / "alert.json", AlertGroup),
        context=_json(folder / "recorded/context.json", Context),
        calls=tuple(_lines(folder / CALLS_FILE)),
        expected=_yaml(folder / "expected.yaml", Expected),
    )


def write_case(case: Case) -> None:
    """Write the folder; what is there of an earlier writing is replaced."""
    (case.folder / "recorded").mkdir(parents=True, exist_ok=True)
    _write_yaml(case.folder / "case.yaml", case.file)
    (case.folder / "alert.json").write_text(_dumped(case.alerts.model_dump(mode="json", by_alias=True)))
    (case.folder / "recorded/context.json").write_text(
        _dumped(case.context.model_dump(mode="json", exclude_defaults=True))
    )
    lines = (json.dumps(call.model_dump(mode="json", exclude_defaults=True), sort_keys=True) for call in case.calls)
    (case.folder / CALLS_FILE).write_text("".join(f"{line}\n" for line in lines))
    _write_yaml(case.folder / "expected.yaml", case.expected)


def _dumped(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def _write_yaml(path: Path, value: BaseModel) -> None:
    path.write_text(yaml.safe_dump(value.model_dump(mode="json", exclude_defaults=True), sort_keys=False))


def _yaml(path: Path, model: type[Model]) -> Model:
    try:
        return _validated(path, model, yaml.safe_load(_read(path)))
    except yaml.YAMLError as error:
        raise InvalidCase(f"{path}: no valid YAML: {error}") from error


def _json(path: Path, model: type[Model]) -> Model:
    try:
        return _validated(path, model, json.loads(_read(path)))
    except json.JSONDecodeError as error:
        raise InvalidCase(f"{path}: no valid JSON: {error}") from error


def _lines(path: Path) -> Iterator[Recorded]:
    for number, line in enumerate(_read(path).splitlines(), 1):
        try:
            yield _validated(Path(f"{path}:{number}"), Recorded, json.loads(line))
        except json.JSONDecodeError as error:
            raise InvalidCase(f"{path}:{number}: no valid JSON: {error}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise InvalidCase(f"{path}: {error.strerror}; a case has this file") from error


def _validated(path: Path, model: type[Model], value: Any) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InvalidCase(f"{path}: {where}: {first['msg']}") from error

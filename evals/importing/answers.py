"""What is right in a foreign case: its own name for the cause, mapped to ours by a file that its importer writes.

```yaml
# foreign name: our cause            the case is to be escalated with this cause, or is no fault
full disk: data_growth
healthy: no_fault
# or whatever `expected.yaml` holds
replica behind:
  accepted_causes: [applier_slow, applier_blocked]
  ending: escalate
  required_facts: [repl.lag_seconds]
```

Where the file has no name for it, nothing is known to be right: the case is tagged `unscored`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from evals.case import CameOf, Expected, InvalidCase
from evals.importing.foreign import Foreign, read_text
from evals.importing.placing import Kind
from graph.kind import NO_FAULT, UNKNOWN_CAUSE, ResourceKind
from tools.redaction import redact

_KEYS = frozenset(Expected.model_fields) - {"mechanism", "came_of"}


@dataclass(frozen=True)
class Answers:
    """Foreign name → what is expected. Names are compared without case, and with `_`, `-` and space alike."""

    path: Path | None = None
    told: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def expected(self, foreign: Foreign, kind: Kind, kinds: Mapping[str, ResourceKind]) -> tuple[Expected, bool]:
        """And whether it can be scored. Raises InvalidCase where the file expects what the kind does not declare."""
        came_of = CameOf(reason=redact(f"imported: {foreign.name}; its answer: {', '.join(foreign.answers) or 'none'}"))
        for name in (*foreign.answers, foreign.name):
            told = self.told.get(plain_name(name))
            if told is None:
                continue
            causes = [cause for cause in told["accepted_causes"] if _declared(cause, kinds[kind])]
            if not causes:
                raise InvalidCase(
                    f"{self.path}: {name}: none of {', '.join(told['accepted_causes'])} is a cause of {kind}, as "
                    f"{foreign.where} is; add one of: {', '.join(cause.name for cause in kinds[kind].causes)}"
                )
            mechanism = f"imported_{plain_name(name).replace(' ', '_')}"[:80]
            return _expected(self.path, name, {**told, "accepted_causes": causes}, mechanism, came_of), True
        unknown = {"accepted_causes": [UNKNOWN_CAUSE], "ending": "escalate"}
        return _expected(None, "", unknown, "imported", came_of), False


def read_answers(path: Path | None, kinds: Mapping[str, ResourceKind]) -> Answers:
    """Raises InvalidCase naming the entry, the field and what would be right."""
    if path is None:
        return Answers()
    try:
        found = yaml.safe_load(read_text(path)) or {}
    except yaml.YAMLError as error:
        raise InvalidCase(f"{path}: no valid YAML: {error}") from error
    if not isinstance(found, dict):
        raise InvalidCase(f"{path}: a mapping is wanted: a foreign name for a cause, and ours")
    return Answers(path, {plain_name(str(name)): _read(path, str(name), told, kinds) for name, told in found.items()})


def plain_name(name: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", name.lower()))


def _read(path: Path, name: str, told: Any, kinds: Mapping[str, ResourceKind]) -> Mapping[str, Any]:
    if isinstance(told, str):
        told = {"accepted_causes": [told], "ending": "no_fault" if told == NO_FAULT else "escalate"}
    if not isinstance(told, dict) or not isinstance(told.get("accepted_causes"), list):
        raise InvalidCase(
            f"{path}: {name}: accepted_causes: give the name of one of our causes, or a list of them here"
        )
    if unknown := sorted(set(map(str, told)) - _KEYS):
        raise InvalidCase(f"{path}: {name}: {unknown[0]}: no such field; there are {', '.join(sorted(_KEYS))}")
    for cause in told["accepted_causes"]:
        if not any(_declared(cause, kind) for kind in kinds.values()):
            causes = sorted({known.name for kind in kinds.values() for known in kind.causes})
            raise InvalidCase(f"{path}: {name}: accepted_causes: {cause!r} is no cause; there are {', '.join(causes)}")
    _expected(path, name, told, "imported", CameOf())
    return dict(told)


def _declared(cause: str, kind: ResourceKind) -> bool:
    return cause in (NO_FAULT, UNKNOWN_CAUSE) or kind.cause(cause) is not None


def _expected(path: Path | None, name: str, told: Mapping[str, Any], mechanism: str, came_of: CameOf) -> Expected:
    try:
        return Expected.model_validate({**told, "mechanism": mechanism, "came_of": came_of})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise InvalidCase(f"{path}: {name}: {where}: {first['msg']}") from error

"""Which cases nobody tunes on: a third of them, by what was done to the world, frozen with the hashes of their files.

`test.lock` stands beside the folder of the cases. Where there is none, all cases are for training.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from evals.case import Case, Split
from evals.target import all_kinds
from graph.kind import NO_FAULT, UNKNOWN_CAUSE

LOCK_NAME = "test.lock"
SHARE = 1 / 3


class InvalidLock(Exception):
    """The lock can't be read; the message says where and why."""


class Lock(BaseModel):
    """`test.lock`: the mechanisms of the test split, and of each of its cases (by folder) every file's SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mechanisms: tuple[str, ...] = ()
    cases: dict[str, dict[str, str]] = {}


def split_of(case: Case) -> Split:
    """By the lock beside the case's own store."""
    return "test" if case.expected.mechanism in lock_of(case.folder.parent).mechanisms else "train"


def lock_path(root: Path) -> Path:
    """Of the cases under `root`."""
    return root.parent / LOCK_NAME


def lock_of(root: Path) -> Lock:
    """The lock of the cases under `root`; an empty one where there is none. Raises InvalidLock."""
    path = lock_path(root)
    try:
        return parse_lock(path.read_text(), str(path))
    except FileNotFoundError:
        return Lock()


@lru_cache(8)
def parse_lock(text: str, where: str) -> Lock:
    """Raises InvalidLock."""
    try:
        return Lock.model_validate(json.loads(text))
    except (json.JSONDecodeError, ValidationError) as error:
        raise InvalidLock(f"{where}: is no lock of a test split: {error}") from error


def freeze(cases: Sequence[Case]) -> Lock:
    """The lock of a new split of these cases."""
    mechanisms = choose(cases)
    chosen = [case for case in cases if case.expected.mechanism in mechanisms]
    return Lock(mechanisms=mechanisms, cases={case.folder.name: hashes(case.folder) for case in chosen})


def write_lock(lock: Lock, path: Path) -> None:
    """Sorted, a line a file: a change shows in a diff as what it is."""
    content = {"mechanisms": sorted(lock.mechanisms), "cases": lock.cases}
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under the folder, by its path in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def problems(lock: Lock, cases: Iterable[Case]) -> tuple[str, ...]:
    """How the test cases are other than they were frozen, each naming the case; nothing where they are the same."""
    there = {case.folder.name: case for case in cases if case.expected.mechanism in lock.mechanisms}
    found: list[str] = []
    for name in sorted({*lock.cases, *there}):
        if name not in there:
            found.append(f"{name}: is frozen as a test case, and is missing or of another mechanism now")
        elif name not in lock.cases:
            mechanism = there[name].expected.mechanism
            found.append(f"{name}: is new, and of mechanism {mechanism}, which is frozen in the test split")
        else:
            found += [f"{name}: {said}" for said in _differences(lock.cases[name], hashes(there[name].folder))]
    return tuple(found)


def _differences(frozen: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What became of a case's files since they were frozen."""
    found: list[str] = []
    for name in sorted({*frozen, *now}):
        if name not in now:
            found.append(f"{name} is missing")
        elif name not in frozen:
            found.append(f"{name} is new")
        elif frozen[name] != now[name]:
            found.append(f"{name} was changed")
    return found


# -- the choice --------------------------------------------------------------------------------------------


def choose(cases: Sequence[Case], share: float = SHARE) -> tuple[str, ...]:
    """Mechanisms that make up `share` of the cases, as evenly as can be of each kind and sort of trouble; sorted.

    In the order of their hashes, so that nobody chooses: of the sort that has least of its share yet, the next
    mechanism that does not go beyond what is wanted in all.
    """
    strata = {mechanism: _stratum(mechanism, cases) for mechanism in sorted({_of(case) for case in cases})}
    sizes = Counter(_of(case) for case in cases)
    in_stratum = Counter(strata[_of(case)] for case in cases)
    wanted, taken, by_stratum = share * len(cases), 0, Counter[str]()
    left = sorted(strata, key=lambda mechanism: (hashlib.sha256(mechanism.encode()).hexdigest(), mechanism))
    chosen: list[str] = []
    while taken < wanted:
        fitting = [mechanism for mechanism in left if taken + sizes[mechanism] <= round(wanted)]
        if not fitting:
            break
        least = min(fitting, key=lambda it: (by_stratum[strata[it]] / in_stratum[strata[it]], left.index(it)))
        chosen.append(least)
        left.remove(least)
        taken += sizes[least]
        by_stratum[strata[least]] += sizes[least]
    return tuple(sorted(chosen))


def _of(case: Case) -> str:
    return case.expected.mechanism


def _stratum(mechanism: str, cases: Sequence[Case]) -> str:
    """Kind and sort of trouble of most of its cases."""
    found = Counter(_sort_of(case) for case in cases if _of(case) == mechanism)
    return min(found, key=lambda name: (-found[name], name))


def _sort_of(case: Case) -> str:
    cause = case.expected.accepted_causes[0]
    if cause in (NO_FAULT, UNKNOWN_CAUSE):
        return f"{case.file.kind}/{cause}"
    kind = all_kinds().get(case.file.kind)
    declared = kind.cause(cause) if kind else None
    return f"{case.file.kind}/{declared.issue_type if declared else cause}"

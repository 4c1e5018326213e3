"""That nobody tunes the runbook on the test cases: no commit touches both its signatures and the test split.

Only what stands in a commit can be seen: whoever splits the tuning over two commits leaves it for all to read.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.split import InvalidLock, Lock, parse_lock

LOCK = "evals/test.lock"
CASES = "evals/cases"
SIGNATURES = ("agents/causes/", "agents/reasoning/runbook.py", "agents/instance.py", "agents/database.py")
GIT_SECONDS = 60


class CannotLook(Exception):
    """There is no history to look at; the message says why."""


@dataclass(frozen=True)
class Commit:
    """What a commit touches; of a merge, only what is like neither side. `test_cases` are the folders that were in the
    test split before it or are in it since."""

    name: str
    subject: str
    files: tuple[str, ...]
    test_cases: frozenset[str]


def touches_both(commit: Commit) -> str | None:
    """Why the commit must not be, naming the files; None where it may."""
    signatures = [file for file in commit.files if file.startswith(SIGNATURES)]
    cases = [file for file in commit.files if file == LOCK or _case_of(file) in commit.test_cases]
    if not signatures or not cases:
        return None
    return (
        f"{commit.name[:12]} ({commit.subject}) touches signatures ({_few(signatures)}) and the test split "
        f"({_few(cases)}): signatures are never tuned on test cases; make them two commits, each with its reason"
    )


def offending(root: Path, wanted: str = "HEAD") -> tuple[str, ...]:
    """Of the commits of a range (`main..HEAD`; a name: all that led to it), those that must not be. Raises
    CannotLook."""
    return tuple(why for commit in commits(root, wanted) if (why := touches_both(commit)))


def commits(root: Path, wanted: str = "HEAD") -> Iterator[Commit]:
    """The commits that touch cases or the lock, but for those without a parent: there a history begins (or, in a
    shallow clone, what we have of it), and all files are new. Raises CannotLook."""
    ends = _shallow_ends(root)
    form = "--format=%x00%H%x01%P%x01%s%x01"
    told = _git(root, "log", "--full-history", "--full-diff", "-c", "--name-only", form, wanted, "--", LOCK, CASES)
    for entry in told.split("\0")[1:]:
        name, parents, subject, files = entry.split("\x01", 3)
        if not parents or name in ends:
            continue
        locks = [_lock_at(root, at) for at in (name, *parents.split())]
        frozen = frozenset(case for lock in locks for case in lock.cases)
        yield Commit(name, subject, tuple(line for line in files.splitlines() if line), frozen)


def _lock_at(root: Path, commit: str) -> Lock:
    try:
        return parse_lock(_git(root, "show", f"{commit}:{LOCK}"), commit)
    except (CannotLook, InvalidLock):
        return Lock()


def _shallow_ends(root: Path) -> frozenset[str]:
    """Commits whose parents a shallow clone does not have: git shows their every file as new."""
    path = Path(_git(root, "rev-parse", "--git-path", "shallow").strip())
    path = path if path.is_absolute() else root / path
    return frozenset(path.read_text().split()) if path.exists() else frozenset()


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", "core.quotepath=off", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=GIT_SECONDS)
    except FileNotFoundError:
        raise CannotLook("git is not installed") from None
    except subprocess.TimeoutExpired:
        raise CannotLook(f"git {arguments[0]} took longer than {GIT_SECONDS} s") from None
    if done.returncode != 0:
        raise CannotLook(f"git {arguments[0]}: {done.stderr.strip() or 'failed'}")
    return done.stdout


def _case_of(file: str) -> str:
    """The folder of the case a file belongs to; empty for other files."""
    within = file.removeprefix(f"{CASES}/")
    return within.partition("/")[0] if within != file else ""


def _few(files: Sequence[str] | Iterable[str]) -> str:
    first, *more = list(files)
    return f"{first} and {len(more)} more" if more else first

"""Import a file or folder and run what came of it, as `selfheal evals import` and `evals run` do."""

from __future__ import annotations

from pathlib import Path

from agents import known_kinds
from agents.reasoning.runbook import RunbookReasoner
from evals.case import Case, load_cases
from evals.importing.answers import Answers, read_answers
from evals.importing.importer import Imported, import_cases, shape_of
from evals.target import CaseRun, run_case


def imported(path: Path, out: Path, answers: Path | None = None, shape: str = "auto") -> Imported:
    kinds = known_kinds()
    return import_cases(path, shape_of(path, shape), read_answers(answers, kinds) if answers else Answers(), kinds, out)


def only_case(path: Path, out: Path) -> Case:
    """The one case that came of it, read back from its folder."""
    done = imported(path, out)
    assert not done.unplaced and not done.broken, (done.unplaced, done.broken)
    [case] = load_cases(out)
    return case


async def diagnosed(case: Case) -> CaseRun:
    run = await run_case(case, RunbookReasoner())
    assert not run.error, run.error
    assert run.diagnosis is not None
    return run


def facts_of_case(case: Case) -> dict[str, bool | int | float | str]:
    return {key: value for call in case.calls if not call.inquiry for key, value in call.facts.items()}

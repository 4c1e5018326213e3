"""Evaluations made up for tests of what is made of them: no figure in here was ever measured."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from evals.results import CaseResult, Evaluation, Results, RunResult, Score, SeenEvidence

MADE_AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def piece(id: str = "E1", **more: Any) -> SeenEvidence:
    told: dict[str, Any] = {"source": "units", "asked": "systemctl show web", "status": "observed"}
    told |= {"text": "web: failed (Result=oom-kill)", "facts": ('unit.result{unit="web"} = oom-kill',)}
    return SeenEvidence(id=id, **(told | more))


def run(passed: bool = True, cause: str = "oom", number: int = 1, **more: Any) -> RunResult:
    value = 1.0 if passed else 0.4
    told: dict[str, Any] = {
        "why_failed": () if passed else (f"cause: {cause} is not accepted",),
        "scores": {
            "cause": Score(value=1.0 if passed else 0.0, detail="what was wanted"),
            "abstention": Score(value=None, detail="something is to be done"),
            "total": Score(value=value, detail="of cause"),
        },
        "confidence": 0.9,
        "summary": f"web ended by {cause}",
        "author": "runbook",
        "actions": ("restart_service",),
        "ended_before": "verify",
        "path": ("gather_context", "diagnose", "plan", "gate"),
        "evidence": (piece(cited=True, required=True), piece("E2", source="journal", required=True)),
        "seconds": 0.012,
    }
    return RunResult(number=number, passed=passed, suspected_cause=cause, **(told | more))


def case(id: str = "amber-fox", *runs: RunResult, **more: Any) -> CaseResult:
    told: dict[str, Any] = {"kind": "Instance", "issue_type": "service_down", "accepted_causes": ("oom",)}
    told |= {"ending": "repair", "mechanism": "memory_taken", "split": "train", "difficulty": "medium"}
    return CaseResult(id=id, runs=runs or (run(),), **(told | more))


def evaluation(*cases: CaseResult, reasoner: str = "runbook", baselines: bool = True, **more: Any) -> Evaluation:
    model = bool(more.pop("measures_a_model", False))
    results = Results(reasoner=reasoner, measures_a_model=model, cases=cases, seconds=1.5)
    silent = tuple(each.model_copy(update={"runs": (run(False, "unknown"),)}) for each in cases)
    beside = (Results(reasoner="always_unknown", cases=silent, seconds=0.4),) if baselines else ()
    return Evaluation(made_at=MADE_AT, product_version="0.1.0", results=results, baselines=beside, **more)

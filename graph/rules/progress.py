"""Where execution stands: which step is next, and what is left to undo."""

from __future__ import annotations

from collections.abc import Sequence

from graph.records import ActionResult, Plan, PlanStep


def next_step(plan: Plan, results: Sequence[ActionResult]) -> int | None:
    """The index of the first step without a final result, or None when all are through."""
    done = {result.step for result in results if not result.undo and result.status != "pending"}
    return next((index for index in range(len(plan.steps)) if index not in done), None)


def next_undo(plan: Plan, results: Sequence[ActionResult]) -> tuple[int, PlanStep] | None:
    """The latest step that succeeded, can be undone and has not been, with its undo step; or None."""
    undone = {result.step for result in results if result.undo and result.status != "pending"}
    for result in sorted(results, key=lambda item: item.step, reverse=True):
        if result.undo or result.status != "succeeded" or result.step in undone:
            continue
        undo = plan.steps[result.step].undo
        if undo is not None:
            return result.step, undo
    return None


def with_result(results: Sequence[ActionResult], new: ActionResult) -> tuple[ActionResult, ...]:
    """The results with this one added, or put in the place of the pending one of the same step."""
    kept = [result for result in results if result.idempotency_key != new.idempotency_key]
    return (*kept, new)

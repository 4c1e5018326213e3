"""Where a heal goes next: pure functions over the records, named after the node they follow."""

from __future__ import annotations

from collections.abc import Callable

from graph.kind import NO_FAULT, UNKNOWN_CAUSE
from graph.nodes.gate import autonomy_of
from graph.ports import Deps
from graph.rules.escalation import Retry, cannot_continue, next_move
from graph.rules.inquiries import next_inquiry
from graph.rules.progress import next_step, next_undo
from graph.state import Heal, HealState, UnreadableState

Route = Callable[[Heal, Deps], str]


def routed(route: Route, deps: Deps) -> Callable[[HealState], str]:
    """A LangGraph route from one of ours: what can't be read or must stop goes to `close`."""

    def go(state: HealState) -> str:
        try:
            heal = Heal.read(state)
        except UnreadableState:
            return "close"
        if heal.broken or heal.stop:
            return "close"
        return route(heal, deps)

    go.__name__ = route.__name__
    return go


def after_gather_context(heal: Heal, deps: Deps) -> str:
    return "diagnose"


def after_diagnose(heal: Heal, deps: Deps) -> str:
    if next_inquiry(heal.inquiries) is not None:
        return "investigate"
    cause = heal.diagnosis.suspected_cause if heal.diagnosis else UNKNOWN_CAUSE
    if heal.wait is not None:
        return "wait"
    if cause == UNKNOWN_CAUSE:
        return "escalate"
    return "verify" if cause == NO_FAULT else "plan"


def after_investigate(heal: Heal, deps: Deps) -> str:
    return "diagnose" if next_inquiry(heal.inquiries) is None else "investigate"


def after_plan(heal: Heal, deps: Deps) -> str:
    return "gate" if heal.plan and heal.plan.steps else "escalate"


def after_gate(heal: Heal, deps: Deps) -> str:
    if heal.gate is None:
        return "escalate"
    if heal.gate.rule == "dry_run":
        return "close"
    return {"run": "execute", "ask": "approve", "hold": "wait", "refuse": "escalate"}[heal.gate.decision]


def after_approve(heal: Heal, deps: Deps) -> str:
    if heal.approval is None:
        return "approve"
    if heal.approval.wants_another:
        return "retry"
    if heal.approval.decision == "expired":
        return autonomy_of(heal, deps).on_expiry
    return {"approve": "gate", "edit": "plan", "reject": "close", "withdrawn": "close"}[heal.approval.decision]


def after_execute(heal: Heal, deps: Deps) -> str:
    if any(result.status == "pending" for result in heal.results):
        return "wait"
    if cannot_continue(heal.results, None):
        return "escalate"
    if any(result.status in ("failed", "refused") for result in heal.results):
        return _give_up(heal)
    return "execute" if heal.plan and next_step(heal.plan, heal.results) is not None else "verify"


def after_verify(heal: Heal, deps: Deps) -> str:
    verdict = heal.verification.status if heal.verification else "unknown"
    if verdict == "pending":
        return "wait"
    if verdict == "healthy":
        return "close"
    if verdict == "unhealthy" and heal.plan is None and heal.looks < deps.settings.looks:
        return "gather_context"
    if verdict == "unknown" or heal.plan is None:
        return "escalate"
    return _give_up(heal)


def after_rollback(heal: Heal, deps: Deps) -> str:
    if any(result.status == "pending" for result in heal.results):
        return "wait"
    if cannot_continue(heal.results, None):
        return "escalate"
    return _give_up(heal)


def after_wait(heal: Heal, deps: Deps) -> str:
    if heal.wait is None:
        return "escalate"
    return heal.wait.then if heal.wait.over else "wait"


def after_retry(heal: Heal, deps: Deps) -> str:
    return "gather_context" if isinstance(next_move(heal.attempts, autonomy_of(heal, deps)), Retry) else "escalate"


def _give_up(heal: Heal) -> str:
    """An attempt that failed is undone as far as it can be, then closed. One that did harm is not followed by more."""
    if heal.plan and next_undo(heal.plan, heal.results):
        return "rollback"
    return "escalate" if heal.verification is not None and heal.verification.made_worse else "retry"

"""What the model cost, against what one incident may cost as shipped. Time is told, not scored: it is the machine's."""

from __future__ import annotations

from evals.results import Score
from evals.scorers.judged import Judged

CALLS = 24
TOKENS = 100_000
"""An incident's budget as shipped."""


def cost(judged: Judged) -> Score:
    """1 where no model was asked, 0 where calls or tokens used up an incident's budget."""
    spent = judged.run.spent
    used = max(spent.calls / CALLS, spent.tokens / TOKENS)
    price = "" if spent.cost_usd is None else f", {spent.cost_usd:.4f} USD"
    guessed = f" ({spent.estimated_calls} calls with estimated tokens)" if spent.estimated_calls else ""
    detail = f"{spent.calls} calls, {spent.tokens} tokens{guessed}, {spent.seconds:.1f} s of the model{price}"
    return Score(value=round(max(0.0, 1 - used), 6), detail=detail)

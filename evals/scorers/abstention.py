"""Whether it kept its hands off where nothing is to be done: no fault, or nothing for us to mend."""

from __future__ import annotations

from evals.results import Score
from evals.scorers.judged import Judged
from graph.kind import NO_FAULT

WORDS = {
    "verify": "to watch health hold, with nothing done",
    "escalate": "to a human",
    "execute": "to act",
    "approve": "to ask for leave to act",
    "close": "to the end",
    "": "nowhere",
}


def abstention(judged: Judged) -> Score:
    """Of `no_fault`: that it was found, and nothing planned. Of `escalate`: that a human is called, unasked for leave
    to do something."""
    ending, went = judged.case.expected.ending, judged.run.ended_before
    if ending == "repair":
        return Score(value=None, detail="there is something to mend")
    if ending == "no_fault":
        right = judged.cause == NO_FAULT and went == "verify" and not judged.steps
        return Score(value=float(right), detail=f"wanted: no fault, nothing done; it went {_went(judged)}")
    return Score(value=float(went == "escalate"), detail=f"wanted: a human is called; it went {_went(judged)}")


def _went(judged: Judged) -> str:
    planned = ", ".join(step.action for step in judged.steps)
    return WORDS.get(judged.run.ended_before, judged.run.ended_before) + (f" (plan: {planned})" if planned else "")

"""Why a reasoner gave no usable answer: kept apart so that the fallback needs to import no reasoner."""

from __future__ import annotations


class ReasonerFailed(Exception):
    """No usable answer; the message is a short reason that fits into a record's `author`."""


class Unanswered(ReasonerFailed):
    """Nothing came back in time, though the server may have worked on it."""


class BudgetExceeded(ReasonerFailed):
    """Another call would spend more than is allowed; the message says which budget and how much was spent."""


class MethodUnsupported(Exception):
    """The server refuses this way of asking for structured output (HTTP 400, 422 or 501)."""

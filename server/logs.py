"""Our log, without secrets: what libraries say and what exceptions quote is redacted like all else."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from tools.redaction import redact_once

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class RedactingFormatter(logging.Formatter):
    """A formatter rather than a filter: a traceback becomes text only here."""

    def format(self, record: logging.LogRecord) -> str:
        return redact_once(super().format(record))


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what stderr is now: a library's own thread may log after what was stderr has been closed."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def set_up_logging(verbose: bool) -> None:
    """One line an event to stderr, redacted. The libraries' own chatter only as warnings."""
    handler = StderrHandler()
    handler.setFormatter(RedactingFormatter(FORMAT))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("selfheal").setLevel(logging.DEBUG if verbose else logging.INFO)

"""Our log, without secrets: what libraries say and what exceptions quote is redacted like all else."""

from __future__ import annotations

import logging
import sys

from tools.redaction import redact

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class RedactingFormatter(logging.Formatter):
    """A formatter rather than a filter: a traceback becomes text only here."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def set_up_logging(verbose: bool) -> None:
    """One line an event to stderr, redacted. The libraries' own chatter only as warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter(FORMAT))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("selfheal").setLevel(logging.DEBUG if verbose else logging.INFO)

"""A LangSmith client that redacts all it is given, in the one place where every run passes on its way out.

LangSmith's own hooks (`hide_inputs`, `anonymizer`, …) leave out names, tags, events and what a model was called with,
and differ between versions. Imported only where tracing is asked for.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from langsmith import Client
from urllib3.util.retry import Retry

from tools.redaction import redact, redact_tree

log = logging.getLogger("selfheal.tracing")

TIMEOUTS_MS = (2_000, 5_000)
"""To connect, and for an answer: a heal waits for neither, but the end of the process does."""

COMPLAIN_SECONDS = 60.0

# Ids, times and where to: ours or LangSmith's own. Everything else is redacted, also what a later version may add.
_PLAIN = frozenset(
    (
        *("id", "trace_id", "parent_run_id", "dotted_order", "start_time", "end_time", "run_type"),
        *("session_id", "session_name", "project_name", "reference_example_id", "revision_id"),
        *("address", "api_url", "api_key", "service_key", "tenant_id", "authorization", "cookie", "_replica_auths"),
    )
)
# Files and whatever else is no text can't be redacted.
_LEFT_OUT = frozenset({"attachments"})


class RedactingClient(Client):
    """Sends in threads of its own, and gives up early; a run that can't be redacted is dropped."""

    def __init__(self, **more: Any) -> None:
        """By LangSmith's own variables, and by `more` of `langsmith.Client`'s arguments. Raises what that raises where
        they make no sense."""
        self._complained_at = -COMPLAIN_SECONDS
        given: dict[str, Any] = {"timeout_ms": TIMEOUTS_MS, "retry_config": Retry(total=0)} | more
        super().__init__(
            **given,
            # Names of variables and versions, which the client adds by itself.
            hide_metadata=redact_tree,
            tracing_error_callback=self._complain,
        )

    def create_run(self, name: str, inputs: dict[str, Any], run_type: Any, **more: Any) -> None:
        try:
            super().create_run(redact(name), redact_tree(inputs), run_type, **_told(more))
        except Exception as error:
            self._complain(error)

    def update_run(self, run_id: Any, **more: Any) -> None:
        try:
            super().update_run(run_id, **_told(more))
        except Exception as error:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        """In our own words, and seldom: a server that is down fails every batch."""
        now = time.monotonic()
        if now - self._complained_at < COMPLAIN_SECONDS:
            return
        self._complained_at = now
        said = redact(str(error))[:300]
        log.warning("traces could not be sent to LangSmith: %s: %s", type(error).__name__, said)


def _told(run: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value if key in _PLAIN else redact_tree(value) for key, value in run.items() if key not in _LEFT_OUT}

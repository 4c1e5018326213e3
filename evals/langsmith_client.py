"""LangSmith clients for cases: one that redacts all that evaluations send, and one that sends nothing at all.

`langsmith.evaluate` tells more than it is given: of git the author's name and address and the remote, of every
experiment. That stays here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from langsmith.schemas import LangSmithInfo

from server.langsmith_client import RedactingClient
from tools.redaction import redact, redact_tree

TIMEOUTS_MS = (5_000, 30_000)
LEFT_OUT = frozenset({"git"})
"""Of an experiment's metadata."""
UNREDACTED = frozenset({"id", "dataset_id", "dataset_name", "split"})
"""Of an example: ours."""


class Offline(Exception):
    """Something was about to be sent though nothing may be."""


class EvalsClient(RedactingClient):
    """Sends datasets, runs and feedback, redacted. `failures` are what did not arrive, in words."""

    def __init__(self, **more: Any) -> None:
        self.failures: list[str] = []
        super().__init__(**({"timeout_ms": TIMEOUTS_MS} | more))

    def create_examples(self, **more: Any) -> Any:
        return super().create_examples(**_examples(more, "examples"))

    def update_examples(self, **more: Any) -> Any:
        return super().update_examples(**_examples(more, "updates"))

    def create_project(self, project_name: str, **more: Any) -> Any:
        # It takes our one evaluator for one score, and would show progress by it.
        more.pop("evaluator_keys", None)
        return super().create_project(redact(project_name), **_about(more))

    def update_project(self, project_id: Any, **more: Any) -> Any:
        return super().update_project(project_id, **_about(more))

    def create_feedback(self, run_id: Any = None, key: str = "unnamed", **more: Any) -> Any:
        told = {name: redact_tree(value) if name in _SAID else value for name, value in more.items()}
        try:
            return super().create_feedback(run_id, key, **told)
        except Exception as error:
            self._complain(error)
            raise

    def _complain(self, error: Exception) -> None:
        self.failures.append(f"{type(error).__name__}: {redact(str(error))[:300]}")
        super()._complain(error)


class OfflineClient(EvalsClient):
    """For evaluations that stay here: every way to the network raises, whatever LangSmith's variables say."""

    def __init__(self) -> None:
        super().__init__(
            api_url="http://192.0.2.1",
            api_key="none",
            info=LangSmithInfo(version="0"),
            auto_batch_tracing=False,
            tracing_sampling_rate=0.0,
        )

    def create_run(self, name: str, inputs: dict[str, Any], run_type: Any, **more: Any) -> None:
        return None

    def update_run(self, run_id: Any, **more: Any) -> None:
        return None

    def request_with_retries(self, *asked: Any, **more: Any) -> NoReturn:
        raise Offline(f"{' '.join(map(str, asked))} was about to be asked of LangSmith")


_SAID = frozenset({"value", "comment", "correction", "extra", "source_info"})


def _examples(more: Mapping[str, Any], name: str) -> dict[str, Any]:
    told = ({key: it if key in UNREDACTED else redact_tree(it) for key, it in each.items()} for each in more[name])
    return {**more, name: list(told)}


def _about(more: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in (more.get("metadata") or {}).items() if key not in LEFT_OUT}
    return {**more, "description": redact(more.get("description") or ""), "metadata": redact_tree(metadata)}

"""The cases as a LangSmith dataset, and our scorers as its evaluators.

LangSmith is a place to look at results, not where cases live: an example says which case it is and what is right, for
people; what is replayed is the case here, and one whose example is of other content is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from langsmith import evaluate
from langsmith.run_helpers import get_current_run_tree
from langsmith.schemas import Example

from agents.reasoning.ledger import MemoryLedger
from evals import reasoners
from evals.case import Case
from evals.langsmith_client import EvalsClient, OfflineClient
from evals.reasoners import Choice
from evals.results import Results, RunResult
from evals.running import result_of
from evals.scorers import score
from evals.split import split_of
from evals.target import CaseRun, run_case
from graph.ports import Reasoner
from tools.redaction import condense, redact_tree

DATASET = "selfheal-evals"
DESCRIPTION = "Recorded incidents of Self-Heal with what is right to think and to do of each."
EVIDENCE_CHARS = 2_000
"""Of one recorded answer: an example is for people to look at."""
IN_ONE_GO = 20


class NotTheSame(Exception):
    """The dataset is not of these cases; the message says which, and what to do."""


class Unscored(Exception):
    """A run was not scored: `langsmith.evaluate` logs what breaks in a target or an evaluator, and goes on."""


@dataclass(frozen=True)
class Uploaded:
    """What an upload came to. `strange` are examples of no case that was uploaded: they are left alone."""

    created: int
    updated: int
    same: int
    strange: int


def example_of(case: Case) -> dict[str, Any]:
    """The case as an example, redacted. `digest` among the metadata tells other content of the same name."""
    recorded = [
        {"tool": call.tool, "asked": call.asked, "status": call.status, "text": condense(call.text, EVIDENCE_CHARS)}
        for call in case.calls
    ]
    inputs = {
        "case": case.id,
        "kind": case.file.kind,
        "alert": case.alerts.model_dump(mode="json", by_alias=True),
        "attempts": [each.model_dump(mode="json") for each in case.context.attempts],
        "recorded": recorded,
    }
    told: dict[str, Any] = {
        "inputs": redact_tree(inputs),
        "outputs": redact_tree(case.expected.model_dump(mode="json", exclude={"came_of"})),
        "split": split_of(case),
    }
    about = {"case": case.id, "difficulty": case.file.difficulty, "tags": list(case.file.tags)}
    return told | {"metadata": redact_tree(about) | {"digest": _digest(case)}}


def _digest(case: Case) -> str:
    """Of all that a replay and its scorers go by."""
    parts = (case.file, case.alerts, case.context, case.expected, *case.calls)
    whole = json.dumps([part.model_dump(mode="json") for part in parts], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def upload(client: EvalsClient, cases: Sequence[Case], dataset: str = DATASET) -> Uploaded:
    """Make the dataset, or bring it up to date; the same again changes nothing. Raises what the client raises."""
    dataset_id = _dataset(client, dataset)
    there = {example.id: example for example in client.list_examples(dataset_id=dataset_id)}
    ours = {uuid5(dataset_id, case.id): example_of(case) for case in cases}
    new = [{"id": id, **_new(example)} for id, example in ours.items() if id not in there]
    old = [{"id": id, **ours[id]} for id in ours if id in there and _said(there[id]) != ours[id]["metadata"]["digest"]]
    for some in _some(new):
        client.create_examples(dataset_id=dataset_id, examples=some)
    for some in _some(old):
        client.update_examples(dataset_id=dataset_id, updates=some)
    return Uploaded(len(new), len(old), len(ours) - len(new) - len(old), len(there.keys() - ours.keys()))


def _new(example: Mapping[str, Any]) -> dict[str, Any]:
    """As a client names what it has not seen yet; of an update the same are `outputs`."""
    return {"reference_outputs" if key == "outputs" else key: value for key, value in example.items()}


def _some(examples: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for at in range(0, len(examples), IN_ONE_GO):
        yield examples[at : at + IN_ONE_GO]


def _dataset(client: EvalsClient, name: str) -> UUID:
    for found in client.list_datasets(dataset_name=name):
        return found.id
    return client.create_dataset(name, description=DESCRIPTION).id


def _said(example: Example) -> str:
    return str((example.metadata or {}).get("digest", ""))


def measure(
    client: EvalsClient | None, cases: Sequence[Case], choice: Choice, runs: int = 1, dataset: str = DATASET
) -> Results:
    """Every case `runs` times by `langsmith.evaluate`, with our scorers as evaluators. Without a client nothing is
    sent. Raises NotTheSame, Unscored, and what the client raises."""
    examples = _local(cases) if client is None else _uploaded(client, cases, dataset)
    began = time.perf_counter()
    with _running(cases, choice) as replays, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is in beta", category=UserWarning)
        done = evaluate(
            replays.target(),
            data=examples,
            evaluators=[replays.evaluator()],
            # the synchronous one: `aevaluate` sends even where it is told not to
            upload_results=client is not None,
            client=client or OfflineClient(),
            experiment_prefix=f"selfheal-{choice.label.replace(':', '-')}",
            metadata={"reasoner": choice.label, "measures_a_model": choice.measures_a_model},
            num_repetitions=runs,
            max_concurrency=choice.concurrency,
            disable_evaluator_tracing=True,
        )
        done.wait()
    if client is not None:
        client.flush()
    return Results(
        reasoner=choice.label,
        measures_a_model=choice.measures_a_model,
        cases=tuple(result_of(case, replays.of(case, runs)) for case in sorted(cases, key=lambda case: case.id)),
        seconds=round(time.perf_counter() - began, 3),
    )


def _uploaded(client: EvalsClient, cases: Sequence[Case], name: str) -> list[Example]:
    """The examples of these cases. Raises NotTheSame."""
    dataset_id = next((found.id for found in client.list_datasets(dataset_name=name)), None)
    if dataset_id is None:
        raise NotTheSame(f"there is no dataset {name!r}: `selfheal evals langsmith upload` makes it")
    there = {example.id: example for example in client.list_examples(dataset_id=dataset_id)}
    found: list[Example] = []
    for case in cases:
        example = there.get(uuid5(dataset_id, case.id))
        if example is None or _said(example) != _digest(case):
            said = "lacks" if example is None else "has other content of"
            raise NotTheSame(f"dataset {name!r} {said} {case.id}: `selfheal evals langsmith upload` mends it")
        found.append(example)
    return found


def _local(cases: Sequence[Case]) -> list[Example]:
    """Examples of no dataset, and of no server."""
    dataset_id = uuid5(NAMESPACE_URL, DATASET)
    now = datetime.now(UTC)
    made = ((case, example_of(case)) for case in cases)
    return [
        Example(
            id=uuid5(dataset_id, case.id),
            dataset_id=dataset_id,
            inputs=example["inputs"],
            outputs=example["outputs"],
            metadata=example["metadata"],
            created_at=now,
            modified_at=now,
        )
        for case, example in made
    ]


@dataclass
class _Replays:
    """What evaluators judge is kept here by the run's id: what a run tells LangSmith is too little to be scored."""

    cases: Mapping[str, Case]
    choice: Choice
    loop: asyncio.AbstractEventLoop
    results: dict[str, list[RunResult]] = field(default_factory=dict)
    _asked: Counter[str] = field(default_factory=Counter)
    _made: dict[UUID, CaseRun] = field(default_factory=dict)
    _reasoners: list[tuple[Reasoner, MemoryLedger]] = field(default_factory=list)

    def target(self) -> Any:
        def self_heal(inputs: dict[str, Any]) -> dict[str, Any]:
            run = asyncio.run_coroutine_threadsafe(self._replay(self.cases[inputs["case"]]), self.loop).result()
            current = get_current_run_tree()
            if current is None:
                raise Unscored("langsmith.evaluate did not trace its target")
            self._made[current.id] = run
            return _told(run)

        return self_heal

    def evaluator(self) -> Any:
        def scorers(run: Any, example: Any) -> dict[str, Any]:
            case = self.cases[example.inputs["case"]]
            results = self.results.setdefault(case.id, [])
            judged = score(case, self._made.pop(run.id))
            results.append(judged)
            return {"results": list(_feedback(judged))}

        return scorers

    def of(self, case: Case, runs: int) -> list[RunResult]:
        """The case's runs, numbered as they ended. Raises Unscored where one is missing."""
        found = self.results.get(case.id, [])
        if len(found) != runs:
            raise Unscored(f"{case.id}: {len(found)} of {runs} runs were scored; the log says what broke")
        return [run.model_copy(update={"number": number}) for number, run in enumerate(found, 1)]

    async def _replay(self, case: Case) -> CaseRun:
        """Each run of a case has the next reasoner and ledger: all runs of a case are one incident to a ledger."""
        number = self._asked[case.id]
        self._asked[case.id] += 1
        while len(self._reasoners) <= number:
            ledger = MemoryLedger()
            self._reasoners.append((reasoners.make(self.choice, ledger), ledger))
        reasoner, ledger = self._reasoners[number]
        return await run_case(case, reasoner, ledger, settings=reasoners.heal_settings(self.choice))


@contextmanager
def _running(cases: Sequence[Case], choice: Choice) -> Iterator[_Replays]:
    """All replays share an event loop in a thread of its own, as a model's client must; LangSmith's threads wait."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="replays", daemon=True)
    thread.start()
    try:
        yield _Replays({case.id: case for case in cases}, choice, loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        if not thread.is_alive():
            loop.close()


def _told(run: CaseRun) -> dict[str, Any]:
    """What is seen of a run in LangSmith, redacted."""
    diagnosis = run.diagnosis
    told: dict[str, Any] = {
        "suspected_cause": diagnosis.suspected_cause if diagnosis else None,
        "confidence": diagnosis.confidence if diagnosis else None,
        "summary": diagnosis.summary if diagnosis else "",
        "cited": list(diagnosis.evidence_ids) if diagnosis else [],
        "actions": [step.action for step in run.plan.steps] if run.plan else [],
        "path": list(run.path),
        "ended_before": run.ended_before,
        "not_recorded": list(run.not_recorded),
        "model_calls": run.spent.calls,
        "tokens": run.spent.tokens,
        "error": run.error,
    }
    redacted: dict[str, Any] = redact_tree(told)
    return redacted


def _feedback(judged: RunResult) -> Iterator[dict[str, Any]]:
    """One piece a scorer that applies, and whether the run passed."""
    why = "; ".join(judged.why_failed)
    yield {"key": "passed", "score": float(judged.passed), "comment": redact_tree(why)}
    for name, given in judged.scores.items():
        if given.value is not None:
            yield {"key": name, "score": given.value, "comment": redact_tree(given.detail)}

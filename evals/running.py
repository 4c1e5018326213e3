"""Many cases under one reasoner: on all cores where nothing is waited for, many at a time where a model is.

What comes out is the same whatever the order things end in.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context

from agents.reasoning.ledger import MemoryLedger
from evals import reasoners
from evals.case import Case
from evals.reasoners import Choice
from evals.results import CaseResult, Results, RunResult
from evals.scorers import score
from evals.split import split_of
from evals.target import all_kinds, run_case
from graph.kind import ResourceKind
from graph.records import IssueType
from graph.rules.classify import issue_type_of

Told = Callable[[CaseResult], None]
"""Is told of each case as it is done."""
IN_ONE_GO = 4
"""Cases given to a process at a time: few, as some take longer than others."""
WORTH_PROCESSES = 16
"""Fewer replays than this are done sooner than processes are started."""


def evaluate(
    cases: Sequence[Case],
    choice: Choice,
    runs: int = 1,
    told: Told | None = None,
    pool: Executor | None = None,
) -> Results:
    """Every case `runs` times. `pool` is `processes(…)`; without one all is done here. A model is asked from here
    in any case. Raises InvalidCase for a kind that nobody declares."""
    began = time.perf_counter()
    if choice.asks_a_model:
        done = asyncio.run(_with_model(cases, choice, runs, told))
    elif pool is None:
        done = [_told(result, told) for result in asyncio.run(_here(cases, choice, runs))]
    else:
        done = _spread(cases, choice, runs, told, pool)
    return Results(
        reasoner=choice.label,
        measures_a_model=choice.measures_a_model,
        cases=tuple(sorted(done, key=lambda case: case.id)),
        seconds=round(time.perf_counter() - began, 3),
    )


@contextmanager
def processes(replays: int, cores: int | None = None) -> Iterator[Executor | None]:
    """Processes for that many replays, or None where they would not be worth it. To be begun before any thread is."""
    cores = cores or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2 or replays < WORTH_PROCESSES:
        yield None
        return
    # a fork has all that is imported by now, which takes longer than all the replays
    how = "fork" if sys.platform == "linux" else "spawn"
    gc.freeze()
    pool = ProcessPoolExecutor(cores, mp_context=get_context(how))
    try:
        for started in [pool.submit(os.getpid) for _ in range(cores)]:
            started.result()
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def result_of(case: Case, runs: Sequence[RunResult]) -> CaseResult:
    """The case with its runs."""
    expected = case.expected
    return CaseResult(
        id=case.id,
        kind=case.file.kind,
        issue_type=issue_type(case),
        accepted_causes=expected.accepted_causes,
        ending=expected.ending,
        mechanism=expected.mechanism,
        split=split_of(case),
        difficulty=case.file.difficulty,
        traits=expected.traits,
        runs=tuple(runs),
    )


def issue_type(case: Case) -> IssueType:
    """Of its best accepted cause; for `no_fault` and `unknown`, what the alert says."""
    kind: ResourceKind | None = all_kinds().get(case.file.kind)
    cause = kind.cause(case.expected.accepted_causes[0]) if kind else None
    return cause.issue_type if cause else issue_type_of(case.alerts.alerts[-1])


def _told(result: CaseResult, told: Told | None) -> CaseResult:
    if told is not None:
        told(result)
    return result


# -- without a model ---------------------------------------------------------------------------------------


def _spread(cases: Sequence[Case], choice: Choice, runs: int, told: Told | None, pool: Executor) -> list[CaseResult]:
    chunks = [cases[at : at + IN_ONE_GO] for at in range(0, len(cases), IN_ONE_GO)]
    work = [pool.submit(_in_process, chunk, choice, runs) for chunk in chunks]
    return [_told(result, told) for future in as_completed(work) for result in future.result()]


def _in_process(cases: Sequence[Case], choice: Choice, runs: int) -> list[CaseResult]:
    return asyncio.run(_here(cases, choice, runs))


async def _here(cases: Sequence[Case], choice: Choice, runs: int) -> list[CaseResult]:
    return [result_of(case, [await _run(case, choice, number) for number in range(1, runs + 1)]) for case in cases]


async def _run(case: Case, choice: Choice, number: int) -> RunResult:
    ledger = MemoryLedger()
    reasoner = reasoners.make(choice, ledger)
    return score(case, await run_case(case, reasoner, ledger, settings=reasoners.heal_settings(choice)), number)


# -- with a model ------------------------------------------------------------------------------------------


async def _with_model(cases: Sequence[Case], choice: Choice, runs: int, told: Told | None) -> list[CaseResult]:
    """Many at a time over one client, which finds out once how the server wants to be asked. Each run has a ledger of
    its own, as all runs of a case are one incident to it."""
    places = asyncio.Semaphore(choice.concurrency)
    ledgers = [MemoryLedger() for _ in range(runs)]
    asked = [partial(reasoners.make, ledger=ledger) for ledger in ledgers]
    shared = None if choice.scripted else [make(choice) for make in asked]

    async def run(case: Case, number: int) -> RunResult:
        async with places:
            reasoner = shared[number] if shared else asked[number](choice.of(case))
            made = await run_case(case, reasoner, ledgers[number], settings=reasoners.heal_settings(choice))
            return score(case, made, number + 1)

    async def all_runs(case: Case) -> CaseResult:
        return _told(result_of(case, await asyncio.gather(*(run(case, number) for number in range(runs)))), told)

    return list(await asyncio.gather(*(all_runs(case) for case in cases)))

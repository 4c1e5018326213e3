"""Whether the diagnosis rests on the evidence that tells, and on little else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from evals.results import Score
from evals.scorers.judged import Judged
from graph.facts import parse_key
from graph.records import Evidence


def carries(item: Evidence, required: str) -> bool:
    """Whether it has a fact of that name (`unit.result`) whose labels include these (`unit.result{unit="web"}`)."""
    name, labels = parse_key(required)
    return any(
        name == other and all(has.get(key) == value for key, value in labels.items())
        for other, has in map(parse_key, item.facts)
    )


def required_ids(evidence: Iterable[Evidence], required: Iterable[str]) -> frozenset[str]:
    """The evidence that carries at least one required fact."""
    wanted = tuple(required)
    return frozenset(item.id for item in evidence if any(carries(item, key) for key in wanted))


def recall(judged: Judged) -> Score:
    """Of the required facts, the share that is carried by some cited evidence."""
    required = judged.case.expected.required_facts
    if not required:
        return Score(value=None, detail="no fact is required")
    cited = [item for item in judged.run.evidence if item.id in judged.cited]
    missing = [key for key in required if not any(carries(item, key) for item in cited)]
    if not missing:
        return Score(value=1.0, detail=f"all {len(required)} required facts are cited")
    return Score(value=1 - len(missing) / len(required), detail=f"not cited: {'; '.join(_where(missing, judged))}")


def precision(judged: Judged) -> Score:
    """Of the cited evidence, the share that carries a required fact."""
    required = judged.case.expected.required_facts
    if not required:
        return Score(value=None, detail="no fact is required")
    if not judged.cited:
        return Score(value=0.0, detail="nothing is cited")
    telling = required_ids(judged.run.evidence, required)
    beside = [cited for cited in judged.cited if cited not in telling]
    share = 1 - len(beside) / len(judged.cited)
    return Score(value=share, detail=f"cited beside what tells: {', '.join(beside) or 'nothing'}")


def _where(missing: Iterable[str], judged: Judged) -> Iterator[str]:
    for key in missing:
        seen = [item.id for item in judged.run.evidence if carries(item, key)]
        yield f"{key} ({', '.join(seen)})" if seen else f"{key} (never seen)"

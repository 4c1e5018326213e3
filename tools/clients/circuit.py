"""Circuit breakers, one a target: what failed again and again is not asked by everybody, again and again.

Of this process alone, and only about time: a stale entry costs a cool-down at most. Who comes during the trial waits
for its end, and not everybody may be turned away, which is why no library does:

- What acts (a precondition, a baseline, an action, a probe) always asks: "not asked" must never be taken for "down".
- Evidence is turned away only for as long as what was seen last is as good as a fresh look, a verification hardly
  longer, as its time may be short: the cool-down grows for what is nobody's heal.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Literal, TypeVar

from graph.doing import Purpose, doing
from graph.errors import TemporaryError
from tools.redaction import condense

T = TypeVar("T")

TargetKind = Literal["ssh", "prometheus", "alertmanager", "provider", "database"]
KINDS: tuple[TargetKind, ...] = ("ssh", "prometheus", "alertmanager", "provider", "database")
Verdict = Literal["failed", "answered", "unknown"]
"""What an error says of the target: it failed; it answered, if only with a refusal; nothing, the error is ours."""

FAILURES = 5
COOL_DOWNS = (5.0, 10.0, 20.0, 60.0)
LONGEST: Mapping[Purpose, float] = {"evidence": 5.0, "verification": 10.0}
"""Seconds after the last failure for which these may be turned away."""
_ACTS = frozenset({"precondition", "baseline", "action", "probe"})
_SHOWN_CHARS = 160


class NotAsked(TemporaryError):
    """The target has failed too often to be asked now. `last` is how it failed last."""

    def __init__(self, message: str, last: Exception) -> None:
        super().__init__(message)
        self.last = last


@dataclass(frozen=True)
class OpenCircuit:
    """A target that is not asked now, for people to see."""

    kind: TargetKind
    target: str
    failures: int
    last: str
    again_at: datetime

    def told(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self) | {"again_at": self.again_at.isoformat(timespec="seconds")}


@dataclass
class _Circuit:
    failures: int
    last: Exception
    failed_at: float
    again_at: float = 0.0
    grown: int = -1
    trial: asyncio.Event | None = None

    @property
    def open(self) -> bool:
        return self.failures >= FAILURES

    def due_at(self) -> float:
        """When whoever asks now may ask."""
        what_for = doing()
        longest = LONGEST.get(what_for.purpose, inf) if what_for is not None else inf
        return min(self.again_at, self.failed_at + longest)


class Circuits:
    """The circuits of one process. Belongs to one event loop. `now` is the wall clock, for words only."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._monotonic = monotonic
        self._now = now
        self._circuits: dict[tuple[TargetKind, str], _Circuit] = {}

    async def ask(
        self, kind: TargetKind, target: str, call: Callable[[], Awaitable[T]], verdict: Callable[[Exception], Verdict]
    ) -> T:
        """Make the call, where the target may be asked; what it raises is counted by `verdict`. Raises NotAsked."""
        trial = await self._admitted(kind, target)
        try:
            answer = await call()
        except Exception as error:
            if (said := verdict(error)) == "failed":
                self.failed(kind, target, error)
            elif said == "answered":
                self.answered(kind, target)
            raise
        else:
            self.answered(kind, target)
            return answer
        finally:
            self._over(kind, target, trial)

    def check(self, kind: TargetKind, target: str) -> None:
        """Raises NotAsked. For clients that share their attempts, and then tell `failed` or `answered` themselves."""
        circuit = self._circuits.get((kind, target))
        if circuit is not None and circuit.open and not _acts() and self._monotonic() < circuit.due_at():
            raise self._refusal(kind, target, circuit)

    def failed(self, kind: TargetKind, target: str, error: Exception) -> None:
        """It could not be reached, did not answer, broke off, or was too busy. A trial that fails waits longer."""
        now = self._monotonic()
        circuit = self._circuits.setdefault((kind, target), _Circuit(0, error, now))
        was_open, trial_failed = circuit.open, now >= circuit.again_at
        circuit.failures, circuit.last, circuit.failed_at = circuit.failures + 1, error, now
        if circuit.open and (not was_open or trial_failed):
            circuit.grown = min(circuit.grown + 1, len(COOL_DOWNS) - 1)
            circuit.again_at = now + COOL_DOWNS[circuit.grown]

    def answered(self, kind: TargetKind, target: str) -> None:
        """It is there."""
        self._circuits.pop((kind, target), None)

    def may_be_back(self, kind: TargetKind, target: str) -> None:
        """A sign of life that is no answer yet: whoever comes next may ask."""
        if (circuit := self._circuits.get((kind, target))) is not None:
            circuit.again_at = self._monotonic()

    # -- for people ------------------------------------------------------------------------------------

    def open(self) -> list[OpenCircuit]:
        """The targets that failed too often and have not answered since."""
        return [
            OpenCircuit(kind, target, circuit.failures, _words(circuit.last), self._wall(circuit.again_at))
            for (kind, target), circuit in sorted(self._circuits.items())
            if circuit.open
        ]

    def counts(self) -> Mapping[str, int]:
        """How many are open of each kind of target, none being told as well."""
        found = Counter(item.kind for item in self.open())
        return {kind: found[kind] for kind in KINDS}

    # -- trials ----------------------------------------------------------------------------------------

    async def _admitted(self, kind: TargetKind, target: str) -> asyncio.Event | None:
        """Whether this call may be made: then its trial, where it is one. Raises NotAsked."""
        while True:
            circuit = self._circuits.get((kind, target))
            if circuit is None or not circuit.open or _acts():
                return None
            if circuit.trial is not None:  # bounded by the call that is the trial
                await circuit.trial.wait()
                continue
            self.check(kind, target)
            circuit.trial = asyncio.Event()
            return circuit.trial

    def _over(self, kind: TargetKind, target: str, trial: asyncio.Event | None) -> None:
        if trial is None:
            return
        trial.set()
        circuit = self._circuits.get((kind, target))
        if circuit is not None and circuit.trial is trial:
            circuit.trial = None

    def _refusal(self, kind: TargetKind, target: str, circuit: _Circuit) -> NotAsked:
        again = self._wall(circuit.due_at())
        return NotAsked(
            f"not asked: {kind} {target} failed {circuit.failures} times in a row, last: {_words(circuit.last)}; "
            f"tried again at {again:%H:%M:%S}",
            circuit.last,
        )

    def _wall(self, at: float) -> datetime:
        return self._now() + timedelta(seconds=max(0.0, at - self._monotonic()))


def _acts() -> bool:
    what_for = doing()
    return what_for is not None and what_for.purpose in _ACTS


def _words(error: Exception) -> str:
    return " ".join(condense(str(error) or type(error).__name__, _SHOWN_CHARS).split())

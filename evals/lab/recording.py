"""Recording a fault's incident as a case: looked at whole while the trouble is there, then healed by approval.

The healer mends within seconds, so under a recorder nothing is done unasked: the plan waits, everything a reasoner
might ask is asked of the live world, and only then is it approved.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evals.battery import ask
from evals.case import CameOf, Case, Confirmed, Recorded, write_case
from evals.lab.expectations import FAULTS, Expectation
from evals.lab.healer import Healer
from evals.lab.stage import Fault, LabError
from evals.lab.surroundings import Surroundings
from evals.lab.verdict import Verdict
from evals.record import NotRecordable, record_case
from server.client import ServerRefused
from server.settings import load
from tools.redaction import condense

LOOKS_EVERY = 0.3
MOST_RAW_CHARS = 600
MOST_MINUTES = {"logs": 60, "prometheus_range": 60}
"""As long as reasoners look back where they do not say."""
_ENDED = ("closed", "escalated", "declined")


def asked_policies(allowed: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same policies, with a human asked before anything is done."""
    return [{**policy, "auto_heal": False} for policy in allowed]


def expectation_of(fault: Fault) -> Expectation:
    """What is right of it: its own where it is a situation, else by its name. Raises LabError where nobody has said."""
    found = fault.expectation or FAULTS.get(fault.name)
    if found is None:
        raise LabError(f"{fault.name}: nothing is expected of it: say it in evals/lab/expectations.py")
    return found


def case_id(fault: Fault, around: Surroundings) -> str:
    """Neutral, and the same at every recording."""
    told = f"{expectation_of(fault).mechanism}/{fault.name}/{around.name}/self-heal"
    return f"i-{hashlib.sha256(told.encode()).hexdigest()[:6]}"


def worth_keeping(answers: Sequence[Recorded]) -> tuple[Recorded, ...]:
    """A case is to stay small. The lab's hosts are minutes old and all found by their labels: longer windows say the
    same again, and so do series that are selected by their exporter's address."""
    return tuple(each for each in answers if _says_more(each))


def _says_more(answer: Recorded) -> bool:
    minutes, most = int(answer.params.get("minutes", 0)), MOST_MINUTES.get(answer.tool, 0)
    if answer.tool.startswith("prometheus_") and "instance=" in str(answer.params.get("query")):
        return answer.status == "observed" and minutes == most
    return minutes <= most


def slimmed(case: Case) -> Case:
    """Only of the attempt that it is about: the world after a repair is another one, and is not replayed. Of whole
    answers, which only people read, the beginning and the end."""
    mine = tuple(
        call.model_copy(update={"raw": condense(call.raw, MOST_RAW_CHARS)})
        for call in worth_keeping(case.calls)
        if call.attempt == case.context.attempt
    )
    made = replace(case, calls=mine)
    write_case(made)
    return made


class Recorder:
    """Writes cases below `folder`. One incident at a time: `attend` it to its end, then `keep` it."""

    def __init__(self, folder: Path, around: Surroundings, healer: Healer, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.around = around
        self._healer = healer
        self._more: tuple[Recorded, ...] = ()
        # the providers' clients take their credentials from there, as the server's do
        os.environ.update(environment)

    def attend(self, number: int, timeout: float) -> dict[str, Any]:
        """The incident's record, ended: with its world looked at once there is a diagnosis. Raises LabError."""
        self._more = ()
        looked, deadline = False, time.monotonic() + timeout
        with self._healer.client() as client:
            while time.monotonic() < deadline:
                record = client.incident(str(number))
                if not looked and (record.get("diagnosis") or record["phase"] in _ENDED):
                    self._more = worth_keeping(asyncio.run(ask(load(self._healer.config), record)))
                    looked, deadline = True, time.monotonic() + timeout
                    continue
                if record["phase"] in _ENDED and record.get("outcome"):
                    return record
                if record["phase"] == "waiting_approval":
                    self._approve(record)
                time.sleep(LOOKS_EVERY)
        raise LabError(f"#{number} has not ended within {timeout:g} s: it is {record['phase']}")

    def keep(self, fault: Fault, record: Mapping[str, Any], verdict: Verdict) -> Case:
        """The case, as it was written. Raises LabError."""
        expectation = expectation_of(fault)
        well = "the world itself is not well" not in verdict.problems
        came_of = CameOf(
            suspected_cause=verdict.cause,
            author=(record.get("diagnosis") or {}).get("author", ""),
            actions=verdict.actions,
            outcome=verdict.outcome,
            reason=(record.get("outcome") or {}).get("reason") or "",
            confirmed=Confirmed(by="world", cause=expectation.causes[0], comment=fault.says) if well else Confirmed(),
        )
        try:
            with self._healer.client() as client:
                case = record_case(
                    client,
                    str(record["number"]),
                    load(self._healer.config),
                    self.folder / case_id(fault, self.around),
                    expected=expectation.expected(came_of),
                    more=self._more,
                    source="lab",
                    difficulty=expectation.difficulty,
                )
            return slimmed(case)
        except (NotRecordable, ServerRefused, ValueError) as error:
            raise LabError(f"{fault.name} could not be recorded: {error}") from error

    def _approve(self, record: Mapping[str, Any]) -> None:
        waiting = next((each for each in reversed(record["approvals"]) if each["state"] == "waiting"), None)
        if waiting is None:
            return
        decision = {"decision": "approve", "plan_fingerprint": waiting["asked_fingerprint"], "by": "lab"}
        with self._healer.client() as client:
            client.decide(str(record["number"]), decision)

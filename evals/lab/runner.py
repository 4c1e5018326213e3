"""Faults, one after the other, on a stage of their own with a real server on it; and what came of each.

Nothing is taken from our own record but what was diagnosed and done: whether the world is well again is asked of it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from agents import known_kinds
from evals.lab.audit import Offence, unaccounted
from evals.lab.healer import QUICK, Healer
from evals.lab.hosts import LabStage
from evals.lab.probing import ask, free_port, wait_until
from evals.lab.recording import Recorder, asked_policies
from evals.lab.stage import Fault, LabError, Role, StageHost, StageOptions
from evals.lab.surroundings import current
from evals.lab.verdict import Verdict, alert_names, failed, judge, speaks_of, stray
from graph.records import IssueType
from server.client import ServerUnreachable
from tools.actions import CATALOG

ALERT_WAIT = 60.0
HEAL_WAIT = 260.0
QUIET_WAIT = 60.0
WELL_WAIT = 15.0
SECOND_ALERT_WAIT = 8.0
RECORDED = {"verify_timeout_seconds": 14, "soak_seconds": 1}
"""What is recorded is the trouble, not how long its end is waited for."""
ENDED = ("closed", "escalated", "declined")
ACTIONS_PER_HOUR = 1000
"""All faults strike the same few hosts within the hour, which is no reason to hold."""


def all_allowed() -> list[dict[str, Any]]:
    """Policies under which everything that is declared may run unasked: in the lab nobody is there to ask."""
    destructive = {action.spec.name for action in CATALOG if action.spec.risk == "destructive"}
    return [
        {
            "resource_kind": kind.name,
            "issue_type": issue_type,
            "auto_heal": True,
            "max_retries": 3,
            "allow_destructive": sorted(destructive & set(kind.actions)),
        }
        for kind in known_kinds().values()
        for issue_type in get_args(IssueType)
    ]


@contextmanager
def lab_up(
    roles: tuple[Role, ...], folder: Path, say: Callable[[str], None], record_to: Path | None = None
) -> Iterator[LabRunner]:
    """A stage with these hosts and a server that may do all that is declared; taken down whatever happens.

    With `record_to` it asks first, and each incident is recorded as a case below that folder.
    """
    healer = Healer(folder / "healer", free_port())
    options = StageOptions(folder / "stage", healer.webhook_url, healer.webhook_token_file, roles=roles, say=say)
    stage = LabStage(options)
    stage.up()
    try:
        policies = all_allowed() if record_to is None else asked_policies(all_allowed())
        quick = QUICK if record_to is None else RECORDED
        healer.configure(
            stage,
            policies,
            max_actions_per_hour=ACTIONS_PER_HOUR,
            look_again_seconds=3,
            verify_timeout_seconds=float(quick["verify_timeout_seconds"]),
            soak_seconds=float(quick["soak_seconds"]),
        )
        stage.enter()
        healer.start()
        recorder = Recorder(record_to, current(), healer, stage.environment()) if record_to is not None else None
        yield LabRunner(stage, healer, recorder)
    finally:
        healer.stop()
        stage.leave()
        stage.down()


class LabRunner:
    """Runs faults on a stage that is up."""

    def __init__(self, stage: LabStage, healer: Healer, recorder: Recorder | None = None) -> None:
        self.stage = stage
        self.healer = healer
        self.recorder = recorder

    def run(self, fault: Fault) -> Verdict:
        """One fault from a quiet world to a quiet world. Never raises for what goes wrong with it."""
        host = next(host for host in self.stage.hosts if host.role == fault.on)
        try:
            self.quiet()
            return self._run(fault, host)
        except (LabError, ServerUnreachable, OSError) as error:
            return failed(fault, f"{type(error).__name__}: {str(error)[-600:]}")
        finally:
            self._restore(fault, host)

    def audit(self) -> list[Offence]:
        """What came to the hosts and is on no record."""
        logged = {host.address: self.stage.commands(host) for host in self.stage.hosts}
        with self.healer.client() as client:
            records = [client.incident(str(item["number"])) for item in self.incidents()]
        return unaccounted(logged, records, self.stage.sent_by_faults)

    def incidents(self) -> list[dict[str, Any]]:
        """All of them, newest first."""
        found: list[dict[str, Any]] = []
        with self.healer.client() as client:
            cursor: int | None = None
            while True:
                page = client.incidents(limit=100, cursor=cursor)
                found += page["incidents"]
                cursor = page.get("next_cursor")
                if cursor is None:
                    return found

    def quiet(self, timeout: float = QUIET_WAIT) -> None:
        """Return when no alert fires and no incident is open. Raises LabError naming what is."""
        wait_until(self._unrest, timeout, "the lab is quiet", every=0.3)

    def _run(self, fault: Fault, host: StageHost) -> Verdict:
        wanted = f"{fault.kind}/{self._resource_id(fault, host)}"
        before = max((item["number"] for item in self.healer.incidents()), default=0)
        fault.inject(self.stage, host)
        injected_at = time.time()
        record = self._heal_of(fault, wanted, before)
        verdict = judge(fault, record, injected_at, self._well(fault, host))
        if self.recorder is not None:
            case = self.recorder.keep(fault, record, verdict)
            self.stage.options.say(f"recorded as {case.id}: {len(case.calls)} calls")
        return verdict

    def _heal_of(self, fault: Fault, resource: str, before: int) -> dict[str, Any]:
        """The fault's heal, ended. One that never had its alert and resolved by itself was about something else: on a
        busy machine a scrape may fail. Raises LabError where none comes."""
        while True:
            self._wait(resource, before, lambda record: True, ALERT_WAIT)
            record = self._with_alert(fault, self._ended(resource, before))
            if not stray(fault, record):
                return record
            named = ", ".join(sorted(alert_names(record)))
            self.stage.options.say(
                f"{fault.name}: #{record['number']} ({named}) was not about it, and resolved by itself"
            )
            before = record["number"]

    def _ended(self, resource: str, before: int) -> dict[str, Any]:
        if self.recorder is None:
            return self._wait(resource, before, _ended, HEAL_WAIT)
        first = self._wait(resource, before, lambda record: True, ALERT_WAIT)
        return self.recorder.attend(first["number"], HEAL_WAIT)

    def _with_alert(self, fault: Fault, record: dict[str, Any]) -> dict[str, Any]:
        """The record once an alert that speaks of the fault has come: an escalation may be quicker than the second."""
        deadline = time.monotonic() + SECOND_ALERT_WAIT
        with self.healer.client() as client:
            while not speaks_of(fault, record) and time.monotonic() < deadline:
                time.sleep(0.3)
                record = client.incident(str(record["number"]))
        return record

    def _well(self, fault: Fault, host: StageHost) -> bool | None:
        """Whether the world is well, asked around the product; None where the fault is one that stays."""
        if fault.expected_outcome == "escalated":
            return None
        deadline = time.monotonic() + WELL_WAIT
        while time.monotonic() < deadline:
            if fault.mended(self.stage, host) if fault.mended else self.stage.healthy(host):
                return True
            time.sleep(0.5)
        return False

    def _wait(
        self, resource: str, before: int, holds: Callable[[dict[str, Any]], bool], timeout: float
    ) -> dict[str, Any]:
        def right(record: dict[str, Any]) -> bool:
            return f"{record['resource_kind']}/{record['resource_id']}" == resource and holds(record)

        return self.healer.wait_incident(right, timeout, after=before)

    def _restore(self, fault: Fault, host: StageHost) -> None:
        """Put the world back, by force where the fault's own way does not do it."""
        try:
            fault.restore(self.stage, host)
            self.quiet()
        except (LabError, OSError) as error:
            self.stage.options.say(f"{fault.name}: {error}; its hosts are put back from outside")
            try:
                for each in self.stage.hosts:
                    self.stage.recover(each)
                self._close_all()
            except (LabError, OSError) as again:
                self.stage.options.say(f"{fault.name}: the lab could not be put back: {again}")

    def _close_all(self) -> None:
        with self.healer.client() as client:
            for item in self.incidents():
                if item["phase"] in ("escalated", "declined"):
                    client.ask(str(item["number"]), "close", {"by": "lab", "comment": "the fault is over"})

    def _resource_id(self, fault: Fault, host: StageHost) -> str:
        if fault.kind == "Instance":
            return host.resource_id
        declared = self.stage.resources()
        return str(next(item["id"] for item in declared if item.get("host") == host.resource_id))

    def _unrest(self) -> str | None:
        status, answer = ask(f"{self.stage.prometheus_url}/api/v1/alerts", timeout=3)
        if status != 200:
            return f"Prometheus answers {status}"
        active = json.loads(answer)["data"]["alerts"]
        if active:
            named = {f"{item['labels']['alertname']} on {item['labels'].get('resource_id')}" for item in active}
            return f"alerts are active: {', '.join(sorted(named))}"
        going_on = [f"#{item['number']} is {item['phase']}" for item in self.incidents() if item["phase"] != "closed"]
        return ", ".join(going_on) or None


def _ended(record: dict[str, Any]) -> bool:
    return bool(record["outcome"]) and record["phase"] in ENDED


def offences_shown(offences: Sequence[Offence]) -> str:
    """For people: the first few."""
    lines = [f"{offence.host}: {offence.why}: {offence.command[:400]}" for offence in offences[:3]]
    return "\n".join([f"{len(offences)} commands are not accounted for:", *lines]) if offences else "all accounted for"

"""What runs the services of a host, behind one port: its commands, and what its answers mean.

Evidence, preconditions, baselines and probes all read a unit's state; with one parser per manager they cannot
disagree about it. Managers only write commands and read answers: the I/O is the caller's (see `status.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

UnitStateName = Literal["running", "stopped", "failed", "starting", "stopping", "unknown", "not_found"]


class UnknownUnit(ValueError):
    """The unit is not one we may name: no valid name, or not among the resource's declared services."""


@dataclass(frozen=True)
class UnitState:
    """One unit as just seen. None where the manager does not say."""

    unit: str
    """As it was asked for."""
    state: UnitStateName
    substate: str = ""
    """The manager's own word: systemd's SubState, supervisord's STATE."""
    result: str | None = None
    """systemd's Result (`success`, `exit-code`, `signal`, `oom-kill`, `start-limit-hit` …), or why its file does not
    load (`bad-setting`)."""
    exit_code: int | None = None
    signal: str | None = None
    """What ended the last main process, without `SIG`: `KILL`."""
    restarts: int | None = None
    main_pid: int | None = None
    changed_seconds_ago: float | None = None
    enabled: bool | None = None
    invocation_id: str | None = None
    """Names this very run of the unit: systemd's InvocationID; pid and start time elsewhere. None where not running."""
    started: str | None = None
    """When this run began, in the manager's own clock; only good for comparing."""
    detail: str = ""
    """What else the manager says, in words."""
    raw: Mapping[str, str] = field(default_factory=dict)

    @property
    def start_limit_hit(self) -> bool:
        """Whether the manager has given up restarting it.

        systemd 252 keeps the Result of the last run (`exit-code`) then: a unit that was restarted by itself and
        still is failed has been given up.
        """
        return self.result == "start-limit-hit" or (self.state == "failed" and bool(self.restarts))

    @property
    def run_id(self) -> str | None:
        """What differs between two runs of the unit, or None where it never ran."""
        return self.invocation_id or self.started

    def __str__(self) -> str:
        words = self.substate or self.state
        return f"{self.unit} is {self.state}" + (f" ({words})" if words != self.state else "")


class ServiceManager(Protocol):
    """Commands are complete shell lines, quoted, with `sudo -n` where the resource wants it.

    All take units as declared in the resource's services (or their normalised names) and raise UnknownUnit for others.
    """

    name: str

    def normalise(self, unit: str) -> str:
        """The manager's own name of a unit: `nginx` → `nginx.service`. Raises UnknownUnit for an invalid name."""

    def status_command(self, units: Sequence[str]) -> str:
        """One command that tells the state of all these units. Changes nothing. Its exit status means nothing."""

    def parse_status(self, output: str, units: Sequence[str]) -> dict[str, UnitState]:
        """The answer to `status_command(units)`, by unit as asked for. A unit not told of is `unknown`."""

    def restart_command(self, unit: str) -> str: ...

    def start_command(self, unit: str) -> str: ...

    def stop_command(self, unit: str) -> str:
        """Succeeds where it is stopped already."""

    def disable_command(self, unit: str) -> str:
        """Stop it, and keep it from starting with the host. Fails where that is not to be had."""

    def logs_command(self, unit: str, lines: int) -> str:
        """The unit's last lines, oldest first. Changes nothing."""

    def logs_since_command(self, unit: str, minutes: int, lines: int) -> str:
        """The unit's lines of the last `minutes`, oldest first, at most the last `lines`. Changes nothing. Where the
        manager keeps no times of a program's own lines, its last ones."""

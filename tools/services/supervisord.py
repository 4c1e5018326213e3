"""supervisord as a service manager, by `supervisorctl`: for hosts without systemd.

Its status tells neither exit code nor signal, so the end of its own log is read along; and its uptime is rounded, so
a run is named by pid and the process's start time.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from graph.records import Resource
from tools.services.manager import UnitState, UnitStateName, UnknownUnit
from tools.services.units import Guard, sudo

_UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,250}")
_STATUS = re.compile(r"^(\S+)\s+([A-Z]+)(?:\s+(.*))?$")
_NO_SUCH = re.compile(r"^(\S+): ERROR \(no such (?:process|group)")
_PID = re.compile(r"pid (\d+), uptime (?:(\d+) days?, )?(\d+):(\d\d):(\d\d)")
_LOG = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ \w+ (exited|stopped|gave up|spawned): '?([^\s'(]+)'? ?(.*)$")
_EXIT = re.compile(r"\(exit status (\d+)")
_SIGNAL = re.compile(r"\(terminated by SIG([A-Z0-9]+)")
# EXITED is a process that ended by itself; one that was told to end is STOPPED.
_STATES: Mapping[str, UnitStateName] = {
    "RUNNING": "running",
    "STARTING": "starting",
    "BACKOFF": "starting",
    "STOPPING": "stopping",
    "STOPPED": "stopped",
    "EXITED": "failed",
    "FATAL": "failed",
}
_LOG_BYTES = 16 * 1024
_BYTES_A_LINE = 200
_MOST_LINES = 500
"""Of each stream: both together must fit into what a host's answer may hold."""


class Supervisord:
    """The programs of one resource, under supervisord."""

    name = "supervisord"

    def __init__(self, resource: Resource) -> None:
        access = resource.service_manager
        config = f" -c {shlex.quote(access.config)}" if access.config else ""
        self._guard = Guard(resource, self)
        # Its socket serves all or nothing, so reading needs the same rights as changing.
        self._ctl = f"{sudo(resource)}{shlex.quote(access.command or 'supervisorctl')}{config}"

    def normalise(self, unit: str) -> str:
        """A program's name, or `group:name`. Raises UnknownUnit for what cannot be one."""
        if not _UNIT.fullmatch(unit):
            raise UnknownUnit(f"{unit!r} is not a program name supervisord would take")
        return unit

    def status_command(self, units: Sequence[str]) -> str:
        """The time there, the status lines, `-- stat` with a line of /proc per pid, `-- log` with what ended when."""
        return (
            f"date '+%F %T'; told=$({self._ctl} status {self._guard.words(units)} 2>&1); printf '%s\\n' \"$told\"; "
            "echo '-- stat'; printf '%s\\n' \"$told\" | sed -n 's/.* pid \\([0-9]*\\),.*/\\1/p' | "
            'while read -r pid; do cat "/proc/$pid/stat"; done; '
            f"echo '-- log'; {self._ctl} maintail -{_LOG_BYTES} 2>&1 | "
            "grep -E ' (exited|stopped|gave up|spawned): '"
        )

    def parse_status(self, output: str, units: Sequence[str]) -> dict[str, UnitState]:
        """The answer to `status_command(units)`."""
        head, _, rest = output.partition("-- stat\n")
        stats, _, log = rest.partition("-- log\n")
        now, _, status = head.partition("\n")
        starts = {pid: start for pid, start in map(_pid_and_start, stats.splitlines()) if pid}
        told = {name: line for name, line in map(_named, status.splitlines()) if name}
        events = [event for event in map(_event, log.splitlines()) if event]
        return {
            unit: _state(unit, told[unit], starts, _last(events, unit), now) if unit in told else _untold(unit, status)
            for unit in units
        }

    def restart_command(self, unit: str) -> str:
        """Stop where running, then start."""
        return f"{self._ctl} restart {self._guard.word(unit)}"

    def start_command(self, unit: str) -> str:
        """Start; fails where it runs already."""
        return f"{self._ctl} start {self._guard.word(unit)}"

    def stop_command(self, unit: str) -> str:
        """Stop it; one that does not run is found out by its status, as stopping it fails."""
        word = self._guard.word(unit)
        return f"{{ {self._ctl} stop {word} || {self._ctl} status {word} | grep -Eq 'STOPPED|EXITED|FATAL'; }}"

    def disable_command(self, unit: str) -> str:
        """What starts is told by its configuration alone."""
        return f"{self.stop_command(unit)}; echo 'supervisord can not keep it from starting again'; exit 1"

    def logs_command(self, unit: str, lines: int) -> str:
        """The end of the program's stdout, of its stderr, and what supervisord says of it."""
        return f"{self._streams(unit, int(lines))}; {self._said_of(unit)} | tail -n {int(lines)}"

    def logs_since_command(self, unit: str, minutes: int, lines: int) -> str:
        """The end of the program's stdout and of its stderr, whenever written, and what supervisord said of it since:
        its stamps are of the host's own clock and zone, and so is what they are compared with."""
        count = min(int(lines), _MOST_LINES)
        since = f"$(date -d @$(($(date +%s) - {60 * int(minutes)})) '+%F %T')"
        return f"{self._streams(unit, count)}; {self._said_of(unit)} | awk -v since=\"{since}\" '$0 >= since'"

    def _streams(self, unit: str, lines: int) -> str:
        tail = f"{self._ctl} tail -{lines * _BYTES_A_LINE} {self._guard.word(unit)}"
        only_lines = f"grep -v 'ERROR (no log file)' | tail -n {lines}"
        return "; ".join(f"{tail} {stream} | {only_lines}" for stream in ("stdout", "stderr"))

    def _said_of(self, unit: str) -> str:
        process = shlex.quote(self.normalise(unit).rpartition(":")[2])
        return f"{self._ctl} maintail -{_LOG_BYTES} | grep -F -w -- {process}"


@dataclass(frozen=True)
class _Event:
    at: str
    what: str
    process: str
    detail: str


def _named(line: str) -> tuple[str, str]:
    match = _NO_SUCH.match(line) or _STATUS.match(line)
    return (match[1], line) if match else ("", line)


def _pid_and_start(line: str) -> tuple[str, str]:
    """Pid and start time (clock ticks since boot) of a line of /proc/PID/stat: see proc(5)."""
    pid, _, rest = line.partition(" (")
    fields = rest.rpartition(") ")[2].split()
    return (pid, fields[19]) if len(fields) > 19 else ("", "")


def _event(line: str) -> _Event | None:
    match = _LOG.match(line)
    return _Event(match[1], match[2], match[3], match[4]) if match else None


def _last(events: Sequence[_Event], unit: str) -> _Event | None:
    # The log names processes without their group.
    process = unit.rpartition(":")[2]
    endings = [event for event in events if event.process == process and event.what in ("exited", "stopped")]
    return endings[-1] if endings else None


def _untold(unit: str, status: str) -> UnitState:
    return UnitState(unit, "unknown", detail=status.strip()[:300])


def _state(unit: str, line: str, starts: Mapping[str, str], end: _Event | None, now: str) -> UnitState:
    if _NO_SUCH.match(line):
        return UnitState(unit, "not_found", detail="supervisord has no such program", raw={"line": line})
    match = _STATUS.match(line)
    word, said = (match[2], match[3] or "") if match else ("", line)
    state = _STATES.get(word, "unknown")
    if _PID.search(said):
        return _running(unit, state, word, said, starts)
    exit_code = _EXIT.search(end.detail) if end else None
    signal = _SIGNAL.search(end.detail) if end else None
    return UnitState(
        unit=unit,
        state=state,
        substate=word,
        exit_code=int(exit_code[1]) if exit_code else None,
        signal=signal[1] if signal else None,
        changed_seconds_ago=_seconds_between(end.at, now) if end else None,
        detail=f"{end.what} {end.detail}; {said}" if end else said,
        raw={"line": line},
    )


def _running(unit: str, state: UnitStateName, word: str, said: str, starts: Mapping[str, str]) -> UnitState:
    match = _PID.search(said)
    pid = match[1] if match else ""
    started = f"{pid}:{starts[pid]}" if pid in starts else None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[1:]) if match else (0, 0, 0, 0)
    return UnitState(
        unit=unit,
        state=state,
        substate=word,
        main_pid=int(pid) if pid else None,
        changed_seconds_ago=float(((days * 24 + hours) * 60 + minutes) * 60 + seconds) if match else None,
        invocation_id=started,
        started=started,
        detail=said,
        raw={"line": said},
    )


def _seconds_between(earlier: str, later: str) -> float | None:
    """Between two times of the host's own clock and zone."""
    try:
        seconds = (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
    except ValueError:
        return None
    return max(0.0, seconds)

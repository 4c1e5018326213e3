"""systemd as a service manager: `systemctl show` for reading, since its output is made for programs.

Properties and their values: systemctl(1), org.freedesktop.systemd1(5).
"""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Mapping, Sequence

from graph.records import Resource
from tools.services.manager import UnitState, UnitStateName, UnknownUnit
from tools.services.units import Guard, sudo

_UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9:_.@\\-]{0,250}")
_SUFFIXES = (".service", ".socket", ".timer", ".target", ".mount", ".path", ".slice", ".scope")
_PROPERTIES = (
    "Id,Names,LoadState,LoadError,ActiveState,SubState,Result,ExecMainCode,ExecMainStatus,MainPID,NRestarts,"
    "InvocationID,ExecMainStartTimestampMonotonic,ActiveEnterTimestampMonotonic,StateChangeTimestampMonotonic,"
    "UnitFileState"
)
_STATES: Mapping[str, UnitStateName] = {
    "active": "running",
    "reloading": "running",
    "inactive": "stopped",
    "failed": "failed",
    "activating": "starting",
    "deactivating": "stopping",
}
# waitid(2) codes as ExecMainCode gives them.
_EXITED, _KILLED, _DUMPED = "1", "2", "3"


class Systemd:
    """The units of one resource, under systemd."""

    name = "systemd"

    def __init__(self, resource: Resource) -> None:
        self._guard = Guard(resource, self)
        self._sudo = sudo(resource)

    def normalise(self, unit: str) -> str:
        """`nginx` → `nginx.service`. Raises UnknownUnit for what cannot be a unit's name."""
        if not _UNIT.fullmatch(unit):
            raise UnknownUnit(f"{unit!r} is not a unit name systemd would take")
        return unit if unit.endswith(_SUFFIXES) else f"{unit}.service"

    def status_command(self, units: Sequence[str]) -> str:
        """The uptime, then one block of properties per unit, in the order asked."""
        return f"cat /proc/uptime; systemctl show --no-pager -p {_PROPERTIES} -- {self._guard.words(units)}"

    def parse_status(self, output: str, units: Sequence[str]) -> dict[str, UnitState]:
        """The blocks of `status_command(units)`."""
        first, _, rest = output.partition("\n")
        uptime = _number(first.split(" ")[0])
        blocks = [_block(block) for block in re.split(r"\n\s*\n", rest.strip()) if "=" in block]
        states = {}
        for index, unit in enumerate(units):
            named = (b for b in blocks if self.normalise(unit) in b.get("Names", "").split())
            # An alias or a unit that is not loaded may go by another name: then the order tells.
            found = next(named, None) or (blocks[index] if len(blocks) == len(units) else None)
            states[unit] = _state(unit, found, uptime) if found else UnitState(unit, "unknown")
        return states

    def restart_command(self, unit: str) -> str:
        """Restart, also a unit that has hit its start limit."""
        return self._change("restart", unit)

    def start_command(self, unit: str) -> str:
        """Start, also a unit that has hit its start limit."""
        return self._change("start", unit)

    def stop_command(self, unit: str) -> str:
        """Stop it and wait until it has."""
        return f"{self._sudo}systemctl stop {self._guard.word(unit)}"

    def disable_command(self, unit: str) -> str:
        """Stop it and take it out of what starts with the host."""
        return f"{self._sudo}systemctl disable --now {self._guard.word(unit)}"

    def logs_command(self, unit: str, lines: int) -> str:
        """The unit's journal. Empty for a user who may not read it."""
        return f"journalctl --no-pager -q -o short-iso -n {int(lines)} -u {self._guard.word(unit)}"

    def logs_since_command(self, unit: str, minutes: int, lines: int) -> str:
        """The unit's journal, its times in UTC. Empty for a user who may not read it."""
        window = f"--utc --since=-{int(minutes)}min"
        return f"journalctl --no-pager -q -o short-iso {window} -n {int(lines)} -u {self._guard.word(unit)}"

    def _change(self, verb: str, unit: str) -> str:
        word = self._guard.word(unit)
        # Without reset-failed, a unit over its start limit refuses. Of a unit that has not failed it only complains.
        reset = f"{self._sudo}systemctl reset-failed {word} 2>/dev/null"
        return f"{reset}; {self._sudo}systemctl {shlex.quote(verb)} {word}"


def _block(text: str) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)


def _state(unit: str, raw: Mapping[str, str], uptime: float | None) -> UnitState:
    code, status = raw.get("ExecMainCode", ""), _number(raw.get("ExecMainStatus", ""))
    changed = _number(raw.get("StateChangeTimestampMonotonic", ""))
    return UnitState(
        unit=unit,
        state=_state_name(raw),
        substate=raw.get("SubState", ""),
        result=_load_failure(raw) or raw.get("Result") or None,
        exit_code=int(status) if code == _EXITED and status is not None else None,
        signal=_signal_name(status) if code in (_KILLED, _DUMPED) and status is not None else None,
        restarts=_whole(raw.get("NRestarts", "")),
        main_pid=_whole(raw.get("MainPID", "")) or None,
        changed_seconds_ago=max(0.0, uptime - changed / 1e6) if uptime is not None and changed else None,
        enabled=_enabled(raw.get("UnitFileState", "")),
        invocation_id=raw.get("InvocationID") or None,
        started=_stamp(raw.get("ExecMainStartTimestampMonotonic")) or _stamp(raw.get("ActiveEnterTimestampMonotonic")),
        detail=_detail(raw),
        raw=dict(raw),
    )


def _state_name(raw: Mapping[str, str]) -> UnitStateName:
    if raw.get("LoadState") == "not-found" and raw.get("ActiveState") != "active":
        return "not_found"
    # A unit whose file cannot be read is `inactive`; but nothing can start it, so it is no mere stop.
    if _load_failure(raw) and raw.get("ActiveState") == "inactive":
        return "failed"
    return _STATES.get(raw.get("ActiveState", ""), "unknown")


def _load_failure(raw: Mapping[str, str]) -> str | None:
    """`bad-setting` or `error` where the unit's file does not load. Its Result would still say `success`."""
    load = raw.get("LoadState", "")
    return load if load in ("bad-setting", "error") else None


def _detail(raw: Mapping[str, str]) -> str:
    load = raw.get("LoadState", "loaded")
    if load in ("loaded", ""):
        return ""
    why = raw.get("LoadError", "").strip()
    return f"its unit file is {load}" + (f": {why}" if why else "")


def _enabled(unit_file_state: str) -> bool | None:
    if not unit_file_state:
        return None
    return unit_file_state in ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated")


def _signal_name(number: float) -> str:
    try:
        return signal.Signals(int(number)).name.removeprefix("SIG")
    except ValueError:
        return str(int(number))


def _stamp(text: str | None) -> str | None:
    return text if text and text != "0" else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _whole(text: str) -> int | None:
    number = _number(text)
    return None if number is None else int(number)

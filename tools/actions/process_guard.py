"""Shell that makes sure of a process before it is touched: the same pid, start time and name, and none of ours.

A pid alone proves nothing, as the kernel gives it out again. It is checked on the host in the very command that acts.
"""

from __future__ import annotations

import shlex

from pydantic import Field

from tools.actions.action import Params
from tools.process_names import SAFE_NAME

GONE, OTHER, KEPT = 3, 4, 5
"""Exit statuses: the process has ended, the pid is another's now, it must not be touched."""

_KERNEL_THREAD = 0x200000
_KEPT_NAMES = "systemd|systemd-*|init|sshd|sshd-session|dbus-daemon|dbus-broker*|'(sd-pam)'"


class ProcessParams(Params):
    """One process, as it was seen: a pid that was given to another since does not match."""

    pid: int = Field(ge=2, le=4194304, description="process id")
    started: int = Field(ge=1, description="its start in clock ticks since the machine's boot (/proc/PID/stat, 22)")
    name: str = Field(
        pattern=rf"^[?{SAFE_NAME}]{{1,64}}$",
        description="its name (/proc/PID/comm), all but plain characters as `?`",
    )


def functions(params: ProcessParams) -> str:
    """Shell functions: `read_process` sets what /proc tells of the pid; `same` says whether it still is that very
    process, alive; `unit_of` tells the unit it is in; `ours` whether our own command came from it."""
    pid = int(params.pid)
    return (
        "set -f; LC_ALL=C; export LC_ALL; "
        f'read_process() {{ stat=$(cat /proc/{pid}/stat 2>/dev/null) && [ -n "$stat" ] || return 1; '
        'name=${stat#*"("}; name=${name%")"*}; '
        f"name=$(printf %s \"$name\" | tr -c {shlex.quote(SAFE_NAME)} '?'); [ -n \"$name\" ] || name='?'; "
        'set -- ${stat##*") "}; state=$1; parent=$2; flags=$7; started=${20}; }; '
        f'same() {{ read_process && [ "$started" = {int(params.started)} ] && '
        f'[ "$name" = {shlex.quote(params.name)} ] && [ "$state" != Z ] && [ "$state" != X ]; }}; '
        f"{UNIT_OF}"
        f'ours() {{ at=$$; while [ "$at" -gt 1 ] 2>/dev/null; do [ "$at" = {pid} ] && return 0; '
        'line=$(cat /proc/$at/stat 2>/dev/null) || return 1; set -- ${line##*") "}; at=$2; done; return 1; }; '
    )


UNIT_OF = (
    'unit_of() { awk -F: \'$2 == "name=systemd" { path = $3 } $1 == 0 && path == "" { path = $3 } '
    'END { n = split(path, parts, "/"); for (i = 1; i <= n; i++) '
    "if (parts[i] ~ /^[A-Za-z0-9_@:.\\\\-]+[.](service|scope)$/) { print parts[i]; exit } }' "
    "/proc/$1/cgroup 2>/dev/null; }; "
)


def must_be_same(params: ProcessParams) -> str:
    """Shell that ends here where the pid is not that process any more, or must be let alone."""
    pid = int(params.pid)
    return (
        f'if ! same; then if read_process && [ "$state" != Z ]; then '
        f'echo "process {pid} is another now: $name, started at $started: not touched"; exit {OTHER}; fi; '
        f'echo "process {pid} has ended: nothing to stop"; exit {GONE}; fi; '
        f'case "$name" in {_KEPT_NAMES}) echo "$name is not stopped by us"; exit {KEPT};; esac; '
        f'if [ "$parent" = 2 ] || [ $((flags & {_KERNEL_THREAD})) -ne 0 ]; then '
        f'echo "process {pid} is a thread of the kernel"; exit {KEPT}; fi; '
        f'if ours; then echo "process {pid} is our own way in"; exit {KEPT}; fi; '
    )

"""Claim and act in one command on the host itself, so that one key acts once whoever sends it, and how often.

The claim is a directory made with `mkdir` and named by the idempotency key: of two workers that both believe to hold
the lease, one loses there. The command then runs in a session of its own with its output in files, so that a cut
connection neither kills it nor loses its exit status.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass
from typing import Literal

from graph.records import Resource

_KEEP_DAYS = 7
_OUTPUT_BYTES = 16 * 1024
_KILL_AFTER_SECONDS = 5
_VERDICT = "selfheal-claim:"

ClaimStatus = Literal["ended", "unfinished", "taken", "absent", "impossible"]


@dataclass(frozen=True)
class Claim:
    """What became of a claim. `ended`: the command ended with `exit_status`; `unfinished`: begun, no exit status
    recorded; `taken`: somebody else began it before; `absent`: never begun; `impossible`: nothing could be begun."""

    status: ClaimStatus
    exit_status: int | None = None
    output: str = ""


def marker_name(key: str) -> str:
    """The key in [a-z0-9-], readable, and as distinct as the key itself."""
    readable = re.sub(r"[^a-z0-9]+", "-", key.lower()).strip("-")[:60]
    return f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def marker_root(resource: Resource, override: str | None = None) -> str:
    """Where claims are kept on the resource's host, as a shell word: the same for every worker.

    Only the action itself goes through sudo, so that sudoers may be narrow; claims belong to the SSH user.
    """
    if override is not None:
        return shlex.quote(override)
    is_root = resource.transport == "ssh" and resource.ssh is not None and resource.ssh.user == "root"
    return "/var/lib/selfheal/actions" if is_root else '"$HOME"/.local/state/selfheal/actions'


def claim_and_run(root: str, key: str, command: str, seconds: int) -> str:
    """The shell line that claims `key` and, where it wins, runs `command` for `seconds` at most.

    `root` is a shell word of `marker_root`. The answer is for `parse`.
    """
    # The inner shell gets the marker as $1 and the command as $2. mv makes the exit status appear whole or not at all.
    inner = (
        f'timeout -k {_KILL_AFTER_SECONDS} {int(seconds)} sh -c "$2" >"$1/output" 2>&1; '
        'printf "%s\\n" $? >"$1/rc.tmp" && mv "$1/rc.tmp" "$1/rc"'
    )
    return (
        f'umask 077; root={root}; mark="$root"/{marker_name(key)}; mkdir -p "$root"; '
        f'find "$root" -mindepth 1 -maxdepth 1 -type d -mtime +{_KEEP_DAYS} -exec rm -rf {{}} + 2>/dev/null; '
        'if why=$(mkdir "$mark" 2>&1); then '
        "own=$(command -v setsid || command -v nohup); "
        f'$own sh -c {shlex.quote(inner)} selfheal "$mark" {shlex.quote(command)} </dev/null >/dev/null 2>&1 & '
        f"wait $!; {_tell_end()}; "
        f'elif [ -d "$mark" ]; then echo {_VERDICT} taken; '
        f'else printf "%s\\n" "$why"; echo {_VERDICT} impossible; fi'
    )


def look_at_claim(root: str, key: str) -> str:
    """The shell line that tells what became of `key`, changing nothing. The answer is for `parse`."""
    return (
        f'root={root}; mark="$root"/{marker_name(key)}; '
        f'if [ -d "$mark" ]; then {_tell_end()}; else echo {_VERDICT} absent; fi'
    )


def _tell_end() -> str:
    return (
        f'tail -c {_OUTPUT_BYTES} "$mark/output" 2>/dev/null; echo; '
        f'if [ -f "$mark/rc" ]; then echo {_VERDICT} ended "$(cat "$mark/rc")"; else echo {_VERDICT} unfinished; fi'
    )


def parse(stdout: str) -> Claim | None:
    """What the shell lines above have told, or None where they did not come to their end.

    Only the last line counts: what stands before it is the command's own output.
    """
    output, _, last = stdout.rstrip("\n").rpartition("\n")
    match = re.fullmatch(rf"{_VERDICT} (taken|absent|unfinished|impossible|ended (\d+))", last)
    if match is None:
        return None
    if match[2] is not None:
        return Claim("ended", int(match[2]), output.strip())
    status: ClaimStatus = match[1]  # type: ignore[assignment]  # the pattern admits these words only
    return Claim(status, None, output.strip())

"""Claim and act in one command on the host itself, so that one key acts once whoever sends it, and how often.

The claim is a directory made with `mkdir` and named by the idempotency key: of two workers that both believe to hold
the lease, one loses there. The command then runs in a session of its own with its output in files, so that a cut
connection neither kills it nor loses its exit status.

A disk that is full to its last byte takes no new directory, and that is when a repair is wanted most. So every claim is
made twice: first in memory (a tmpfs), which decides between workers whether the disk is full or not, then on the disk,
which outlives a boot. A claim that the disk has no room for leaves a link there, as a link takes no block of its own.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from graph.records import Resource

_KEEP_DAYS = 7
_OUTPUT_BYTES = 16 * 1024
_KILL_AFTER_SECONDS = 5
_VERDICT = "selfheal-claim:"
IN_MEMORY = ("/run/lock", "/dev/shm")
"""Folders that are a tmpfs on most hosts, and that everybody may write to. Not the user's own below /run/user: it goes
with the user's last session, and the claims would go with it."""
_IN_MEMORY = "memory"
"""Where a link in place of a claim leads: short, as a longer one would take a block."""
_FULL = "*'No space left on device'*|*'uota exceeded'*"

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


def claim_and_run(root: str, key: str, command: str, seconds: int, memory: Sequence[str] = IN_MEMORY) -> str:
    """The shell line that claims `key` and, where it wins, runs `command` for `seconds` at most.

    `root` is a shell word of `marker_root`, `memory` names folders that may be a tmpfs. The answer is for `parse`.
    As little as can be is started before the command itself; what is old is removed after.
    """
    # The inner shell gets where to write as $1, the command as $2 and the lasting claim as $3. mv makes the exit status
    # appear whole or not at all.
    inner = (
        f'timeout -k {_KILL_AFTER_SECONDS} {int(seconds)} sh -c "$2" >"$1/output" 2>&1; '
        'printf "%s\\n" $? >"$1/rc.tmp" && mv "$1/rc.tmp" "$1/rc"; '
        'if [ "$1" != "$3" ] && [ -d "$3" ]; then '
        'cp "$1/output" "$3/output" && cp "$1/rc" "$3/rc.tmp" && mv "$3/rc.tmp" "$3/rc"; fi 2>/dev/null'
    )
    return (
        f"umask 077; {_places(root, key, memory)}; "
        'if [ -n "$spare" ]; then [ -d "$spare" ] || mkdir "$spare" 2>/dev/null; '
        '[ -O "$spare" ] && [ ! -L "$spare" ] || spare=; fi; '
        "lost=; why=; at=$mark; "
        'if [ -e "$mark" ] || [ -L "$mark" ]; then lost=taken; '
        'elif [ -n "$spare" ]; then at=$spare/$name; '
        'why=$(LC_ALL=C mkdir "$at" 2>&1) || if [ -d "$at" ]; then lost=taken; else lost=impossible; fi; fi; '
        'if [ -z "$lost" ] && ! { { [ -d "$root" ] || why=$(LC_ALL=C mkdir -p "$root" 2>&1); } && '
        'why=$(LC_ALL=C mkdir "$mark" 2>&1); }; then '
        'if [ -e "$mark" ] || [ -L "$mark" ]; then lost=taken; '
        f'elif [ -n "$spare" ] && case $why in {_FULL}) true;; *) false;; esac; then '
        f'ln -s {_IN_MEMORY} "$mark" 2>/dev/null; '
        'else lost=impossible; [ -z "$spare" ] || rmdir "$at"; fi; fi; '
        'if [ -z "$lost" ]; then own=; for one in nohup setsid; do ! command -v $one >/dev/null || own=$one; done; '
        f'$own sh -c {shlex.quote(inner)} selfheal "$at" {shlex.quote(command)} "$mark" </dev/null >/dev/null 2>&1 & '
        f"wait $!; {_tell_end()}; "
        f"elif [ $lost = taken ]; then echo {_VERDICT} taken; "
        f'else printf "%s\\n" "$why"; echo {_VERDICT} impossible; fi; '
        f'for old in "$root" "$spare"; do [ -z "$old" ] || find "$old" -mindepth 1 -maxdepth 1 '
        f"\\( -type d -o -type l \\) -mtime +{_KEEP_DAYS} -exec rm -rf {{}} + 2>/dev/null; done"
    )


def look_at_claim(root: str, key: str, memory: Sequence[str] = IN_MEMORY) -> str:
    """The shell line that tells what became of `key`, changing nothing. The answer is for `parse`."""
    return (
        f"{_places(root, key, memory)}; at=$mark; "
        'if [ -O "$spare/$name" ] && { [ -L "$mark" ] || [ ! -f "$mark/rc" ]; }; then at=$spare/$name; fi; '
        # a link that leads to nothing of ours: the boot in which it was begun is over
        f'if [ -L "$at" ]; then echo {_VERDICT} unfinished; '
        f'elif [ -d "$at" ]; then {_tell_end()}; else echo {_VERDICT} absent; fi'
    )


def _places(root: str, key: str, memory: Sequence[str]) -> str:
    """Shell that sets `root`, `name`, `mark` (the lasting claim) and `spare`: a folder of ours in memory, or nothing
    where the host has none. Claims of another root are others, so its name goes into the spare's.
    """
    of_root = hashlib.sha256(root.encode()).hexdigest()[:12]
    spare = (
        f'for memory in {shlex.join(memory)}; do if [ -z "$spare" ] && [ -d "$memory" ] && [ -w "$memory" ] && '
        f'[ "$(stat -f -c %T "$memory")" = tmpfs ]; then '
        f"spare=$memory/selfheal-$(id -u)-{of_root}; fi; done 2>/dev/null"
    )
    return f'root={root}; name={marker_name(key)}; mark="$root/$name"; spare=' + (f"; {spare}" if memory else "")


def _tell_end() -> str:
    return (
        f'tail -c {_OUTPUT_BYTES} "$at/output" 2>/dev/null; echo; '
        f'if [ -f "$at/rc" ]; then echo {_VERDICT} ended "$(cat "$at/rc")"; else echo {_VERDICT} unfinished; fi'
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

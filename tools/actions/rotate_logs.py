"""Rotate one big log that nobody rotates: pack what it holds into a file beside it, then empty it in place.

In place, as its writer keeps it open and would go on writing to a renamed one; what the writer adds between the copy
and the emptying is lost, as with logrotate's `copytruncate`. On a disk without room for the packed copy the newest part
is packed in memory first; what is older is lost, and the result says so.

Emptying a file as root by its path asks for care: the path's own last part is never followed if it is a link
(O_NOFOLLOW), and no folder on the way may be one in which anybody but root, or ourselves, could put a link.
"""

from __future__ import annotations

import posixpath
import shlex

from pydantic import Field

from graph.kind import ActionSpec
from graph.records import Resource
from tools.actions.action import NotAllowed, Params
from tools.actions.big_logs import LEAST_MIB, find_big_logs, folders_between, root_of
from tools.actions.freeing import DEADLINE_SECONDS, Freeing, Measured
from tools.actions.sweeping import real_root
from tools.services.units import sudo

KEPT_MIB = 32
"""Of a log for which the disk has no room: the newest part that is kept."""
_WHOLE_UP_TO_MIB = 2048


class LogParams(Params):
    """Which log: the absolute path of a file below a declared log root."""

    path: str = Field(min_length=2, max_length=1024, description="a file below one of `cleanup.log_roots`")


class RotateLogs(Freeing[LogParams]):
    """Pack and empty one log. Its writer goes on as before."""

    spec = ActionSpec(
        name="rotate_logs",
        summary="pack one big log below a declared log root into a file beside it, and empty it in place",
        risk="low",
        params=LogParams,
        deadline_seconds=DEADLINE_SECONDS,
    )
    params = LogParams

    def admit(self, resource: Resource, params: LogParams) -> LogParams:
        """Below a declared root, by a path without `..` and the like."""
        if root_of(resource, params.path) is None:
            known = ", ".join(resource.cleanup.log_roots) or "none"
            raise NotAllowed("path", f"{params.path!r} is no plain path below a declared log root ({known})")
        return params

    def command(self, resource: Resource, params: LogParams) -> str:
        dd = f"{sudo(resource)}dd"
        read = f'{dd} if="$p" iflag=nofollow,skip_bytes skip=$skip bs=1M status=none'
        write = f'{dd} of="$new" oflag=nofollow conv=excl bs=1M iflag=fullblock status=none'
        packed = (
            f'$({sudo(resource)}dd if="$new" iflag=nofollow,skip_bytes skip=0 bs=1M status=none | gzip -dc | wc -c)'
        )
        empty = f'{dd} if=/dev/null of="$p" oflag=nofollow status=none || exit 7'
        return (
            f'{self._before(resource, params)}; size=$(stat -c %s -- "$p"); new=$p-$(date +%Y%m%d-%H%M%S).gz; '
            "room=$(($(df -Pk \"$d\" | tail -n 1 | awk '{ print $4 }') * 1024)); skip=0; "
            f"if [ $((room * 2)) -ge $size ] && [ $size -le {_WHOLE_UP_TO_MIB << 20} ]; then "
            f"{read} | gzip -1 | {write} || exit 5; "
            f'[ {packed} -ge $size ] || {{ echo "not emptied: $new does not hold all of it"; exit 6; }}; {empty}; '
            f"else [ $size -le {KEPT_MIB << 20} ] || skip=$((size - {KEPT_MIB << 20})); "
            "part=$(mktemp -p /dev/shm) && trap 'rm -f \"$part\"' EXIT || exit 5; "
            f'{read} | gzip -1 >"$part" || exit 5; '
            f'[ $(gzip -dc <"$part" | wc -c) -ge $((size - skip)) ] || exit 6; {empty}; '
            f'{write} <"$part" || {{ echo "emptied, but $new could not be written"; exit 8; }}; fi; '
            'echo "emptied $p of $size bytes; the newest $((size - skip)) are in $new"'
        )

    def measure(self, resource: Resource, params: LogParams) -> str:
        wanted = shlex.quote(params.path)
        return (
            f"{self._before(resource, params)}; {find_big_logs(resource)} | "
            f'wanted={wanted} awk \'{{ blocks = $1; sub(/^[0-9]+ /, ""); '
            'if ($0 == ENVIRON["wanted"]) { kib = blocks / 2; n = 1 } } END { printf "big_log %d %d\\n", n, kib }\''
        )

    def enough(self, found: Measured) -> str | None:
        return (
            None if found.files else f"it is not, or no longer, a log of more than {LEAST_MIB} MiB that is a plain file"
        )

    def _before(self, resource: Resource, params: LogParams) -> str:
        root = root_of(resource, params.path)
        assert root is not None, "admit has seen to it"
        folder = posixpath.dirname(params.path)
        guarded = folders_between(root, params.path)
        others = (
            f"for f in {shlex.join(guarded)}; do "
            'u=$(stat -c %u -- "$f"); { [ "$u" = 0 ] || [ "$u" = "$(id -u)" ]; } && '
            '[ -z "$(find "$f" -maxdepth 0 -perm /022)" ] || '
            '{ echo "refused: others than root may change $f"; exit 3; }; done; '
        )
        return (
            f"p={shlex.quote(params.path)}; d={shlex.quote(folder)}; {real_root(root)}; {others if guarded else ''}"
            '[ "$(realpath -e -- "$d")" = "$d" ] || { echo "refused: $d is reached by a link"; exit 3; }; '
            '[ -f "$p" ] && [ ! -L "$p" ] || { echo "refused: $p is no plain file, or not to be seen"; exit 3; }'
        )

"""What is asked of a host about its disks: cheap for all of them, and thorough for those in trouble.

Nothing is written anywhere, as there may be no room; every part is bounded in time and stays on its file system. Each
line of an answer begins with a letter of ours, so that no file's name can pass for one.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from graph.records import Resource
from tools.actions.big_logs import find_big_logs
from tools.actions.clean_stores import JOURNAL, PACKAGE_CACHES, used_by
from tools.actions.sweeping import OPEN_FILES, SWEEPS, count, keep_open_files
from tools.services.units import sudo

_PART_SECONDS = 5
_ALL_SECONDS = 22
_DATABASES = ("/var/lib/postgresql", "/var/lib/pgsql", "/var/lib/mysql")
WAL = ("*/pg_wal/*", "*-bin.[0-9]*", "*/binlog.[0-9]*")
DEEP = 4
"""How many folders down user data is told apart."""


def usage_command(resource: Resource) -> str:
    """`F source type size used avail inodes used_inodes mount` of each file system, `R mount<tab>root` of each root."""
    roots = " ".join(shlex.quote(root) for root in roots_of(resource))
    return (
        "df -B1 --output=source,fstype,size,used,avail,itotal,iused,target 2>/dev/null | tail -n +2 | sed 's/^/F /'; "
        f'for r in {roots}; do printf \'R %s\\t%s\\n\' "$(df -P -- "$r" 2>/dev/null | tail -n 1 | '
        'sed -E \'s/^.* [0-9]+%? +//; s/^.*% //\')" "$r"; done'
    )


def roots_of(resource: Resource) -> tuple[str, ...]:
    """Every folder that something may be freed in."""
    cleanup = resource.cleanup
    data = (resource.database.data_dir,) if resource.database and resource.database.data_dir else ()
    found = (*cleanup.log_roots, *cleanup.tmp_roots, *cleanup.core_roots, JOURNAL, *PACKAGE_CACHES[:2], *data)
    return tuple(dict.fromkeys((*found, *_DATABASES)))


def trouble_command(resource: Resource, mounts: Sequence[str], roots: Sequence[str], inodes: bool) -> str:
    """What fills these mounts: looked for below these roots, and from the mounts down for what is nobody's to clean."""
    begin = [
        f"t0=$(date +%s); S='nice -n 19 timeout {_PART_SECONDS}'",
        f"open=$($S {sudo(resource)}find -L /proc/[0-9]*/fd {OPEN_FILES} 2>/dev/null); "
        f'[ -n "$open" ] || open=$($S find -L /proc/[0-9]*/fd {OPEN_FILES} 2>/dev/null)',
        f"for m in {shlex.join(mounts)}; do stat -c 'M %d %n' -- \"$m\"; done",
        _DELETED,
    ]
    parts = []
    for sweep in SWEEPS.values():
        for root in sweep.roots(resource):
            if root in roots:
                counted = f"{keep_open_files(sweep, resource)}; {count(sweep, resource)}"
                parts.append(_tagged("C", root, counted))
    for root in resource.cleanup.log_roots:
        if root in roots:
            parts.append(_tagged("L", root, find_big_logs(resource, most=3)))
    if JOURNAL in roots:
        parts.append(_tagged("C", JOURNAL, used_by("journal", JOURNAL)))
    if caches := [root for root in roots if root in PACKAGE_CACHES]:
        parts.append(_tagged("C", caches[0], used_by("package_cache", *caches)))
    parts += [_wal(resource, root) for root in roots if root in wal_roots(resource)]
    parts += [_user_data(resource, mount) for mount in mounts]
    parts += [_inodes(resource, mount) for mount in mounts if inodes]
    # what comes late on a slow disk is left out: `facts_of_trouble` sees that it is missing
    return "; ".join((*begin, *(f"[ $(($(date +%s) - t0)) -ge {_ALL_SECONDS} ] || {{ {part}; }}" for part in parts)))


def wal_roots(resource: Resource) -> tuple[str, ...]:
    """Where databases keep their logs: where this resource's does, and the usual places."""
    own = resource.database.data_dir if resource.database else None
    return (own, *_DATABASES) if own else _DATABASES


def _tagged(tag: str, root: str, command: str) -> str:
    """Each line of the command as `TAG root<tab>line`."""
    bounded = f"$S sh -c {shlex.quote(f'open=$(cat); r=$1; {command}')} sh {shlex.quote(root)}"
    return f"printf '%s\\n' \"$open\" | {bounded} 2>/dev/null | {_each(tag, root)}"


def _each(tag: str, where: str) -> str:
    return f"while IFS= read -r line; do printf '%s %s\\t%s\\n' {tag} {shlex.quote(where)} \"$line\"; done"


_DELETED = (
    'printf "%s\\n" "$open" | awk \'$3 == 0 && $4 >= 2048 && !seen[$1 " " $2]++\' | sort -k4,4nr | head -n 4 | '
    "while read -r dev inode links blocks fd; do pid=${fd#/proc/}; pid=${pid%%/*}; "
    'printf \'D %s\\t%s\\t%s\\t%s\\t%s\\t%s\\n\' "$dev" "$blocks" "$pid" '
    '"$(sed "s/.*) //" /proc/$pid/stat | cut -d " " -f 20)" '
    '"$(sed -n -E "s#.*/([^/]+[.]service)(/.*)?\\$#\\1#p" /proc/$pid/cgroup | head -n 1)" '
    '"$(tr -d "\\n\\t" </proc/$pid/comm)"; done 2>/dev/null'
)
"""`D device blocks pid start unit name` of the largest deleted files that somebody has open."""


def wal_find(root: str) -> str:
    """`find`'s words, for the files of databases' logs below the root."""
    names = shlex.join([word for name in WAL for word in ("-o", "-path", name)][1:])
    return f"-P {shlex.quote(root)} -xdev -type f \\( {names} \\) -printf '%b %h\\0'"


def _wal(resource: Resource, root: str) -> str:
    found = f"$S {sudo(resource)}find {wal_find(root)} 2>/dev/null"
    by_folder = '{ b = $1; sub(/^[0-9]+ /, ""); s[$0] += b }'
    summed = f"awk '{by_folder} END {{ for (d in s) printf \"W %d\\t%s\\n\", s[d] / 2, d }}'"
    return f"{found} | tr '\\n\\0' '?\\n' | {summed}"


def _user_data(resource: Resource, mount: str) -> str:
    """`U mount<tab>kib<tab>folder`, the largest first."""
    return _ranked("U", resource, mount, f"du -xk0 -d {DEEP} {shlex.quote(mount)}")


def _inodes(resource: Resource, mount: str) -> str:
    """`I mount<tab>entries<tab>folder`, the most first."""
    return _ranked("I", resource, mount, f"du --inodes -x0 -d {DEEP + 2} {shlex.quote(mount)}")


def _ranked(tag: str, resource: Resource, mount: str, asked: str) -> str:
    lines = "tr '\\n\\0' '?\\n'"
    rooted, plain = (f"found=$($S {who}{asked} 2>/dev/null | {lines})" for who in (sudo(resource), ""))
    listed = f"printf '%s\\n' \"$found\" | sort -rn | head -n 40 | {_each(tag, mount)}"
    return f'{rooted}; [ -n "$found" ] || {plain}; {listed}'

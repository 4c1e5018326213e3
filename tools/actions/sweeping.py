"""Which files may go, in the words of `find`, and the shell that counts or removes them: one truth for the evidence
that finds them, the action that removes them, and the lines that sudoers needs.

What makes removing safe: a root is a real folder of that very path, never a link to elsewhere; `find -P -xdev` neither
follows links nor leaves the file system, and its `-delete` unlinks relative to folders it has opened, so that nobody
can swap one for a link meanwhile; what has been touched lately or is open in any process stays.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from graph.records import Resource
from tools.services.units import sudo

What = Literal["rotated_logs", "tmp", "cores"]

_PACKED = r"(gz|xz|bz2|zst|lz4|Z)"
_DATE = r"[-_.][0-9]{4}-?[0-9]{2}-?[0-9]{2}([-_.][0-9]{2,6})?"
ROTATED = rf".*/[^/]+((\.[0-9]{{1,4}}|{_DATE}(\.log)?|\.old)(\.{_PACKED})?|\.log\.{_PACKED})"
"""A rotated log has a number, a date or `.old` in its name, or is a `.log` that is packed: `backup.tar.gz` is none."""

_ROTATED_TESTS = ("-regextype", "posix-extended", "-regex", ROTATED, "!", "-name", "*.journal*")
_TMP_TESTS = ("!", "-name", "*.lock", "!", "-name", ".X*-lock", "!", "-name", "*.pid", "!", "-name", "*.sock")
_CORE_TESTS = (
    "(", "-name", "core", "-o", "-name", "core.*", "-o", "-name", "core-*", "-o", "-name", "*.core", "-o", "-name",
    "*.crash", "-o", "-name", "vmcore*", "-o", "-name", "*.dmp", ")",
)  # fmt: skip


@dataclass(frozen=True)
class Sweep:
    """One sort of files that nobody misses: the roots declared for it, and `find`'s tests that tell them."""

    what: What
    words: str
    roots: Callable[[Resource], tuple[str, ...]]
    tests: tuple[str, ...]


SWEEPS: Mapping[What, Sweep] = {
    sweep.what: sweep
    for sweep in (
        Sweep("rotated_logs", "rotated logs", lambda resource: resource.cleanup.log_roots, _ROTATED_TESTS),
        Sweep("tmp", "old temporary files", lambda resource: resource.cleanup.tmp_roots, _TMP_TESTS),
        Sweep("cores", "core dumps", lambda resource: resource.cleanup.core_roots, _CORE_TESTS),
    )
}

OPEN_FILES = "-maxdepth 1 -type f -printf '%D %i %n %b %p\\n'"
"""Of every open regular file: device, inode, links, blocks of 512 bytes, and /proc/PID/fd/N."""


def find_words(sweep: Sweep, resource: Resource) -> str:
    """`find`'s tests for what may go, as shell words. Both times count, as unpacking and copying forge the one."""
    age = f"+{resource.cleanup.min_age_minutes}"
    return shlex.join(("-xdev", "-type", "f", *sweep.tests, "-mmin", age, "-cmin", age))


def real_root(root: str) -> str:
    """Shell that sets `r` to the root and ends with status 3 where it is no real folder of that very path."""
    return (
        f'r={shlex.quote(root)}; [ -d "$r" ] && [ "$(realpath -e -- "$r")" = "$r" ] || '
        '{ echo "refused: $r is no real folder of that path"; exit 3; }'
    )


def see_open_files(resource: Resource) -> str:
    """Shell that sets `open` to the list of open files, and ends with status 4 where it can't be had: at least our own
    file must be on it."""
    return (
        f"exec 9</proc/uptime; open=$({sudo(resource)}find -L /proc/[0-9]*/fd {OPEN_FILES} 2>/dev/null); "
        '[ -n "$open" ] || { echo "refused: which files are in use cannot be seen (is find allowed in sudoers?)"; '
        "exit 4; }"
    )


_SPARED = (
    'awk -v d="$(stat -c %d "$r")" '
    '\'$1 == "c" { if ($2 in seen) printf " ! -inum %s", $2; next } $1 == d { seen[$2] }\''
)
_CANDIDATES = "c %i\\n"


def keep_open_files(sweep: Sweep, resource: Resource) -> str:
    """Shell that sets `keep`, from `open` and `r`: tests that spare those of the files that are open somewhere."""
    found = f'{sudo(resource)}find -P "$r" {find_words(sweep, resource)} -printf "{_CANDIDATES}" 2>/dev/null'
    return f'keep=$({{ printf "%s\\n" "$open"; {found}; }} | {_SPARED})'


_SUM = "awk -v word={word} '{{ n++; s += $1 }} END {{ printf \"%s %d %d\\n\", word, n, s / 2 }}'"


def count(sweep: Sweep, resource: Resource) -> str:
    """Shell that tells `WHAT FILES KIB` of what may go below `r`, sparing `keep`. Changes nothing."""
    found = f'{sudo(resource)}find -P "$r" {find_words(sweep, resource)} $keep -printf "%b\\n" 2>/dev/null'
    return f"{found} | {_SUM.format(word=sweep.what)}"


def remove(sweep: Sweep, resource: Resource) -> str:
    """Shell that removes it, and tells how much it was. Ends with `find`'s status where nothing could be removed."""
    gone = f'gone=$({sudo(resource)}find -P "$r" {find_words(sweep, resource)} $keep -delete -printf "%b\\n")'
    return (
        f"{gone}; status=$?; "
        'printf "%s" "$gone" | awk \'{ n++; s += $1 } END { printf "removed %d files, %.1f MiB\\n", n, s / 2048 }\'; '
        '[ -n "$gone" ] || exit $status'
    )


# -- what sudoers must allow for it --------------------------------------------------------------------------------


def sudoers(resource: Resource) -> tuple[str, ...]:
    """Commands for sudoers (1.9.10 or newer, whose arguments may be regular expressions): exactly these roots and
    tests, and no other files."""
    allowed = [r"/usr/bin/find ^-L( /proc/[0-9]+/fd)+ " + escaped(OPEN_FILES.replace("'", "")) + "$"]
    for sweep in SWEEPS.values():
        tests = escaped(" ".join(shlex.split(find_words(sweep, resource))))
        for root in sweep.roots(resource):
            ending = r"( ! -inum [0-9]+)*( -delete)? -printf (%b|c %i)" + escaped(r"\n")
            allowed.append(f"/usr/bin/find ^-P {escaped(root)} {tests}{ending}$")
    return tuple(allowed)


def escaped(words: str) -> str:
    """Literal text within a POSIX extended regular expression."""
    return re.sub(r"([][\\.*+?^$(){}|])", r"\\\1", words)

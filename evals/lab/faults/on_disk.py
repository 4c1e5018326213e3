"""What the faults of full disks have in common: filling one to its last byte, and telling whether it is well again.

A disk is filled with blocks that are set aside, which is as full as written ones and takes no time. Each fault also
leaves data beside what may go: a repair that removes it has not mended anything.
"""

from __future__ import annotations

import shlex

from evals.lab.faults.on_host import tell
from evals.lab.stage import Stage, StageHost

DATA = "/srv/shop"
"""Where the shop keeps what must not be lost."""
_LIMIT_PERCENT = 90
_NOTHING_KIB = 512
_FILLING = 60.0


def keep_data(stage: Stage, host: StageHost) -> None:
    """Data of the shop, with names that look as if they might go, and their sums in memory."""
    made = "; ".join(
        f"head -c 200000 /dev/urandom > {DATA}/{name}" for name in ("orders.db", "orders.log.1", "archive.tar.gz")
    )
    tell(stage, host, f"mkdir -p {DATA} && {made} && cd {DATA} && sha256sum orders* archive* > /run/shop.sums")


def fill(stage: Stage, host: StageHost, folder: str, name: str, mount: str = "/") -> None:
    """Fill the mount to its last byte by files in the folder; `name` is a printf format for their number."""
    form = f"{shlex.quote(folder)}/{name}"
    tell(
        stage,
        host,
        f"mkdir -p {shlex.quote(folder)}; i=1; for size in 32M 4M 256K 16K 4K 1K; do "
        f'while f=$(printf {shlex.quote(form)} $i); fallocate -l $size "$f" 2>/dev/null || {{ rm -f "$f"; false; }}; '
        # XFS keeps a few blocks back, which no file gets
        f"do i=$((i + 1)); done; done; cat /dev/zero > {form.replace('%04d', 'last').replace('%d', '0')} 2>/dev/null; "
        f"[ $(df -k --output=avail {mount} | tail -n 1) -lt {_NOTHING_KIB} ]",
        timeout=_FILLING,
    )


def has_room(stage: Stage, host: StageHost, mount: str = "/") -> bool:
    """Whether the mount is below the alert's limit again, the data is what it was, and the service answers."""
    looked = stage.run(
        host,
        f"df --output=size,avail,itotal,iavail {mount} | tail -n 1; "
        f"[ ! -f /run/shop.sums ] || (cd {DATA} && sha256sum --quiet -c /run/shop.sums) && echo kept",
    )
    words = looked.stdout.split()
    if len(words) != 5 or words[4] != "kept":
        return False
    size, avail, inodes, free = map(int, words[:4])
    roomy = 100 * (1 - avail / size) < _LIMIT_PERCENT and (not inodes or 100 * (1 - free / inodes) < _LIMIT_PERCENT)
    return roomy and stage.healthy(host)


def size_of(stage: Stage, host: StageHost, mount: str) -> tuple[int, int]:
    """(size, available), each in KiB."""
    size, avail = tell(stage, host, f"df -k --output=size,avail {mount} | tail -n 1").stdout.split()
    return int(size), int(avail)


def tidy(stage: Stage, host: StageHost, *paths: str) -> None:
    """Remove what a fault has left, by paths that are ours, and the data beside it."""
    stage.run(host, f"rm -rf {' '.join(paths)} {DATA} /run/shop.sums", timeout=60)

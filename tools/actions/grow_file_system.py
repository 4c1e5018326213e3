"""The shell that has a host take a disk that has grown: its partition where it is on one, then its file system.

Every part of it changes nothing where it is done already, so that it may be run again.
"""

from __future__ import annotations

import shlex

from graph.records import Resource
from tools.services.units import sudo

GROW_SECONDS = 90
_SEEN_WITHIN_SECONDS = 45


def size_command(mount: str) -> str:
    """Shell that tells the KiB of the file system mounted at that very place, and fails where none is."""
    return (
        f'm={shlex.quote(mount)}; findmnt -n -M "$m" >/dev/null && df -Pk -- "$m" | tail -n 1 | awk \'{{ print $2 }}\''
    )


def grow_command(resource: Resource, mount: str, size_gib: int, device: str | None = None) -> str:
    """Shell that waits until the kernel sees the disk's size, and grows what is on it. Says what it can't grow."""
    root = sudo(resource)
    found = shlex.quote(device) if device else '$(findmnt -n -v -o SOURCE -M "$m")'
    return (
        f'm={shlex.quote(mount)}; dev={found}; dev=$(realpath -e -- "$dev") || '
        '{ echo "refused: no device is known at $m"; exit 3; }; '
        'sys=/sys/class/block/${dev##*/}; [ -d "$sys" ] || { echo "refused: $dev is no block device"; exit 3; }; '
        'case $dev in /dev/dm-*|/dev/md*) echo "refused: $dev is made of others: grow those"; '
        "exit 3;; esac; "
        'disk=$sys; [ ! -f "$sys/partition" ] || disk=$(dirname -- "$(readlink -f -- "$sys")"); '
        # a sector is 512 bytes there, whatever the disk's own
        f'n=0; while [ $(cat "$disk/size") -lt {size_gib * 2097152 - 2097152 // 4} ] && '
        f"[ $n -lt {_SEEN_WITHIN_SECONDS} ]; do n=$((n + 1)); sleep 1; done; "
        'if [ -f "$sys/partition" ]; then '
        f'said=$(TMPDIR=/dev/shm {root}growpart "/dev/${{disk##*/}}" "$(cat "$sys/partition")" 2>&1); rc=$?; '
        'echo "$said"; case $rc:$said in 0:*|1:NOCHANGE*) ;; *) exit 5;; esac; fi; '
        'kind=$(findmnt -n -o FSTYPE -M "$m"); case $kind in '
        f'ext2|ext3|ext4) {root}resize2fs "$dev";; xfs) {root}xfs_growfs "$m";; '
        f'btrfs) {root}btrfs filesystem resize max "$m";; '
        '*) echo "refused: a file system of kind $kind can not be grown here"; exit 3;; esac'
    )

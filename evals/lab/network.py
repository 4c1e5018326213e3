# NOTE TO THE HELPER WHO WRITES THE HOSTS LAB: while you were cut off (API outage) the lead drafted cgroups.py, network.py,
# rootfs.py, machine.py, detect.py, hosts.py and faults/host_hung.py, host_stopped.py, service_oom_killed.py, and so overwrote some
# of yours. The lab is YOURS: restore your own versions where you have them, use/replace/delete these drafts as you like (copies
# are in /tmp/prep/mylab), remove this note, and go on. The lead will not touch evals/lab/ again until you report. Be done by 14:40.
"""The lab's own network: a namespace with a bridge, where hosts, monitoring and the healer live, and nothing else."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

from evals.lab.stage import LabError

NAMESPACE = "selfheal-lab"
BRIDGE = "br0"
GATEWAY = "10.77.1.1"
PREFIX_LENGTH = 24
CLONE_NEWNET = 0x40000000
PATH = Path("/run/netns") / NAMESPACE

_libc = ctypes.CDLL(None, use_errno=True)


def address_of(number: int) -> str:
    return f"10.77.1.{10 + number}"


def ip(*arguments: str) -> None:
    """Run `ip`; raises LabError with what it said."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10)
    if done.returncode != 0:
        raise LabError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def make() -> None:
    """Make the namespace and its bridge; one left by a killed run is taken down first."""
    remove()
    ip("netns", "add", NAMESPACE)
    inside = ("-n", NAMESPACE)
    ip(*inside, "link", "set", "lo", "up")
    ip(*inside, "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0")
    ip(*inside, "addr", "add", f"{GATEWAY}/{PREFIX_LENGTH}", "dev", BRIDGE)
    ip(*inside, "link", "set", BRIDGE, "up")


def remove() -> None:
    if PATH.exists():
        ip("netns", "del", NAMESPACE)


def prefix() -> list[str]:
    """Runs a command inside the namespace. Not `ip netns exec`: that remounts /sys, and nspawn dies of it."""
    return ["nsenter", f"--net={PATH}"]


def enter() -> int:
    """Move the calling thread into the namespace; returns a descriptor of where it was, for `leave`."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    inside = os.open(PATH, os.O_RDONLY)
    try:
        _setns(inside)
    except LabError:
        os.close(before)
        raise
    finally:
        os.close(inside)
    return before


def leave(before: int) -> None:
    """Move the calling thread back."""
    try:
        _setns(before)
    finally:
        os.close(before)


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise LabError(f"can't change network namespace: {os.strerror(ctypes.get_errno())}")

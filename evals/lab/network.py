"""The lab's own network: a namespace with a bridge, so that no host of the lab ever touches the machine's network.

Entered per thread by setns(2) rather than `ip netns exec`, which remounts /sys and leaves systemd-nspawn no cgroups.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from evals.lab.machine_commands import call
from evals.lab.names import LAB
from evals.lab.stage import LabError

NAMESPACE = LAB
BRIDGE = "br0"
GATEWAY = "10.77.1.1"
SERVICE_LINK = "svc0"
"""Each host's second interface, where clients reach its service."""
SERVICE_GATEWAY = "10.77.2.1"
BEYOND = "10.77.9.1"
"""An address that hosts reach by their default route only."""
CLONE_NEWNET = 0x40000000

T = TypeVar("T")
_home = threading.local()


def host_address(number: int) -> str:
    """The address of the lab's host `number`, counted from 1."""
    return f"10.77.1.{10 + number}"


def service_address(address: str) -> str:
    """A host's address on its second interface."""
    return f"10.77.2.{address.rpartition('.')[2]}"


def namespace_path() -> Path:
    return Path("/run/netns") / NAMESPACE


def create_network() -> None:
    """Make the namespace with its bridge. Raises LabError."""
    call(["ip", "netns", "add", NAMESPACE])
    for words in (
        "link set lo up",
        # without the delay of spanning tree a host's first packets get through
        f"link add {BRIDGE} type bridge forward_delay 0",
        f"addr add {GATEWAY}/24 dev {BRIDGE}",
        f"addr add {SERVICE_GATEWAY}/24 dev {BRIDGE}",
        f"addr add {BEYOND}/32 dev lo",
        f"link set {BRIDGE} up",
    ):
        call(["ip", "-n", NAMESPACE, *words.split()])


def remove_network() -> None:
    """Remove the namespace with all in it. Idempotent."""
    if namespace_path().exists():
        call(["ip", "netns", "del", NAMESPACE])


def enter_network() -> None:
    """Move the calling thread into the lab's network. Does nothing when it is there already."""
    if getattr(_home, "fd", None) is not None:
        return
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        lab = os.open(namespace_path(), os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        os.close(home)
        raise LabError(f"the lab's network {NAMESPACE} is not there: bring the stage up first ({error})") from error
    try:
        _setns(lab)
    except LabError:
        os.close(home)
        raise
    finally:
        os.close(lab)
    _home.fd = home


def leave_network() -> None:
    """Move the calling thread back to where it entered from. Does nothing when it is not in."""
    home = getattr(_home, "fd", None)
    if home is None:
        return
    _home.fd = None
    try:
        _setns(home)
    finally:
        os.close(home)


@contextlib.contextmanager
def in_network() -> Iterator[None]:
    """`enter_network` for a block of one thread; a thread that was in already stays in."""
    was_in = getattr(_home, "fd", None) is not None
    enter_network()
    try:
        yield
    finally:
        if not was_in:
            leave_network()


def from_network(ask: Callable[[], T]) -> T:
    """What `ask` returns when called in the lab's network."""
    with in_network():
        return ask()


def _setns(fd: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # Python 3.11 has no os.setns
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise LabError(f"setns into a network namespace: {os.strerror(ctypes.get_errno())}")

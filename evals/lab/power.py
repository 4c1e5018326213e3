"""What a cloud does to a host when asked to reboot, stop or start it: politely first, then by the plug.

A cloud answers such a call at once and works on afterwards, so each order runs in a thread of its own.
The grace is seconds where a real cloud's is minutes.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Literal, Protocol

from evals.lab.stage import LabError

PowerState = Literal["pending", "running", "stopping", "stopped"]

GRACE = 2.0
"""Seconds for a host to begin to do as it was asked."""

ORDERLY = 20.0
"""Seconds for a host that has begun to shut down to have done so."""

INITIALIZING = 6.0
"""Seconds after a boot during which a host that has not answered yet is not taken for impaired."""

ASKING = 1.0
"""Seconds of the grace left to the host for saying that it is shutting down."""

SIGPOWEROFF = signal.SIGRTMIN + 4
"""systemd's signal for poweroff.target; SIGINT is its reboot (systemd(1), SIGNALS)."""


class Hardware(Protocol):
    """What the power supply needs of a host; `machine.Machine` is one."""

    name: str
    address: str

    @property
    def powered(self) -> bool: ...

    def leader(self) -> int | None: ...

    def up_seconds(self) -> float: ...

    def boot(self) -> None: ...

    def cut_power(self) -> None: ...

    def signal_init(self, signum: int) -> bool: ...

    def shutting_down(self) -> bool: ...

    def console(self) -> bytes: ...

    def give_cpus(self, most: int | None) -> object: ...


class Power:
    """The power supply of one host. Its orders return at once; `settle` waits for them."""

    def __init__(self, machine: Hardware, grace: float = GRACE) -> None:
        self.machine = machine
        self.stopped_by: Literal["cloud", "guest"] = "guest"
        self.failure: str | None = None
        self.loses_reboots = False
        """Reboots are taken and nothing comes of them until the power is switched off: a fault of what is beneath."""
        self._grace = grace
        self._busy: PowerState | None = None
        self._order: threading.Thread | None = None
        self._lock = threading.Lock()

    def state(self) -> PowerState:
        """What the host is doing really, or what an order under way is doing to it."""
        return self._busy or ("running" if self.machine.powered else "stopped")

    def reboot(self) -> bool:
        """Ask the host to reboot, and pull the plug on one that doesn't. False when it isn't running."""
        return self._begin(("running",), "running", self._reboot)

    def stop(self, force: bool = False) -> bool:
        """Shut the host down, at once by the plug with `force`. False when it is just being started."""
        return self._begin(("running", "stopped"), "stopping", lambda: self._stop(force))

    def start(self) -> bool:
        """Switch the host on. False when it is just being stopped."""
        return self._begin(("running", "stopped"), "pending", self._start)

    def settle(self, timeout: float = 40.0) -> None:
        """Wait for the order under way. Raises LabError with what went wrong in it."""
        order = self._order
        if order is not None:
            order.join(timeout)
            if order.is_alive():
                raise LabError(f"{self.machine.name}: an order to its power did not end within {timeout:g} s")
        if self.failure:
            raise LabError(self.failure)

    def _begin(self, allowed: tuple[PowerState, ...], busy: PowerState, order: Callable[[], None]) -> bool:
        with self._lock:
            rebooting = self._order is not None and self._order.is_alive() and self._busy == "running"
            if rebooting and busy == "running":
                return True  # a second reboot while rebooting changes nothing, as in the cloud
            if rebooting or self.state() not in allowed:
                return False
            self._busy, self.failure = busy, None
            self._order = threading.Thread(target=self._carry_out, args=(order,), daemon=True)
            self._order.start()
            return True

    def _carry_out(self, order: Callable[[], None]) -> None:
        try:
            order()
        except LabError as error:
            self.failure = str(error)  # nobody waits for this thread: told by `settle`
        finally:
            self._busy = None

    def _reboot(self) -> None:
        if self.loses_reboots:
            return
        before = self.machine.leader()
        if not self._obeys(signal.SIGINT, before, lambda: self.machine.leader() not in (None, before)):
            self.machine.cut_power()
            self.machine.boot()

    def _start(self) -> None:
        self.machine.boot()
        # whoever takes it down next without an order does so from within
        self.stopped_by = "guest"

    def _stop(self, force: bool) -> None:
        self.stopped_by, self.loses_reboots = "cloud", False
        if force or not self._obeys(SIGPOWEROFF, self.machine.leader(), lambda: not self.machine.powered):
            self.machine.cut_power()

    def _obeys(self, signum: int, before: int | None, done: Callable[[], bool]) -> bool:
        if before is None or not self.machine.signal_init(signum):
            return done()
        if _wait(done, max(0.0, self._grace - ASKING)):
            return True
        begun = self.machine.leader() != before or self.machine.shutting_down()
        return begun and _wait(done, ORDERLY)


def ssh_greets(address: str, timeout: float = 0.3) -> bool:
    """Whether an sshd really answers: a hung host's kernel still completes TCP handshakes."""
    with contextlib.suppress(OSError), socket.create_connection((address, 22), timeout) as connection:
        connection.settimeout(timeout)
        return connection.recv(4) == b"SSH-"
    return False


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True

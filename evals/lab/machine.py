"""One host of the lab as its hardware sees it: powered or not, frozen or not, with a console, and a cable to pull."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from evals.lab import keeper
from evals.lab.cgroups import HostCgroups
from evals.lab.command_log import CommandLog
from evals.lab.data_disk import DataDisk
from evals.lab.disk import Disk
from evals.lab.leftovers import start_ticks
from evals.lab.machine_commands import call
from evals.lab.names import GUEST
from evals.lab.network import BRIDGE, NAMESPACE, host_address, in_network
from evals.lab.power import ASKING
from evals.lab.probing import wait_until
from evals.lab.processes import ProcessGroup
from evals.lab.stage import LabError

POWER_WAIT = 10.0
"""Seconds for a host to be gone after its power was cut."""

IN_GUEST_LXCFS = "/run/host/lxcfs"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Machine:
    """Host `number` of the lab, its files in `folder`. Its processes belong to `processes`."""

    def __init__(self, number: int, folder: Path, processes: ProcessGroup, lxcfs: Path) -> None:
        self.name = f"lab-{number}"
        self.address = host_address(number)
        self.folder = folder
        self.disk = Disk(folder)
        self.data: DataDisk | None = None
        """Its data disk, where it has one: set before the power goes on."""
        self.asked = CommandLog(folder)
        self.cgroups = HostCgroups(number)
        self._guest = f"{GUEST}{number}"
        self._processes = processes
        self._lxcfs = lxcfs
        self._state = folder / "state.json"
        # the cloud's orders come in several threads
        self._switch = threading.RLock()

    @property
    def cable(self) -> str:
        """The name of the host's network cable at the bridge."""
        return f"vb-{self._guest}"

    @property
    def powered(self) -> bool:
        """Whether the host has power: running, booting, shutting down or hung."""
        with self._switch:
            return self._processes.alive(self.name)

    def leader(self) -> int | None:
        """The process id of the host's init as this machine counts, or None when there is none now."""
        with contextlib.suppress(OSError, ValueError):  # off, or between two boots
            state = json.loads(self._state.read_text())
            if start_ticks(state["leader"]) == state["ticks"]:
                return int(state["leader"])
        return None

    def up_seconds(self) -> float:
        """Seconds since the host's last boot, one it made by itself included; 0 while it is off."""
        with contextlib.suppress(OSError, ValueError):
            ticks = json.loads(self._state.read_text())["ticks"]
            return time.clock_gettime(time.CLOCK_BOOTTIME) - float(ticks) / os.sysconf("SC_CLK_TCK")
        return 0.0

    def boot(self) -> None:
        """Switch the power on; returns at once. Does nothing when it is on. Raises LabError."""
        with self._switch, in_network():
            if self._processes.alive(self.name):
                return
            self._state.unlink(missing_ok=True)
            spec = self.folder / "keeper.json"
            spec.write_text(json.dumps({
                "argv": self._nspawn(), "cgroups": self.cgroups.joining(), "link": self.cable,
                "state": str(self._state), "lxcfs": IN_GUEST_LXCFS,
            }))  # fmt: skip
            self._processes.start(self.name, [sys.executable, "-I", str(Path(keeper.__file__).resolve()), str(spec)])

    def cut_power(self) -> None:
        """Take the power away, whatever the host is doing; returns when it is off. Raises LabError."""
        with self._switch:
            if self._processes.alive(self.name):
                wait_until(self._still_on, POWER_WAIT, f"{self.name} is off after its power was cut", every=0.02)
            self._state.unlink(missing_ok=True)

    def signal_init(self, signum: int) -> bool:
        """Signal the host's init, as a power button does. False when there is none to take it."""
        leader = self.leader()
        if leader is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(leader, signum)
            return True
        return False

    def freeze(self) -> None:
        """Hang the host: it answers pings and TCP handshakes (the kernel does), and nothing else."""
        self.cgroups.freeze()

    def thaw(self) -> None:
        self.cgroups.thaw()

    def give_cpus(self, most: int | None) -> int:
        """Let the host have that many CPUs, None for all; returns how many that are."""
        return self.cgroups.give_cpus(most)

    def plug(self, up: bool) -> None:
        """Plug the host's network cable in, or pull it, at the bridge: the host can't mend it. Raises LabError."""
        call(["ip", "-n", NAMESPACE, "link", "set", self.cable, "up" if up else "down"])

    def run(self, command: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run `command` in the host's sh as root, from outside, not through its sshd.

        Raises LabError when the host is off or `timeout` seconds were not enough.
        """
        leader = self.leader()
        if leader is None:
            raise LabError(f"{self.name} is off: cannot run `{command}` on it")
        child = subprocess.Popen(
            ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "--", "/usr/bin/env", "-i",
             f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8", "/bin/sh", "-c", command],
            text=True, errors="replace", start_new_session=True, cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            # the whole session: what nsenter has forked would hold the pipes open
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            raise LabError(f"on {self.name}, `{command}` did not end within {timeout:g} s and was killed") from error
        return subprocess.CompletedProcess(command, child.returncode, out, err)

    def shutting_down(self) -> bool:
        """Whether the host's init says so, which a hung one's can't."""
        with contextlib.suppress(LabError):
            return self.run("systemctl is-system-running", timeout=ASKING).stdout.strip() == "stopping"
        return False

    def console(self, most: int = 64 * 1024) -> bytes:
        """The end of what the host has written on its console, `most` bytes at most."""
        with contextlib.suppress(FileNotFoundError), self._processes.log(self.name).open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - most))
            # a pty and a log both end the line
            return log.read().replace(b"\r\r\n", b"\r\n")
        return b""

    def _nspawn(self) -> list[str]:
        return [
            "systemd-nspawn", "--quiet", "--boot", "--settings=no", f"--directory={self.disk.root}",
            f"--machine={self._guest}", f"--hostname={self.name}", "--register=no", "--keep-unit",
            "--private-network", f"--network-bridge={BRIDGE}", "--resolv-conf=off", "--timezone=off",
            "--link-journal=no", "--console=read-only", "--capability=CAP_SYSLOG",
            f"--bind={self._lxcfs}:{IN_GUEST_LXCFS}", *(self.data.binds() if self.data else ()),
            *self.asked.binds(),
            # for init: what it starts and stops is what the console's log shows
            "systemd.show_status=true", "systemd.log_color=false",
        ]  # fmt: skip

    def _still_on(self) -> str | None:
        if not self._processes.alive(self.name):
            return None
        # KILL before the thaw: a hung host must not get to do anything more. Asked again and again, because
        # what was just being forked is seen the next time
        for pid in self.cgroups.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.thaw()
        return f"processes {sorted(self.cgroups.processes())} are left"

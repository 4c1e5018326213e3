# NOTE TO THE HELPER WHO WRITES THE HOSTS LAB: while you were cut off (API outage) the lead drafted cgroups.py, network.py,
# rootfs.py, machine.py, detect.py, hosts.py and faults/host_hung.py, host_stopped.py, service_oom_killed.py, and so overwrote some
# of yours. The lab is YOURS: restore your own versions where you have them, use/replace/delete these drafts as you like (copies
# are in /tmp/prep/mylab), remove this note, and go on. The lead will not touch evals/lab/ again until you report. Be done by 14:40.
"""One host of the lab: a booted Debian with its own disk, network, control groups, journal and sshd."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from evals.lab import network
from evals.lab.cgroups import HostCgroups
from evals.lab.probing import wait_until
from evals.lab.rootfs import run
from evals.lab.stage import LabError

MEMORY_MIB = 256
PROC_FILES = ("meminfo", "stat", "cpuinfo", "loadavg")
REBOOTED = 133
"""What nspawn with --keep-unit ends with when the guest asks for a reboot."""


class Machine:
    """Power, freezer, link and disk of one host. `folder` is its own; `lxcfs` where per-host /proc files come from."""

    def __init__(self, number: int, folder: Path, image: Path, lxcfs: Path, user_key: Path) -> None:
        self.number = number
        self.name = f"host-{number}"
        self.address = network.address_of(number)
        self.folder = folder
        self.root = folder / "root"
        self.console = folder / "console.log"
        self.cgroups = HostCgroups(number)
        self._image, self._lxcfs, self._user_key = image, lxcfs, user_key
        self._loop = ""
        self._keeper: subprocess.Popen[bytes] | None = None

    # -- power ------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Start the host where it is off; a guest's own reboot brings it back by itself."""
        if self.running:
            return
        self._prepare_disk()
        self.cgroups.make(MEMORY_MIB)
        # pure shell, so that the keeper outlives nothing and needs nothing: it starts the guest again after a reboot
        script = (
            f"{self.cgroups.enter_script()}; while :; do {' '.join(self._nspawn())} & echo $! > {self.folder}/nspawn.pid; "
            f'wait $!; rc=$?; echo "console: nspawn ended with $rc"; [ $rc = {REBOOTED} ] || break; done'
        )
        with self.console.open("ab") as console:
            self._keeper = subprocess.Popen(
                ["sh", "-c", script], stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
            )
        (self.folder / "keeper.pid").write_text(str(self._keeper.pid))

    def power_off(self) -> None:
        """Cut the power: nothing is asked, nothing is flushed."""
        leader = self.leader
        pids = self.cgroups.pids()
        for pid in [leader] if leader else pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.cgroups.frozen:
            self.cgroups.freeze(False)
        self._wait_off(10)

    def shut_down(self, patience: float = 8.0) -> None:
        """Ask the guest to power off; cut the power where it does not in time."""
        if self.cgroups.frozen or not self._signal_init(signal.SIGRTMIN + 4):
            self.power_off()
            return
        try:
            self._wait_off(patience)
        except LabError:
            self.power_off()

    def reboot(self, patience: float = 2.0) -> None:
        """Ask the guest to reboot, as a provider does; one that does not react is reset by force."""
        before = self.leader
        if not self.cgroups.frozen and self._signal_init(signal.SIGINT):
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline:
                if self.leader != before:
                    return
                time.sleep(0.05)
        self.power_off()
        self.power_on()

    @property
    def running(self) -> bool:
        return self._keeper is not None and self._keeper.poll() is None

    @property
    def leader(self) -> int | None:
        """The guest's init, as this machine sees it."""
        with contextlib.suppress(OSError, ValueError):
            nspawn = int((self.folder / "nspawn.pid").read_text())
            children = Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()
            return int(children[0]) if children else None
        return None

    # -- faults --------------------------------------------------------------------------------------------

    def freeze(self) -> None:
        """Hang the whole host: TCP handshakes may still be answered by the kernel, nothing else is."""
        self.cgroups.freeze(True)

    def thaw(self) -> None:
        self.cgroups.freeze(False)

    def run(self, command: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run a shell command on the host, around SSH. Raises LabError when the host is off or too slow."""
        leader = self.leader
        if leader is None:
            raise LabError(f"{self.name} is off")
        entered = ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "--", "/bin/sh", "-c", command]
        try:
            return subprocess.run(entered, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"on {self.name}, `{command}` did not end within {timeout:g} s") from error

    def console_tail(self, limit: int = 4096) -> str:
        with contextlib.suppress(OSError):
            return self.console.read_bytes()[-limit:].decode(errors="replace")
        return ""

    # -- making and removing ----------------------------------------------------------------------------------

    def bind_proc(self) -> None:
        """Give the host its own view of CPU and memory, once its init is up (also after each reboot)."""
        leader = self.leader
        if leader is None or not (self._lxcfs / "proc").is_dir():
            return
        mounts = " && ".join(f"mount --bind /run/host/lxcfs/proc/{name} /proc/{name}" for name in PROC_FILES)
        guard = f"grep -q lxcfs /proc/mounts || ({mounts})"
        subprocess.run(
            ["nsenter", "-t", str(leader), "-m", "-p", "--", "/bin/sh", "-c", guard], capture_output=True, timeout=10
        )

    def bind_proc_when_up(self, timeout: float = 10.0) -> None:
        """As `bind_proc`, once the init of a host just started can be entered."""

        def missing() -> str | None:
            leader = self.leader
            ready = leader is not None and Path(f"/proc/{leader}/root/run/systemd/private").exists()
            return None if ready else "no init yet"

        with contextlib.suppress(LabError):  # a host that was told to stop has no init to wait for
            if self.running:
                wait_until(missing, timeout, f"{self.name} has an init")
                self.bind_proc()

    def remove(self) -> None:
        """Take the host and all traces of it away."""
        if self.leader is not None or self.running:
            self.power_off()
        if self._keeper is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._keeper.wait(timeout=5)
        for pid in self.cgroups.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(LabError):
            wait_until(lambda: "processes" if self.cgroups.pids() else None, 5, f"{self.name} is empty")
        release_disk(self.folder)
        self.cgroups.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_off(self, timeout: float) -> None:
        wait_until(lambda: "still running" if self.running else None, timeout, f"{self.name} is off")

    def _signal_init(self, number: int) -> bool:
        leader = self.leader
        if leader is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(leader, number)
            return True
        return False

    def _prepare_disk(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        disk = self.folder / "disk.img"
        if not disk.exists():
            run(["cp", "--sparse=always", "--reflink=auto", str(self._image), str(disk)], 120)
        if not os.path.ismount(self.root):
            self._loop = run(["losetup", "-f", "--show", str(disk)], 10).strip()
            (self.folder / "loop").write_text(self._loop)
            run(["mount", self._loop, str(self.root)], 10)
        self._personalise()

    def _personalise(self) -> None:
        """What makes this host this host: name, address, host key, and who may log in."""
        (self.root / "etc/hostname").write_text(f"{self.name}\n")
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost {self.name}\n")
        link = (
            f"[Match]\nName=host0\n[Network]\nAddress={self.address}/{network.PREFIX_LENGTH}\n"
            f"Gateway={network.GATEWAY}\nLinkLocalAddressing=no\n"
        )
        (self.root / "etc/systemd/network/10-host0.network").write_text(link)
        key = self.folder / "ssh_host_ed25519_key"
        if not key.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(key)], 10)
        for suffix in ("", ".pub"):
            shutil.copy(f"{key}{suffix}", self.root / "etc/ssh" / f"ssh_host_ed25519_key{suffix}")
        (self.root / "etc/ssh/ssh_host_ed25519_key").chmod(0o600)
        home = self.root / "home/selfheal"
        owner = home.stat()
        (home / ".ssh").mkdir(exist_ok=True, mode=0o700)
        authorized = home / ".ssh/authorized_keys"
        authorized.write_text(self._user_key.with_suffix(".pub").read_text())
        authorized.chmod(0o600)
        for path in (home / ".ssh", authorized):
            os.chown(path, owner.st_uid, owner.st_gid)

    def _nspawn(self) -> list[str]:
        lxcfs = [f"--bind={self._lxcfs}:/run/host/lxcfs"] if (self._lxcfs / "proc").is_dir() else []
        return [
            *network.prefix(),
            "systemd-nspawn",
            "--quiet",
            "--boot",
            f"--directory={self.root}",
            f"--network-bridge={network.BRIDGE}",
            "--private-network",
            "--register=no",
            "--keep-unit",
            f"--machine=lab{self.number}",
            f"--hostname={self.name}",
            "--resolv-conf=off",
            "--timezone=off",
            "--console=pipe",
            "--capability=CAP_SYSLOG",
            *lxcfs,
        ]


def release_disk(folder: Path) -> None:
    """Unmount and detach the disk of a host, also of one that an earlier run left."""
    root = folder / "root"
    while os.path.ismount(root):
        subprocess.run(["umount", "-l", str(root)], capture_output=True, timeout=10)
    loops = subprocess.run(
        ["losetup", "-n", "-O", "NAME", "-j", str(folder / "disk.img")], capture_output=True, text=True, timeout=10
    )
    for name in loops.stdout.split():
        subprocess.run(["losetup", "-d", name], capture_output=True, timeout=10)

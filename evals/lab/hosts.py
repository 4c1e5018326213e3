# NOTE TO THE HELPER WHO WRITES THE HOSTS LAB: while you were cut off (API outage) the lead drafted cgroups.py, network.py,
# rootfs.py, machine.py, detect.py, hosts.py and faults/host_hung.py, host_stopped.py, service_oom_killed.py, and so overwrote some
# of yours. The lab is YOURS: restore your own versions where you have them, use/replace/delete these drafts as you like (copies
# are in /tmp/prep/mylab), remove this note, and go on. The lead will not touch evals/lab/ again until you report. Be done by 14:40.
"""The lab setting: booted systemd hosts in a network of their own, with a cloud that can reboot them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from evals.lab import cgroups, network
from evals.lab.cloud import CREDENTIALS, REGION, Cloud
from evals.lab.machine import Machine, release_disk
from evals.lab.monitoring import MonitoredHost, Monitoring
from evals.lab.probing import ask, wait_until
from evals.lab.processes import ProcessGroup
from evals.lab.rootfs import base_image, run
from evals.lab.stage import LabError, SettingName, StageHost, StageOptions

LOCK = Path("/run/lock/selfheal-lab.lock")
SERVICE = "shopd"
SERVICE_PORT = 8080


class LabStage:
    """Hosts that boot, hang and crash. See `Stage` for what each method promises. One at a time per machine."""

    name: SettingName = "lab"

    def __init__(self, options: StageOptions) -> None:
        self.options = options
        self.work = options.work.resolve()
        self.hosts: Sequence[StageHost] = tuple(
            StageHost(f"host-{n}", "inst-abc123" if n == 1 else f"inst-lab{n}", network.address_of(n), SERVICE)
            for n in range(1, options.hosts + 1)
        )
        self.machines: dict[str, Machine] = {}
        self.cloud: Cloud | None = None
        self._processes = ProcessGroup(self.work / "processes")
        self._monitoring: Monitoring | None = None
        self._lock: IO[str] | None = None
        self._entered = threading.local()

    @property
    def prometheus_url(self) -> str:
        return self._monitoring.prometheus_url if self._monitoring else ""

    @property
    def alertmanager_url(self) -> str:
        return self._monitoring.alertmanager_url if self._monitoring else ""

    def up(self) -> None:
        """Bring everything up, or nothing."""
        self._take_lock()
        try:
            self._up()
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Remove everything, also what a killed run left."""
        if self._lock is None:
            self._take_lock()
        if self._monitoring is not None:
            self._monitoring.down()
        else:
            ProcessGroup(self.work / "monitoring").stop()
        if self.cloud is not None:
            self.cloud.down()
        for machine in self.machines.values():
            machine.remove()
        self._sweep()
        self._processes.stop()
        network.remove()
        shutil.rmtree(self.work, ignore_errors=True)
        self._release_lock()

    def resources(self) -> list[dict[str, Any]]:
        return [self._entry(host) for host in self.hosts]

    def environment(self) -> Mapping[str, str]:
        return CREDENTIALS

    def enter(self) -> None:
        if getattr(self._entered, "before", None) is None:
            self._entered.before = network.enter()

    def leave(self) -> None:
        before = getattr(self._entered, "before", None)
        if before is not None:
            network.leave(before)
            self._entered.before = None

    def run(self, host: StageHost, command: str, timeout: float = 15.0) -> subprocess.CompletedProcess[str]:
        """Run `command` as root on the host, around SSH. Raises LabError when it is off or too slow."""
        return self.machine(host).run(command, timeout)

    def healthy(self, host: StageHost) -> bool:
        with self._inside():
            try:
                return ask(f"http://{host.address}:{SERVICE_PORT}/healthz", timeout=2)[0] == 200
            except OSError:
                return False

    def machine(self, host: StageHost) -> Machine:
        """The host's power switch, freezer and disk: how faults are made."""
        return self.machines[host.name]

    def _up(self) -> None:
        image = base_image(self.options.say)
        self._sweep()
        self.work.mkdir(parents=True, exist_ok=True)
        network.make()
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "selfheal", "-f", str(self._key)], 10)
        self._start_lxcfs()
        for number, host in enumerate(self.hosts, 1):
            folder = self.work / host.name
            folder.mkdir()
            self.machines[host.name] = Machine(number, folder, image, self._lxcfs, self._key)
            self.machines[host.name].power_on()
        with self._inside():
            self.cloud = Cloud(self.machines, self._processes)
            self.cloud.up()
            for host in self.hosts:
                self.machine(host).bind_proc_when_up()
            targets = [
                MonitoredHost(h.resource_id, f"{h.address}:9100", f"{h.address}:{SERVICE_PORT}") for h in self.hosts
            ]
            self._monitoring = Monitoring(self.options, targets)
            self._monitoring.up()
            self._monitoring.wait_healthy(60)
        known = [f"{host.address} {self._host_key(host)}" for host in self.hosts]
        (self.work / "known_hosts").write_text("\n".join(known) + "\n")

    def _entry(self, host: StageHost) -> dict[str, Any]:
        assert self.cloud is not None, "resources are known once the stage is up"
        return {
            "id": host.resource_id,
            "kind": "Instance",
            "group": "web",
            "address": host.address,
            "ssh": {
                "user": "selfheal",
                "key_file": str(self._key),
                "known_hosts": str(self.work / "known_hosts"),
                "sudo": True,
            },
            "service_manager": {"name": "systemd"},
            "provider": {
                "name": "ec2",
                "region": REGION,
                "instance_id": self.cloud.instance_ids[host.name],
                "endpoint_url": self.cloud.url,
            },
            "services": [SERVICE],
            "health": [{"http": f"http://{host.address}:{SERVICE_PORT}/healthz"}, {"service": SERVICE}],
        }

    def _host_key(self, host: StageHost) -> str:
        kind, key, *_ = (self.machine(host).folder / "ssh_host_ed25519_key.pub").read_text().split()
        return f"{kind} {key}"

    @property
    def _key(self) -> Path:
        return self.work / "id_ed25519"

    @property
    def _lxcfs(self) -> Path:
        return self.work / "lxcfs"

    def _start_lxcfs(self) -> None:
        """Per-host /proc files. Without it a host shows the whole machine's load; told, not fatal."""
        self._lxcfs.mkdir()
        self._processes.start(
            "lxcfs", ["lxcfs", "-f", "-l", "--enable-cfs", f"--pidfile={self.work}/lxcfs.pid", str(self._lxcfs)]
        )
        try:
            wait_until(lambda: None if (self._lxcfs / "proc").is_dir() else "no /proc", 5, "lxcfs is up")
        except LabError:
            self.options.say("lxcfs does not start here: hosts show the load of the whole machine")

    def _sweep(self) -> None:
        """End what a killed run left: processes by control group, mounts and loop devices by folder."""
        for number in range(1, max(self.options.hosts, 8) + 1):
            groups = cgroups.HostCgroups(number)
            if groups.path("freezer").exists() and f"host-{number}" not in self.machines:
                folder = self.work / f"host-{number}"
                with contextlib.suppress(OSError):
                    groups.freeze(False)
                Machine(number, folder, Path(), self._lxcfs, self._key).remove()
        for folder in self.work.glob("host-*"):
            release_disk(folder)
        if os.path.ismount(self._lxcfs):
            subprocess.run(["umount", "-l", str(self._lxcfs)], capture_output=True, timeout=10)

    @contextlib.contextmanager
    def _inside(self) -> Any:
        """The calling thread inside the lab's network, wherever it was before."""
        before = network.enter()
        try:
            yield
        finally:
            network.leave(before)

    def _take_lock(self) -> None:
        LOCK.parent.mkdir(parents=True, exist_ok=True)
        lock = LOCK.open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise LabError(f"another lab runs on this machine (lock {LOCK}): wait for it, or end it") from error
        self._lock = lock

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

"""The local setting: the whole chain as plain processes, for a container or laptop without privileges.

Everything is real (Prometheus, Alertmanager, node_exporter, a service under supervisord, an sshd to reach it); only the
host is this machine itself, so what needs a host of its own to break is left to the lab setting.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.lab import shopd
from evals.lab.leftovers import MARK
from evals.lab.loopback_ssh import LoopbackSsh
from evals.lab.monitoring import MonitoredHost, Monitoring, find_binary, has_binary
from evals.lab.packages import install_command
from evals.lab.probing import ask, free_port
from evals.lab.processes import ProcessGroup
from evals.lab.stage import LabError, SettingName, StageHost, StageOptions
from evals.lab.supervised import Supervised

OWNED = ".selfheal-stage"
"""File that marks a folder as a stage's own, without which `down` empties nothing."""

SERVICE = "shopd"

NODE_COLLECTORS = ("cpu", "diskstats", "filesystem", "loadavg", "meminfo", "netdev", "stat", "time", "uname", "vmstat")
"""What a heal looks at; the default set costs several times the CPU at one scrape a second."""

# binaries by any of their names, and the package that brings them
NEEDED = (
    (("prometheus",), "prometheus"),
    (("prometheus-alertmanager", "alertmanager"), "prometheus-alertmanager"),
    (("prometheus-node-exporter", "node_exporter"), "prometheus-node-exporter"),
)
WANTED = ((("ssh-keygen",), "openssh-client"), (("sshd",), "openssh-server"))


def local_missing(wanted: bool = False) -> list[tuple[str, str]]:
    """(binary, command that installs it) for what this setting needs and PATH has not; [] means it can run.

    With `wanted`, also what it can do without: lacking an sshd, it uses the local transport.
    """
    return [
        (" or ".join(names), install_command([package]))
        for names, package in NEEDED + (WANTED if wanted else ())
        if not has_binary(*names)
    ]


def local_packages() -> list[str]:
    """The Debian packages that bring what is missing on PATH."""
    return [package for names, package in NEEDED + WANTED if not has_binary(*names)]


ALERTS = ("InstanceDown", "ServiceDown")
"""The host is this machine: its CPU and its disks are everybody's, and none of the stage's business."""


class LocalStage:
    """One host, which is this machine. See `Stage` for what each method promises."""

    name: SettingName = "local"

    def __init__(self, options: StageOptions) -> None:
        if options.hosts != 1:
            raise LabError(f"the local setting has one host, this machine; {options.hosts} were asked for: use the lab")
        self.options = options
        self.work = options.work.resolve()
        self.config_path = self.work / "shopd.json"
        self.service_address = ""
        self.hosts: Sequence[StageHost] = (StageHost("local", "inst-abc123", "127.0.0.1", SERVICE),)
        self._processes = ProcessGroup(self.work)
        self._ssh: LoopbackSsh | None = None
        command = [sys.executable, str(Path(shopd.__file__).resolve()), str(self.config_path)]
        self._supervised = Supervised(self.work, SERVICE, command)
        self._monitoring: Monitoring | None = None

    @property
    def prometheus_url(self) -> str:
        return self._monitoring.prometheus_url if self._monitoring else ""

    @property
    def alertmanager_url(self) -> str:
        return self._monitoring.alertmanager_url if self._monitoring else ""

    def up(self) -> None:
        """Bring everything up, or nothing: what was started is stopped again when a part fails."""
        self._claim()
        try:
            self._up()
        except LabError as error:
            # the logs go with the work folder
            tails = [f"{name}: {self._processes.log_tail(name, 8)}" for name in ("supervisord", "node_exporter")]
            self.down()
            raise LabError("\n".join([str(error), *tails])) from error
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Stop everything and empty the work folder, also after an earlier run that was killed."""
        if self._monitoring is not None:
            self._monitoring.down()
        else:
            ProcessGroup(self.work / "monitoring").stop()
        self._processes.stop()
        self._supervised.remove()
        if (self.work / OWNED).exists():
            for child in self.work.iterdir():
                if child.name != OWNED:
                    shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
            # last, so that an interrupted clean-up can be taken up again
            (self.work / OWNED).unlink()

    def resources(self) -> list[dict[str, Any]]:
        entry: dict[str, Any] = {
            "id": self.hosts[0].resource_id,
            "kind": "Instance",
            "group": "web",
            "address": self.hosts[0].address,
            "service_manager": {
                "name": "supervisord",
                "config": str(self._supervised.config),
                "command": str(self._supervised.control),
            },
            "provider": {"name": "none"},
            "services": [SERVICE],
            "health": [{"http": f"http://{self.service_address}/healthz"}, {"service": SERVICE}],
        }
        return [entry | ({"ssh": self._ssh.entry()} if self._ssh else {"transport": "local"})]

    def environment(self) -> Mapping[str, str]:
        """Nothing: this setting has no cloud."""
        return {}

    def enter(self) -> None:
        """Nothing to enter: the stage lives in the caller's own network."""

    def leave(self) -> None:
        """Nothing to leave."""

    def run(self, host: StageHost, command: str, timeout: float = 15.0) -> subprocess.CompletedProcess[str]:
        """Run `command` in sh as the current user, with this stage's supervisorctl first on PATH.

        It runs in the work folder, where supervisorctl finds its configuration without being told. SHOPD_CONFIG names
        the service's configuration. Raises LabError when `timeout` seconds were not enough.
        """
        environment = {
            **os.environ,
            "PATH": f"{self._supervised.control.parent}:{os.environ.get('PATH', os.defpath)}",
            "SHOPD_CONFIG": str(self.config_path),
            MARK: self._processes.mark,
        }
        child = subprocess.Popen(
            ["/bin/sh", "-c", command], env=environment, cwd=self.work, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            # the whole session: a grandchild holding the pipe would keep us reading
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            raise LabError(f"on {host.name}, `{command}` did not end within {timeout:g} s and was killed") from error
        return subprocess.CompletedProcess(command, child.returncode, out, err)

    def healthy(self, host: StageHost) -> bool:
        try:
            return ask(f"http://{self.service_address}/healthz", timeout=2)[0] == 200
        except OSError:
            return False

    def _up(self) -> None:
        self.service_address = f"127.0.0.1:{free_port()}"
        self._write_config()
        self._supervised.start(self._processes)
        exporter = f"127.0.0.1:{free_port()}"
        self._processes.start("node_exporter", [
            find_binary("prometheus-node-exporter", "node_exporter"), f"--web.listen-address={exporter}",
            "--log.level=warn", "--collector.disable-defaults", *(f"--collector.{name}" for name in NODE_COLLECTORS),
        ])  # fmt: skip
        target = MonitoredHost(self.hosts[0].resource_id, exporter, self.service_address, SERVICE)
        self._monitoring = Monitoring(self.options, [target], alerts=ALERTS)
        self._monitoring.up()
        # while the servers start, which is what takes the time
        self._start_ssh()
        self._monitoring.wait_healthy()

    def _start_ssh(self) -> None:
        ssh = LoopbackSsh(self.work / "ssh")
        try:
            ssh.start(self._processes)
        except LabError as error:
            self.options.say(f"no sshd here ({str(error).splitlines()[0]}): the host is reached by the local transport")
        else:
            self._ssh = ssh

    def _write_config(self) -> None:
        data = self.work / "shopd-data"
        data.mkdir(exist_ok=True)
        address, _, port = self.service_address.rpartition(":")
        config = {"listen": address, "port": int(port), "data_dir": str(data), "upstream": ""}
        # a setting a line: the service names the line that is wrong
        self.config_path.write_text(json.dumps(config, indent=2) + "\n")

    def _claim(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        if (self.work / OWNED).exists():
            self.down()
        elif any(self.work.iterdir()):
            raise LabError(f"{self.work} is not empty and not a stage's own; name another folder or empty it yourself")
        (self.work / OWNED).write_text("this folder belongs to a stage of the lab, which empties it\n")

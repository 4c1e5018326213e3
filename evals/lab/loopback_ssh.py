"""A real sshd on a loopback port, run by whoever runs the lab: how the local setting's host is reached.

With a host key and a client key of its own, and a known_hosts that names exactly that host key, so that the
product's strict checking is exercised as on any other host.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import paramiko

from evals.lab.leftovers import MARK
from evals.lab.monitoring import find_binary
from evals.lab.probing import free_port, wait_until
from evals.lab.processes import ProcessGroup
from evals.lab.stage import LabError

READY_WAIT = 5.0
"""Seconds for sshd to answer a first command."""


class LoopbackSsh:
    """An sshd that lets the current user in with the key in `work/id_ed25519`.

    `plain_shell`: commands run without the user's ~/.bashrc, which bash reads where sshd starts it.
    """

    def __init__(self, work: Path, plain_shell: bool = False) -> None:
        self._work = work
        self._plain_shell = plain_shell
        self.key_file = work / "id_ed25519"
        self.known_hosts = work / "known_hosts"
        self.user = ""
        self.port = 0

    def start(self, processes: ProcessGroup) -> None:
        """Start sshd and run one command through it. Raises LabError when that can't be had here."""
        sshd, keygen = find_binary("sshd"), find_binary("ssh-keygen")
        try:
            self.user = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            raise LabError(f"sshd lets in named users only, and uid {os.getuid()} has no name") from None
        self.port = free_port()
        self._work.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_keys(keygen)
        (self._work / "sshd_config").write_text(self._render(processes.mark))
        if os.getuid() == 0:
            # compiled-in folder for privilege separation, usually made by the init script
            Path("/run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)
        # sshd insists on its absolute path
        processes.start("sshd", [sshd, "-D", "-e", "-f", str(self._work / "sshd_config")])
        try:
            wait_until(lambda: self._missing(processes), READY_WAIT, f"sshd on 127.0.0.1:{self.port} runs a command")
        except LabError as error:
            processes.stop_one("sshd")
            raise LabError(f"{error}\n{processes.log_tail('sshd', 5)}") from error

    def entry(self) -> dict[str, object]:
        """The `ssh` key of a resource in selfheal.yaml."""
        return {
            "user": self.user, "port": self.port, "key_file": str(self.key_file),
            "known_hosts": str(self.known_hosts), "sudo": False,
        }  # fmt: skip

    def _make_keys(self, keygen: str) -> None:
        host_key = self._work / "host_ed25519"
        for path, comment in ((host_key, "lab host"), (self.key_file, "lab client")):
            path.unlink(missing_ok=True)
            made = subprocess.run(
                [keygen, "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
                capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            if made.returncode != 0:
                raise LabError(f"ssh-keygen could not make {path}: {made.stderr.strip()}")
        (self._work / "authorized_keys").write_text(self.key_file.with_suffix(".pub").read_text())
        public = host_key.with_suffix(".pub").read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public[0]} {public[1]}\n")

    def _render(self, mark: str) -> str:
        return f"""ListenAddress 127.0.0.1:{self.port}
HostKey "{self._work / "host_ed25519"}"
AuthorizedKeysFile "{self._work / "authorized_keys"}"
PidFile none
AllowUsers {self.user}
AuthenticationMethods publickey
PermitRootLogin prohibit-password
# the work folder may lie in a world-writable one such as /tmp
StrictModes no
# needs no privileges
UsePAM no
UseDNS no
PrintMotd no
PrintLastLog no
X11Forwarding no
MaxStartups 64
MaxSessions 32
LogLevel INFO
# lets commands left running be found when the lab ends
SetEnv "{MARK}={mark}"{" SHLVL=1" if self._plain_shell else ""}
"""

    def _missing(self, processes: ProcessGroup) -> str | None:
        if not processes.alive("sshd"):
            raise LabError("sshd ended at once")
        client = paramiko.SSHClient()
        client.load_host_keys(str(self.known_hosts))
        try:
            client.connect(
                "127.0.0.1", self.port, self.user, key_filename=str(self.key_file), timeout=2, banner_timeout=3,
                auth_timeout=3, channel_timeout=3, allow_agent=False, look_for_keys=False,
            )  # fmt: skip
            said = client.exec_command("echo through", timeout=3)[1].read().decode(errors="replace").strip()
        except paramiko.AuthenticationException as error:
            raise LabError(f"sshd does not let {self.user} in: {error}") from error
        except (OSError, paramiko.SSHException) as error:
            return str(error)
        finally:
            client.close()
        if said != "through":
            # a login shell such as nologin, which no amount of waiting changes
            raise LabError(f"the shell of {self.user} runs no commands: {said!r}")
        return None

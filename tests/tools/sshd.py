"""A real sshd on a loopback port, run as whoever runs the tests, with keys of its own."""

from __future__ import annotations

import contextlib
import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from graph.records import Resource, ServiceManagerAccess, SshAccess

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def login_refused() -> str | None:
    """Why sshd would refuse the user who runs the tests whatever the key, or None: `nobody` in a container, say."""
    try:
        shell = pwd.getpwuid(os.getuid()).pw_shell
    except KeyError:
        return f"uid {os.getuid()} has no entry in the password file"
    return f"its shell is {shell}" if shell.endswith(("/nologin", "/false")) else None


@dataclass
class Sshd:
    """A running sshd and what it takes to get in."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Run it, on the same port and with the same keys as before."""
        assert SSHD is not None
        with (self.folder / "log").open("ab") as log:
            command = [SSHD, "-D", "-e", "-f", str(self.folder / "config")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        _await_banner(self)

    def stop(self) -> None:
        """As a host that goes down: whoever is connected is cut off."""
        self.cut()
        self.process.kill()
        self.process.wait(timeout=10)

    def access(self, **changes: object) -> SshAccess:
        values: dict[str, object] = {
            "user": getpass.getuser(),
            "key_file": str(self.folder / "client"),
            "known_hosts": str(self.folder / "known_hosts"),
            "port": self.port,
            "sudo": False,
        }
        return SshAccess.model_validate(values | changes)

    def resource(self, name: str = "inst-1", services: tuple[str, ...] = ("web",), **changes: object) -> Resource:
        return Resource(
            id=name,
            kind="Instance",
            address="127.0.0.1",
            ssh=self.access(**changes),
            services=services,
            service_manager=ServiceManagerAccess(),
        )

    def sessions(self) -> list[int]:
        """Pids of the processes that serve connections: one each, or two where privileges are separated."""
        serving = [pid for pid, _name in children(self.process.pid)]
        return serving + [pid for parent in serving for pid, name in children(parent) if name.startswith("sshd")]

    def cut(self) -> None:
        """Kill the server's side of every connection, at once; what it runs goes on."""
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):  # it went with the one before
                os.kill(pid, signal.SIGKILL)


def children(parent: int) -> list[tuple[int, str]]:
    """Pid and name of each child, from /proc: `ps` is not installed everywhere."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):  # it ended while we looked
            pid, _, rest = entry.read_text(errors="replace").partition(" (")
            name, _, fields = rest.rpartition(") ")
            if int(fields.split()[1]) == parent:
                found.append((int(pid), name))
    return found


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def make_key(path: Path) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, capture_output=True, timeout=20
    )


@contextlib.contextmanager
def running_sshd(folder: Path) -> Iterator[Sshd]:
    """A running sshd with its files in `folder`. Skips where there is none to run."""
    if SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("no sshd here: install openssh-server")
    if refused := login_refused():
        pytest.skip(f"sshd lets no session of this user in: {refused}")
    if os.geteuid() == 0:
        # Run by root, sshd insists on this folder; its package's service would make it.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("host", "client"):
        make_key(folder / name)
    port = free_port()
    (folder / "authorized_keys").write_text((folder / "client.pub").read_text())
    kind, key, *_ = (folder / "host.pub").read_text().split()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nPermitRootLogin yes\nMaxStartups 200\nMaxSessions 20\n"
    )
    server = Sshd(folder, port)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _await_banner(server: Sshd) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=2) as sock:
            if sock.recv(4) == b"SSH-":
                return
        if server.process.poll() is not None:
            break
        time.sleep(0.05)
    pytest.skip(f"sshd does not run here: {(server.folder / 'log').read_text()[-500:]}")


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """The port of a server that accepts connections, as a frozen host's kernel does, and never says a word."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(64)
        yield int(sock.getsockname()[1])

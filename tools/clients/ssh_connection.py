"""One SSH connection, blocking: opened strictly, and every wait bounded.

paramiko waits without bound in several places (`recv_exit_status`, the answer to `exec`, closing). What can be polled
is polled to a deadline here; what cannot is ended from outside by `abort`, which takes the socket away.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import paramiko
from paramiko.hostkeys import InvalidHostKey

from graph.records import Resource, SshAccess
from tools.clients.host import MAX_OUTPUT_BYTES, CommandResult, HostUnreachable, UnreachableHow

_LOG = "selfheal.ssh.paramiko"
# Each failure is raised to us with its reason; paramiko would log a traceback of it as well.
logging.getLogger(_LOG).setLevel(logging.CRITICAL)

_EOF_GRACE_SECONDS = 0.3
_LONGEST_PAUSE_SECONDS = 0.05
_CHUNK_BYTES = 32 * 1024
_CHUNKS_AT_ONCE = 16


@dataclass(frozen=True)
class SshTimes:
    """Seconds each stage may take, and the interval of keepalives."""

    connect: float = 5.0
    banner: float = 5.0
    auth: float = 5.0
    channel: float = 5.0
    keepalive: float = 15.0

    @property
    def whole_connect(self) -> float:
        """The longest a connection may take from nothing to authenticated."""
        return self.connect + self.banner + self.auth


@dataclass
class Running:
    """A command under way: what it tells to those outside its thread, and how they stop it."""

    stop: threading.Event = field(default_factory=threading.Event)
    sent: bool = False
    """From the moment the host may have been told."""
    ended: bool = False


class StaleConnection(Exception):
    """The connection took no new command; nothing was sent."""

    @property
    def how(self) -> UnreachableHow:
        return "timeout" if "timeout" in str(self).lower() else "closed"


class _UnknownHostKey(paramiko.SSHException):
    pass


class _RefuseUnknown(paramiko.RejectPolicy):
    """Refuses like RejectPolicy, with an exception that can be told from others."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> NoReturn:
        raise _UnknownHostKey(f"{key.get_name()} {key.fingerprint}")


class SshConnection:
    """An authenticated connection. Several threads may run commands over it at once."""

    def __init__(self, where: str, client: paramiko.SSHClient, transport: paramiko.Transport, sock: socket.socket):
        self._where = where
        self._client = client
        self._transport = transport
        self._sock = sock
        self.last_used = time.monotonic()
        self.users = 0

    @property
    def usable(self) -> bool:
        return self._transport.is_active()

    def abort(self) -> None:
        """Take the socket away: every wait on this connection ends. Never blocks."""
        with contextlib.suppress(OSError):  # already closed by the other side: just what is wanted
            self._sock.shutdown(socket.SHUT_RDWR)

    def execute(
        self, command: str, deadline: float, running: Running, channel_timeout: float, given: str | None = None
    ) -> CommandResult:
        """Run the command to its end or to `deadline` (of `time.monotonic`); `given` is its standard input.

        Raises StaleConnection where nothing was sent, HostUnreachable where it did not come to its end.
        """
        started = time.monotonic()
        channel = self._open_channel(min(channel_timeout, deadline - started))
        try:
            running.sent = True
            channel.exec_command(command)
            if given is not None:
                channel.sendall(given.encode())
                channel.shutdown_write()
            stdout, stderr = self._drain(channel, deadline, running)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._cut(command, error) from error
        finally:
            self.last_used = time.monotonic()
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):  # it is of no more use anyway
                channel.close()
        return CommandResult(command, channel.exit_status, stdout.text, stderr.text, time.monotonic() - started)

    def _open_channel(self, timeout: float) -> paramiko.Channel:
        try:
            return self._transport.open_session(timeout=max(timeout, 0.05))
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise StaleConnection(f"{self._where}: opens no channel: {_words(error)}") from error

    def _drain(self, channel: paramiko.Channel, deadline: float, running: Running) -> tuple[_Part, _Part]:
        stdout, stderr = _Part(), _Part()
        pause, ended_at = 0.002, None
        while True:
            moved = stdout.take(channel.recv_ready, channel.recv)
            moved |= stderr.take(channel.recv_stderr_ready, channel.recv_stderr)
            now = time.monotonic()
            if channel.exit_status_ready() and not moved:
                if ended_at is None:
                    ended_at, pause = now, 0.002
                # A child left in the background may hold the output open: do not wait for it.
                if channel.eof_received or channel.closed or now - ended_at > _EOF_GRACE_SECONDS:
                    break
            if running.stop.is_set() or now >= deadline:
                raise HostUnreachable(f"{self._where}: the command did not end in time", "timeout", sent=True)
            if not moved:
                channel.status_event.wait(pause) if ended_at is None else time.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
            else:
                pause = 0.002
        if channel.exit_status == -1 and not (channel.eof_received and self.usable):
            raise HostUnreachable(f"{self._where}: the connection was cut during the command", "closed", sent=True)
        return stdout, stderr

    def _cut(self, command: str, error: Exception) -> HostUnreachable:
        return HostUnreachable(
            f"{self._where}: the connection failed during {command[:80]!r}: {_words(error)}", "closed", sent=True
        )


@dataclass
class _Part:
    """One stream, kept up to the bound and read to the end."""

    data: bytearray = field(default_factory=bytearray)

    def take(self, ready: Callable[[], bool], receive: Callable[[int], bytes]) -> bool:
        """Read some of what is there; whether anything was. Not all at once: a flood must not outrun the deadline."""
        moved = False
        for _ in range(_CHUNKS_AT_ONCE):
            chunk = receive(_CHUNK_BYTES) if ready() else b""
            if not chunk:
                break
            moved = True
            self.data += chunk[: MAX_OUTPUT_BYTES - len(self.data)]
        return moved

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


# -- opening -----------------------------------------------------------------------------------------


def open_connection(resource: Resource, access: SshAccess, times: SshTimes) -> SshConnection:
    """Connect, check the host's key, authenticate with the one key given. Raises HostUnreachable (never `sent`).

    Takes `times.whole_connect` at most, save for a name lookup that hangs.
    """
    where = f"{access.user}@{resource.address}:{access.port}"
    client = _strict_client(where, access)
    sock = _open_socket(where, resource.address, access.port, times.connect)
    began = time.monotonic()
    try:
        client.connect(
            resource.address,
            port=access.port,
            username=access.user,
            key_filename=str(Path(access.key_file).expanduser()),
            sock=sock,
            timeout=times.banner,
            banner_timeout=times.banner,
            auth_timeout=times.auth,
            channel_timeout=times.channel,
            look_for_keys=False,
            allow_agent=False,
        )
        transport = client.get_transport()
        if transport is None:
            raise paramiko.SSHException("no transport after connecting")
        transport.set_keepalive(int(times.keepalive))
    except Exception as error:
        with contextlib.suppress(OSError):  # already closed by the other side
            sock.shutdown(socket.SHUT_RDWR)
        client.close()
        sock.close()
        raise _refusal(where, access, error, time.monotonic() - began >= 0.9 * times.banner) from error
    return SshConnection(where, client, transport, sock)


def _strict_client(where: str, access: SshAccess) -> paramiko.SSHClient:
    known_hosts, key_file = Path(access.known_hosts).expanduser(), Path(access.key_file).expanduser()
    if not key_file.is_file():
        raise HostUnreachable(f"{where}: the key file {key_file} does not exist: set ssh.key_file", "auth")
    client = paramiko.SSHClient()
    client.set_log_channel(_LOG)
    client.set_missing_host_key_policy(_RefuseUnknown())
    try:
        client.load_host_keys(str(known_hosts))
    except OSError as error:
        raise HostUnreachable(
            f"{where}: cannot read known_hosts file {known_hosts} ({error.strerror}): set ssh.known_hosts", "host_key"
        ) from error
    except (InvalidHostKey, ValueError) as error:
        said = f"{known_hosts} is no known_hosts file: set ssh.known_hosts, or mend it"
        raise HostUnreachable(f"{where}: {said}", "host_key") from error
    return client


def _open_socket(where: str, address: str, port: int, timeout: float) -> socket.socket:
    try:
        sock = socket.create_connection((address, port), timeout=timeout)
    except OSError as error:
        raise HostUnreachable(f"{where}: cannot connect: {_words(error)}", _how(error)) from error
    # Without it a reused connection waits 48 ms for each command.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _how(error: OSError) -> UnreachableHow:
    if isinstance(error, socket.gaierror):
        return "dns"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ConnectionError) or error.errno in (errno.EPIPE, errno.ECONNRESET):
        return "closed"
    return "no_route"


def _refusal(where: str, access: SshAccess, error: Exception, late: bool) -> HostUnreachable:
    """Why a connection that was open came to nothing."""
    if isinstance(error, _UnknownHostKey):
        return HostUnreachable(
            f"{where}: its host key ({error}) is not in {access.known_hosts}: refused. If it is the right host, "
            f"add the key with `ssh-keyscan -p {access.port} …`",
            "host_key",
        )
    if isinstance(error, paramiko.BadHostKeyException):
        return HostUnreachable(
            f"{where}: its host key is {error.key.fingerprint}, but {access.known_hosts} says "
            f"{error.expected_key.fingerprint}: refused. The host was rebuilt, or another one answers",
            "host_key",
        )
    if isinstance(error, paramiko.AuthenticationException) and "timeout" not in str(error).lower():
        return HostUnreachable(
            f"{where}: the key {access.key_file} was not accepted ({_words(error)}): "
            "put its public key in the user's authorized_keys",
            "auth",
        )
    if late or isinstance(error, paramiko.AuthenticationException | TimeoutError):
        return HostUnreachable(f"{where}: accepts connections, but SSH does not answer", "timeout")
    if isinstance(error, ValueError | paramiko.PasswordRequiredException):
        return HostUnreachable(f"{where}: cannot use the key {access.key_file}: {_words(error)}", "auth")
    return HostUnreachable(f"{where}: closed the connection: {_words(error)}", "closed")


def banner_answers(address: str, port: int, timeout: float) -> bool:
    """Whether a real SSH server greets there within `timeout` seconds. An open port alone proves nothing: a frozen
    host still accepts connections."""
    deadline = time.monotonic() + timeout
    greeting = b""
    try:
        with socket.create_connection((address, port), timeout=timeout) as sock:
            while len(greeting) < 4 and (left := deadline - time.monotonic()) > 0:
                sock.settimeout(left)
                chunk = sock.recv(64)
                if not chunk:
                    break
                greeting += chunk
    except OSError:
        return False
    return greeting.startswith(b"SSH-")


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__

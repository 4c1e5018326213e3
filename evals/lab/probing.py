"""Asking the world whether it is ready yet: plain HTTP and bounded waits, shared by the settings of the lab."""

from __future__ import annotations

import random
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from evals.lab.stage import LabError

# an http_proxy in the environment must not come between us and a loopback address
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

# below the kernel's default range of outgoing ports, so that no client's socket takes one between choosing and binding
_PORTS = range(20_000, 32_000)
_handed_out: set[int] = set()


def ask(url: str, timeout: float = 2.0, method: str = "GET") -> tuple[int, str]:
    """(status, body) of an HTTP request, error statuses included. Raises OSError when nobody answers in time."""
    try:
        with _OPENER.open(urllib.request.Request(url, method=method), timeout=timeout) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")


def wait_until(missing: Callable[[], str | None], timeout: float, what: str, every: float = 0.05) -> None:
    """Return as soon as `missing` has nothing to name; raises LabError with what it named last after `timeout` s."""
    deadline = time.monotonic() + timeout
    while (still := missing()) is not None:
        if time.monotonic() >= deadline:
            raise LabError(f"{what}: not after {timeout:g} s: {still}")
        time.sleep(every)


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port nobody listens on in the calling thread's network, never the same twice in a process."""
    for port in random.sample(_PORTS, 200):
        if port in _handed_out:
            continue
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((address, port))
            except OSError:
                continue
        _handed_out.add(port)
        return port
    raise LabError(f"found no free TCP port on {address} between {_PORTS.start} and {_PORTS.stop}")

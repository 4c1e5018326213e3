"""Requests to a host's service from outside the host: a real load, at a given rate and for a bounded time."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator

from evals.lab.network import in_network

_CLIENTS = 12
_PATIENCE = 4.0
"""Seconds a client waits for an answer."""

_running: dict[str, threading.Event] = {}


def start_load(address: str, port: int, per_second: float, seconds: float = 300.0) -> None:
    """Send `per_second` requests a second to http://address:port/ until `stop_load`, `seconds` at most.

    Sent at their times whether or not earlier ones are answered, as by people, as far as `_CLIENTS` clients can.
    """
    stop_load(address)
    over = _running[address] = threading.Event()
    turns = Turns(per_second, time.monotonic() + seconds, over)
    for number in range(_CLIENTS):
        threading.Thread(target=_client, args=(address, port, turns), daemon=True, name=f"load-{number}").start()


def stop_load(address: str) -> None:
    """End the load on a host. Idempotent."""
    if over := _running.pop(address, None):
        over.set()


class Turns:
    """Hands out the moments at which requests are to be sent."""

    def __init__(self, per_second: float, until: float, over: threading.Event) -> None:
        self._every, self._until, self._over = 1 / per_second, until, over
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[None]:
        while not self._over.is_set():
            with self._lock:
                now = time.monotonic()
                # what could not be sent in time is left out rather than caught up with
                at = self._next = max(self._next + self._every, now - 1)
            if at >= self._until or self._over.wait(max(0.0, at - now)):
                return
            yield


def _client(address: str, port: int, turns: Turns) -> None:
    with in_network():
        for _ in turns:
            connection = http.client.HTTPConnection(address, port, timeout=_PATIENCE)
            # a busy service answers late or not at all: the load goes on
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/")
                connection.getresponse().read()
            connection.close()

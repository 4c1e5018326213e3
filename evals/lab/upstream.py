"""What the lab's shops depend on: something that listens in the lab's network, on no host, and can be taken down."""

from __future__ import annotations

import contextlib
import socket
import threading

from evals.lab.network import GATEWAY, in_network
from evals.lab.stage import LabError

PORT = 7400
ADDRESS = f"{GATEWAY}:{PORT}"


class Upstream:
    """Accepts connections and closes them. One per stage, up as long as the stage is, but for a fault."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def up(self) -> None:
        """Begin to listen. Does nothing where it listens already. Raises LabError."""
        if self._socket is not None:
            return
        with in_network():
            try:
                listening = socket.create_server(("", PORT), backlog=64)
            except OSError as error:
                raise LabError(f"cannot listen on {ADDRESS} in the lab's network: {error}") from error
        self._socket = listening
        threading.Thread(target=self._serve, args=(listening,), daemon=True, name="lab-upstream").start()

    def down(self) -> None:
        """Stop listening: connections are refused. Idempotent."""
        listening, self._socket = self._socket, None
        if listening is not None:
            with contextlib.suppress(OSError):  # wakes the thread that waits in accept
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()

    @staticmethod
    def _serve(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):  # taken down
            while True:
                listening.accept()[0].close()

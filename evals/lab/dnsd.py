"""The lab's nameserver: a few names of its own, and NXDOMAIN for all others. So there is really something to look up.

Wire format: RFC 1035, sections 4.1 and 3.4.1. Answers A questions; knows no records of other types.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Mapping

from evals.lab.network import GATEWAY, in_network
from evals.lab.stage import LabError

NAME = "orders.lab.internal"
"""What the shops' upstream is called."""
NAMES: Mapping[str, str] = {NAME: GATEWAY}
PORT = 53
_A, _IN = 1, 1
_ANSWERS, _AUTHORITATIVE, _NXDOMAIN = 0x8000, 0x0400, 3
_TTL_SECONDS = 5


class NameServer:
    """Answers on the lab's gateway, as long as the stage is up."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def up(self) -> None:
        """Begin to answer. Does nothing where it does already. Raises LabError."""
        if self._socket is not None:
            return
        with in_network():
            asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            asked.bind((GATEWAY, PORT))
        except OSError as error:
            asked.close()
            raise LabError(f"cannot answer names at {GATEWAY}:{PORT} in the lab's network: {error}") from error
        self._socket = asked
        threading.Thread(target=self._serve, args=(asked,), daemon=True, name="lab-names").start()

    def down(self) -> None:
        """Stop answering. Idempotent."""
        asked, self._socket = self._socket, None
        if asked is not None:
            with contextlib.suppress(OSError):  # wakes the thread that waits, though nothing is connected
                asked.shutdown(socket.SHUT_RDWR)
            asked.close()

    @staticmethod
    def _serve(asked: socket.socket) -> None:
        with contextlib.suppress(OSError):  # taken down
            while True:
                question, client = asked.recvfrom(512)
                if not question:
                    return
                if reply := answer(question):
                    asked.sendto(reply, client)


def answer(question: bytes, names: Mapping[str, str] = NAMES) -> bytes | None:
    """The reply to one question, or None to what is none."""
    try:
        number, flags, questions = struct.unpack("!HHH", question[:6])
        name, end = _name(question, 12)
        kind, group = struct.unpack("!HH", question[end : end + 4])
    except (struct.error, IndexError, UnicodeDecodeError):
        return None
    if flags & _ANSWERS or questions != 1:
        return None
    address = names.get(name.lower()) if group == _IN else None
    status = _ANSWERS | _AUTHORITATIVE | (flags & 0x0100) | (0 if address else _NXDOMAIN)
    records = b""
    if address and kind == _A:
        # 0xC00C: the name, as it stands in the question
        records = struct.pack("!HHHIH", 0xC00C, _A, _IN, _TTL_SECONDS, 4) + socket.inet_aton(address)
    return struct.pack("!HHHHHH", number, status, 1, bool(records), 0, 0) + question[12 : end + 4] + records


def _name(message: bytes, at: int) -> tuple[str, int]:
    labels = []
    while length := message[at]:
        if length > 63:
            raise IndexError("a pointer, which no question has")
        labels.append(message[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    return ".".join(labels), at + 1

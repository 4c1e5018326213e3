"""An exact number of posts, over raw sockets: wrk counts by time, and a storm is counted by alerts."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from evals.bench.servers import HOOK


@dataclass
class Answers:
    """What came back: how often each status, by the place of each post; 0 where the connection broke."""

    statuses: list[int]
    seconds: float = 0.0
    retry_after: int = 0
    """How many answers that were no 2xx said when to come again."""
    counts: dict[int, int] = field(default_factory=dict)


def request(port: int, token: str, content: bytes) -> bytes:
    """The whole request as it goes over the wire."""
    head = f"POST {HOOK} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def post_all(port: int, requests: Sequence[bytes], connections: int) -> Answers:
    """Send them all, each connection one after the other. Returns when the last is answered."""
    return asyncio.run(_post_all(port, requests, connections))


async def _post_all(port: int, requests: Sequence[bytes], connections: int) -> Answers:
    answers = Answers([0] * len(requests))
    coming = iter(range(len(requests)))
    began = time.perf_counter()
    await asyncio.gather(*(_connection(port, requests, coming, answers) for _ in range(connections)))
    answers.seconds = time.perf_counter() - began
    for status in answers.statuses:
        answers.counts[status] = answers.counts.get(status, 0) + 1
    return answers


async def _connection(port: int, requests: Sequence[bytes], coming: Iterator[int], answers: Answers) -> None:
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    for place in coming:
        try:
            if reader is None or writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(requests[place])
            head = await reader.readuntil(b"\r\n\r\n")
            lowered = head.lower()
            length = int(lowered.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            reader = writer = None
            continue
        answers.statuses[place] = int(head[9:12])
        answers.retry_after += b"retry-after:" in lowered
    if writer is not None:
        writer.close()


@contextmanager
def probing(port: int, every: float = 0.01) -> Iterator[list[float]]:
    """While the block lasts, `/healthz` is asked again and again from a process of its own.

    Gives the list that holds, once the block has ended, how many milliseconds each answer took.
    """
    took: list[float] = []
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_probe, args=(port, every, there), daemon=True)
    process.start()
    try:
        here.recv()
        yield took
    finally:
        here.send("enough")
        took += here.recv() if here.poll(30) else [float("inf")]
        process.join(5)


def _probe(port: int, every: float, pipe: Any) -> None:
    took: list[float] = []
    wanted = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pipe.send("ready")
        while not pipe.poll(every):
            began = time.perf_counter()
            connection.sendall(wanted)
            connection.recv(65536)
            took.append((time.perf_counter() - began) * 1000)
    pipe.send(took)

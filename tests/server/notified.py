"""Stands for those who are told: webhooks that take, refuse or hang, and a mail server. And a worker to tell them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from aiosmtpd.smtp import SMTP

from server.notify_settings import NotifySettings
from server.notify_targets import make_directory
from server.notify_worker import NotifyWorker
from server.store import Store

BASE = "https://selfheal.example.com"


@dataclass
class Chat:
    """A chat's webhook on loopback. `statuses` are answered in turn, the last for good; 0 hangs."""

    statuses: list[int] = field(default_factory=lambda: [200])
    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    came: threading.Condition = field(default_factory=threading.Condition)

    def url(self, scheme: str = "json", path: str = "hook") -> str:
        return f"{scheme}://127.0.0.1:{self.port}/{path}"

    async def has(self, number: int) -> bool:
        """Waits until so many notices were taken."""

        def wait() -> bool:
            with self.came:
                return self.came.wait_for(lambda: len(self.bodies) >= number, 60)

        return await asyncio.to_thread(wait)

    @property
    def taken(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]

    @property
    def titles(self) -> list[str]:
        return [str(item["title"]) for item in self.taken]

    @property
    def forms(self) -> list[dict[str, list[str]]]:
        return [parse_qs(body.decode()) for body in self.bodies]


@contextmanager
def chat(*statuses: int) -> Iterator[Chat]:
    """A webhook until the block ends. Only what was answered with success counts as taken."""
    told = Chat(list(statuses) or [200])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status = told.statuses.pop(0) if len(told.statuses) > 1 else told.statuses[0]
            told.paths.append(self.path)
            if status == 0:
                told.released.wait(30)
                return
            if status < 300:
                with told.came:
                    told.bodies.append(body)
                    told.came.notify_all()
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", told.port), Handler)
    server.daemon_threads = True
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        told.released.set()
        server.shutdown()
        thread.join(timeout=5)
        server.server_close()


@dataclass
class Mailbox:
    """A mail server on loopback, and what was left there."""

    port: int = 0
    mails: list[Any] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"

    @property
    def url(self) -> str:
        return f"mailto://localhost:{self.port}?from=selfheal@example.com&to=ops@example.com&mode=insecure"


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """A mail server until the block ends, in a loop of its own: who sends blocks."""
    box, loop = Mailbox(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncio.Server:
        return await loop.create_server(lambda: SMTP(box, hostname="localhost"), "127.0.0.1", 0)

    async def stop(server: asyncio.Server) -> None:
        server.close()
        await server.wait_closed()

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(5)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        asyncio.run_coroutine_threadsafe(stop(server), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


def worker(store: Store, targets: Sequence[dict[str, Any]] = (), **settings: Any) -> NotifyWorker:
    """Tells these targets, with the rest of the `notify` section as given."""
    directory = make_directory(NotifySettings.model_validate({"targets": list(targets), **settings}))
    return NotifyWorker(store, directory, BASE)

"""Real servers on loopback: ours in a thread with what heals left out, and a Prometheus that knows nothing."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from server.app import create_app
from server.services import Services
from tests.server.web import TOKENS, load_fakes, make_services

T = TypeVar("T")
SECONDS = 15.0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class LiveServer:
    """Our application behind a real uvicorn. `config` is a configuration file for the CLI."""

    def __init__(self, folder: Path, services: Services | None = None, load: Any = load_fakes) -> None:
        self.port = free_port()
        self.services: Services = services or make_services(folder)
        self.config = folder / "selfheal.yaml"
        self.config.write_text(f"listen: {{port: {self.port}}}\nprometheus: {{url: 'http://127.0.0.1:9'}}\n")
        (folder / "operator.token").write_text(TOKENS.operator)
        (folder / "webhook.token").write_text(TOKENS.webhook)
        app = create_app(self.services, load)
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(app, port=self.port, log_config=None, timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self._uvicorn.serve()

        asyncio.run(serve())

    def up(self) -> None:
        self._thread.start()
        until = time.monotonic() + SECONDS
        while not self._uvicorn.started and time.monotonic() < until:
            time.sleep(0.02)
        assert self._uvicorn.started

    def down(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(SECONDS)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run in the server's event loop."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)


Answering = Callable[[str], dict[str, Any]]
"""From what was asked to the `data` of Prometheus's answer."""


def nothing(path: str) -> dict[str, Any]:
    """Of no rules and no series."""
    return {"groups": []} if "/rules" in path else {"resultType": "vector", "result": []}


@contextmanager
def prometheus(answering: Answering = nothing) -> Iterator[str]:
    """The URL of a server that answers as Prometheus does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"status": "success", "data": answering(self.path)}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(SECONDS)

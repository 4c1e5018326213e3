"""Small HTTP servers that misbehave in one way each, for clients of real services."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


class Faulty:
    """A running server: where it is, and the paths it was asked."""

    def __init__(self, url: str, asked: list[str]) -> None:
        self.url = url
        self.asked = asked


def answering(status: int, body: str, kind: str = "text/plain", **headers: str) -> Answer:
    """Always this answer."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        data = body.encode()
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def hanging(released: threading.Event) -> Answer:
    """Takes the request and says nothing until released."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        released.wait(60)

    return answer


def dripping(released: threading.Event) -> Answer:
    """A byte now and then, for ever: no socket timeout notices."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        with contextlib.suppress(OSError):  # the client has gone, as it should
            while not released.wait(0.1):
                handler.wfile.write(b" ")
                handler.wfile.flush()

    return answer


@contextlib.contextmanager
def faulty_server(answer: Answer) -> Iterator[Faulty]:
    """A server on a free loopback port that gives `answer` to every GET and POST."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True
        body = b""

        def do_GET(self) -> None:
            asked.append(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            self.body = self.rfile.read(length)
            answer(self)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: the tests tell what happened."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Faulty(f"http://127.0.0.1:{server.server_address[1]}", asked)
    finally:
        server.shutdown()
        server.server_close()


def closed_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port

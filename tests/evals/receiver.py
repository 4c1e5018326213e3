"""A webhook receiver that keeps what it is posted: the far end of a real Alertmanager."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Post:
    """One webhook message as it came: its JSON, and the Authorization header."""

    body: dict[str, Any]
    authorization: str | None

    def alerts(self, status: str) -> list[dict[str, Any]]:
        return [alert for alert in self.body["alerts"] if alert["status"] == status]


class Receiver:
    """Listens on a free loopback port; use as a context manager."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self._arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with receiver._arrived:
                    receiver.posts.append(Post(body, self.headers["Authorization"]))
                    receiver._arrived.notify_all()
                self.send_response(202)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test's output free of request lines."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks/alertmanager"

    def wait_for(self, status: str, alertname: str, timeout: float = 20.0) -> tuple[Post, dict[str, Any]]:
        """The first post holding such an alert, and the alert; fails the test when none comes in `timeout` s."""
        deadline = time.monotonic() + timeout
        with self._arrived:
            while True:
                for post in self.posts:
                    for alert in post.alerts(status):
                        if alert["labels"]["alertname"] == alertname:
                            return post, alert
                if not self._arrived.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    raise AssertionError(f"no {status} {alertname} within {timeout} s; posted: {self.posts}")

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

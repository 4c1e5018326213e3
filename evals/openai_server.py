"""A real HTTP server that speaks OpenAI's chat completions and behaves as a test scripts it, badly mostly.

It measures no model: it is there to try what we do with answers.

A script is a list of replies, one a request, the last one for all that follow. A reply is a function of the request's
body, so that a server can refuse one way of asking and serve another.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

LONGEST_HANG_SECONDS = 30.0


@dataclass(frozen=True)
class Sent:
    """What goes over the wire. `hang`: nothing does, until the test ends."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False


Body = dict[str, Any]
Reply = Callable[[Body], Sent]


class ScriptedServer(ThreadingHTTPServer):
    """Answers `POST /v1/chat/completions` by its script and keeps what it was sent."""

    daemon_threads = True

    def __init__(self, script: Sequence[Reply]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = list(script)
        self.requests: list[Body] = []
        self.headers: list[dict[str, str]] = []
        """By lower-case name."""
        self.ended = threading.Event()
        self._lock = threading.Lock()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def reply_to(self, body: Body, headers: dict[str, str], path: str) -> Sent:
        with self._lock:
            self.requests.append(body)
            self.headers.append(headers)
            reply = self.script[min(len(self.requests), len(self.script)) - 1]
        return reply(body)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ScriptedServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        sent = self.server.reply_to(body, {name.lower(): value for name, value in self.headers.items()}, self.path)
        if sent.hang:
            self.server.ended.wait(LONGEST_HANG_SECONDS)
            self.close_connection = True
            return
        self.send_response(sent.status)
        for name, value in {"Content-Type": "application/json", **sent.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(sent.body)))
        self.end_headers()
        self.wfile.write(sent.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: what was asked is in `requests`."""


Server = TypeVar("Server", bound=ScriptedServer)


@contextmanager
def serving(*script: Reply) -> Iterator[ScriptedServer]:
    """The server, on a free loopback port, for as long as the block lasts."""
    with running(ScriptedServer(script)) as server:
        yield server


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """This server, for as long as the block lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        thread.join(timeout=5)
        server.server_close()


# -- replies ----------------------------------------------------------------------------------------------


def text(content: str, finish_reason: str = "stop", usage: bool = True, refusal: str | None = None) -> Reply:
    """A message with this text."""
    message = {"role": "assistant", "content": content, "refusal": refusal}
    return lambda body: _completion(body, message, finish_reason, usage)


def answer(data: Any, usage: bool = True) -> Reply:
    """This object the way it was asked for: as a tool call where a tool was offered, else as text."""

    def reply(body: Body) -> Sent:
        if body.get("tools"):
            return tool_call(json.dumps(data), usage=usage)(body)
        return text(json.dumps(data), usage=usage)(body)

    return reply


def tool_call(arguments: str, name: str | None = None, usage: bool = True) -> Reply:
    """A call of the offered tool (or one of that name) with these raw arguments."""

    def reply(body: Body) -> Sent:
        called = name or body["tools"][0]["function"]["name"]
        call = {"id": "call_1", "type": "function", "function": {"name": called, "arguments": arguments}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        return _completion(body, message, "tool_calls", usage)

    return reply


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """An error in OpenAI's shape."""
    body = json.dumps({"error": {"message": message, "type": "error", "code": None}}).encode()
    return lambda _: Sent(status, body, headers or {})


def raw(status: int, body: bytes, content_type: str = "application/json") -> Reply:
    """These bytes, whatever they are."""
    return lambda _: Sent(status, body, {"Content-Type": content_type})


def hang() -> Reply:
    """The request is taken and never answered."""
    return lambda _: Sent(0, b"", hang=True)


def refusing(key: str, message: str, otherwise: Reply) -> Reply:
    """400 for requests that use `key` (`response_format`, `tools`), as servers that don't support it answer."""
    return lambda body: error(400, message)(body) if key in body else otherwise(body)


def _completion(body: Body, message: dict[str, Any], finish_reason: str, usage: bool) -> Sent:
    completion: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": body.get("model", ""),
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}],
    }
    if usage:
        completion["usage"] = {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1_000}
    return Sent(200, json.dumps(completion).encode())

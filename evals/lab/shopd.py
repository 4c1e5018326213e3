#!/usr/bin/python3
"""The service that the lab breaks and heals: small enough to read, real enough to fail in the ways services do.

Stands alone: it is copied onto hosts and run there by the system's Python 3, so it imports the standard
library only and nothing of this project. Usage: shopd [CONFIG], a JSON object, default /etc/shopd.json:

    port            TCP port to listen on (required)
    data_dir        folder it must be able to write to (required)
    upstream        "host:port" it must be able to reach, or ""
    listen          address to bind, default 0.0.0.0
    leak_mib_per_s  memory to lose per second, for faults; default 0
    needs_upstream  whether not to start without upstream; default false
    work_ms         milliseconds of CPU an answer to / costs; default 0
    spin            whether a thread loops for ever, for faults; default false
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NoReturn

NAME = os.path.basename(sys.argv[0]).removesuffix(".py")
"""On a host it may be installed under another name: log, metrics and configuration go by that one then."""

BAD_CONFIG = 2
CANNOT_SERVE = 3


def say(line: str) -> None:
    print(f"{NAME}: {line}", flush=True)


def refuse(line: str, code: int) -> NoReturn:
    say(f"FATAL {line}")
    sys.exit(code)


def read_config(path: str) -> dict[str, Any]:
    """The checked configuration; exits with BAD_CONFIG naming file, line and text when it can't be used."""
    try:
        with open(path, encoding="utf-8") as source:
            text = source.read()
    except (OSError, UnicodeDecodeError) as error:
        refuse(f"config error in {path}: {error}", BAD_CONFIG)
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        line = (text.splitlines() or [""])[min(error.lineno, len(text.splitlines()) or 1) - 1].strip()
        refuse(f"config error in {path} line {error.lineno} column {error.colno}: {error.msg}: {line}", BAD_CONFIG)
    if not isinstance(config, dict):
        refuse(f"config error in {path} line 1: not a JSON object: {text[:80].strip()}", BAD_CONFIG)
    for key, kind in (("port", int), ("data_dir", str)):
        if not isinstance(config.get(key), kind):
            number, line = line_of(text, key)
            refuse(f"config error in {path} line {number}: {key!r} must be of type {kind.__name__}: {line}", BAD_CONFIG)
    return config


def line_of(text: str, key: str) -> tuple[int, str]:
    for number, line in enumerate(text.splitlines(), 1):
        if f'"{key}"' in line:
            return number, line.strip()
    return 1, "(missing)"


class Shop:
    """What the service knows of itself. `trouble` is why it can't serve, or None."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.data_dir = config["data_dir"]
        self.upstream = str(config.get("upstream") or "")
        self.work_s = float(config.get("work_ms") or 0) / 1000
        self.requests = 0
        self.lost: list[bytearray] = []
        self.lock = threading.Lock()

    def trouble(self) -> str | None:
        # no temporary file: a full disk must be seen on a file of fixed name that needs no clean-up
        try:
            with open(os.path.join(self.data_dir, "heartbeat"), "w") as beat:
                beat.write(f"{time.time()}\n" + "x" * 4096)
                beat.flush()
                os.fsync(beat.fileno())
        except OSError as error:
            return f"cannot write to data_dir {self.data_dir}: {error}"
        if self.upstream:
            host, _, port = self.upstream.rpartition(":")
            try:
                socket.create_connection((host, int(port)), 2).close()
            except (OSError, ValueError) as error:
                return f"cannot reach upstream {self.upstream}: {error}"
        return None

    def metrics(self) -> str:
        return (
            f"# HELP {NAME}_up Whether {NAME} runs.\n# TYPE {NAME}_up gauge\n{NAME}_up 1\n"
            f"# HELP {NAME}_requests_total Requests answered, scrapes and health checks aside.\n"
            f"# TYPE {NAME}_requests_total counter\n{NAME}_requests_total {self.requests}\n"
        )

    def work(self) -> None:
        """What an answer costs, in CPU time of this thread rather than in seconds: a busy host takes longer for it."""
        end = time.thread_time() + self.work_s
        while time.thread_time() < end:
            pass

    def spin(self) -> None:
        """A loop that never ends, as of a bug."""
        while True:
            pass

    def leak(self, mib_per_s: float) -> None:
        """Lose memory for ever. Written to, because untouched pages cost nothing."""
        while True:
            self.lost.append(bytearray(b"x" * (1 << 20)))
            time.sleep(1 / mib_per_s)


class Handler(BaseHTTPRequestHandler):
    shop: Shop
    timeout = 10
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self.answer(200, self.shop.metrics(), "text/plain; version=0.0.4")
        elif self.path == "/healthz":
            trouble = self.shop.trouble()
            if trouble:
                say(f"ERROR unhealthy: {trouble}")
            self.answer(503 if trouble else 200, f"{trouble or 'ok'}\n")
        elif self.path == "/":
            with self.shop.lock:
                self.shop.requests += 1
            self.shop.work()
            self.answer(200, "welcome to the shop\n")
        else:
            self.answer(404, "no such page\n")

    def answer(self, status: int, text: str, kind: str = "text/plain") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        # scrapes come every second and would bury what matters in the log
        if getattr(self, "path", "") not in ("/metrics", "/healthz"):
            say(format % args)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def server_bind(self) -> None:
        # HTTPServer looks its own name up here, which hangs where name resolution is broken
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


def stop(signum: int, frame: object) -> NoReturn:
    say(f"stopping on {signal.Signals(signum).name}")
    sys.exit(0)


def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else f"/etc/{NAME}.json"
    config = read_config(path)
    Handler.shop = Shop(config)
    address = (config.get("listen", "0.0.0.0"), config["port"])
    trouble = Handler.shop.trouble()
    if trouble and config.get("needs_upstream") and trouble.startswith("cannot reach upstream"):
        refuse(trouble, CANNOT_SERVE)
    if trouble:
        say(f"WARNING starting unhealthy: {trouble}")
    signal.signal(signal.SIGTERM, stop)
    try:
        server = Server(address, Handler)
    except (OSError, OverflowError) as error:
        refuse(f"cannot listen on {address[0]}:{address[1]}: {error}", CANNOT_SERVE)
    leak = float(config.get("leak_mib_per_s") or 0)
    if leak > 0:
        threading.Thread(target=Handler.shop.leak, args=(leak,), daemon=True).start()
    if config.get("spin"):
        threading.Thread(target=Handler.shop.spin, daemon=True).start()
    say(f"listening on {address[0]}:{address[1]}, config {path}, pid {os.getpid()}")
    server.serve_forever()


if __name__ == "__main__":
    main()

"""Plays the servers that traces are sent to: takes what comes, decompressed, and answers as it is told to."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Behaviour = Literal["takes", "fails", "refuses", "hangs"]
STATUS = {"takes": 202, "fails": 500, "refuses": 401}

Answers = Callable[[str, str, bytes], bytes | None]


@dataclass
class Ingest:
    """What arrived: paths, headers and bodies."""

    behaviour: Behaviour = "takes"
    compressed: bool = True
    url: str = ""
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    encodings: set[str] = field(default_factory=set)
    answers: Answers | None = None
    """Says what a method at a path with this body is answered, where it is not the usual."""
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def text(self) -> str:
        return b"\n".join(self.bodies).decode("utf-8", "replace")

    @property
    def info(self) -> dict[str, Any]:
        batches = {"use_multipart_endpoint": True, "size_limit": 100, "size_limit_bytes": 20_000_000}
        return {
            "version": "0.20.0",
            "batch_ingest_config": batches | {"scale_up_qsize_trigger": 1000, "scale_up_nthreads_limit": 4},
            "instance_flags": {"zstd_compression_enabled": self.compressed},
        }


@contextmanager
def ingesting(
    behaviour: Behaviour = "takes", compressed: bool = True, answers: Answers | None = None
) -> Iterator[Ingest]:
    """A server on loopback, until the block ends. `compressed`: it tells LangSmith's client that it reads zstd."""
    told = Ingest(behaviour, compressed, answers=answers)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(told))
    server.daemon_threads = True
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        told.ended.set()
        server.shutdown()
        thread.join(timeout=5)
        server.server_close()


def _handler(told: Ingest) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = told.answers("GET", self.path, b"") if told.answers else None
            self._answer(200, answer or json.dumps(told.info).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or self._chunks()
            encoding = self.headers.get("Content-Encoding", "")
            told.encodings.add(encoding)
            told.paths.append(self.path)
            told.bodies.append(_decoded(body, encoding))
            answer = told.answers(self.command, self.path, told.bodies[-1]) if told.answers else None
            self._answer(STATUS.get(told.behaviour, 202), answer or b"{}")

        do_PATCH = do_POST

        def _chunks(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return b""
            whole = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole

        def _answer(self, status: int, body: bytes) -> None:
            if told.behaviour == "hangs":
                told.ended.wait(60)
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding == "zstd":
        import zstandard

        return zstandard.ZstdDecompressor().stream_reader(body).read()
    return {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(encoding, bytes)(body)

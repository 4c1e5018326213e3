"""Who a heal asks on its way: a Prometheus that shows nothing, and a model that answers by script after two seconds.

One small process for both, so that what they cost is not ours: `python -m evals.bench.stand_ins PORT`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from evals.bench.servers import ROOT
from evals.lab.probing import ask, free_port, wait_until
from evals.lab.processes import ProcessGroup

MODEL_SECONDS = 2.0


@contextmanager
def stand_ins(folder: Path) -> Iterator[int]:
    """The port of both, for as long as the block lasts."""
    processes, port = ProcessGroup(folder / "stand-ins"), free_port()
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))

    def missing() -> str | None:
        try:
            return None if ask(f"http://127.0.0.1:{port}/")[0] == 200 else "it refuses"
        except OSError as error:
            return str(error)

    try:
        processes.start(
            "stand-ins", [sys.executable, "-m", "evals.bench.stand_ins", str(port)], env={"PYTHONPATH": paths}
        )
        wait_until(missing, 20, "the stand-ins answer")
        yield port
    finally:
        processes.stop()


def _prometheus(path: str) -> dict[str, Any]:
    data = {"groups": []} if "/rules" in path else {"resultType": "vector", "result": []}
    return {"status": "success", "data": data}


def _model(request: dict[str, Any]) -> dict[str, Any]:
    """Asks once, then diagnoses, then plans: three calls a heal."""
    schema = request.get("response_format", {}).get("json_schema", {}).get("schema", {})
    said = json.dumps(request["messages"])
    if "steps" in schema.get("properties", {}):
        step = {"action": "bench_noop", "params": {}, "why": "it is down", "expect": "it is up"}
        answer: dict[str, Any] = {"summary": "mend it", "steps": [step]}
    else:
        found = {"summary": "it is down", "confidence": 0.9, "evidence_ids": ["E1"], "ruled_out": [], "target": None}
        answer = {"suspected_cause": "bench_down", **found}
        if "ask" in schema.get("properties", {}) and "past_incidents" not in _asked_before(said):
            answer["ask"] = [{"past_incidents": {}, "why": "it may have happened before"}]
    message = {"role": "assistant", "content": json.dumps(answer), "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": request.get("model", ""),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1_000},
    }


def _asked_before(said: str) -> str:
    """That evidence I1 is told means that the question was answered."""
    return "past_incidents" if "I1" in said else ""


async def _connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ", 2)[1]
            lines = (line.partition(":") for line in head.split("\r\n"))
            length = next((int(value) for name, _, value in lines if name.lower() == "content-length"), 0)
            sent = await reader.readexactly(length)
            if "/chat/completions" in path:
                await asyncio.sleep(MODEL_SECONDS)
                answer = _model(json.loads(sent))
            else:
                answer = _prometheus(path)
            content = json.dumps(answer).encode()
            start = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
            writer.write(start.encode() + content)
            await writer.drain()
    writer.close()


async def _serve(port: int) -> None:
    server = await asyncio.start_server(_connection, "127.0.0.1", port, backlog=512, limit=2**20)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))

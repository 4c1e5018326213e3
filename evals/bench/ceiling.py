"""The ceiling: a bare FastAPI endpoint that validates the same body by the same model, and stores nothing.

In a process of its own, under uvicorn with the settings that `selfheal serve` uses.
"""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from graph.records import AlertGroup


class Received(BaseModel):
    """The least of an answer."""

    received: int


app = FastAPI()


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether it is up."""
    return {"status": "alive"}


@app.post("/webhooks/alertmanager", status_code=202)
async def alertmanager(group: AlertGroup) -> Received:
    """Take a body, and forget it."""
    return Received(received=len(group.alerts))


if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False, server_header=False,
        proxy_headers=False,
    )  # fmt: skip

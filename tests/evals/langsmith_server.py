"""Plays what of LangSmith's API datasets and experiments need, on the server that takes traces in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from tests.server.ingest import Ingest, ingesting

TENANT = "11111111-1111-4111-8111-111111111111"
NOW = "2026-01-01T00:00:00+00:00"


@dataclass
class LangSmith:
    """What it holds, by what was sent to it."""

    ingest: Ingest = field(default_factory=Ingest)
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    examples: dict[str, dict[str, Any]] = field(default_factory=dict)
    experiments: list[dict[str, Any]] = field(default_factory=list)
    refuses_runs: bool = False

    def answer(self, method: str, path: str, body: bytes) -> bytes | None:
        if self.refuses_runs and path.startswith("/runs"):
            self.ingest.behaviour = "refuses"
        url = urlsplit(path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        parts = [part for part in url.path.split("/") if part]
        told = self._told(method, parts, asked, body)
        return None if told is None else json.dumps(told).encode()

    def _told(self, method: str, parts: list[str], asked: dict[str, str], body: bytes) -> Any:
        match method, parts:
            case "GET", ["info"]:
                flags = self.ingest.info["instance_flags"] | {"dataset_examples_multipart_enabled": True}
                return self.ingest.info | {"instance_flags": flags}
            case "GET", ["datasets"]:
                return [each for each in self.datasets.values() if each["name"] == asked["name"]]
            case "POST", ["datasets"]:
                made = json.loads(body) | {"id": str(uuid4()), "created_at": NOW, "tenant_id": TENANT}
                self.datasets[made["id"]] = made
                return made
            case "GET", ["examples"]:
                found = [each for each in self.examples.values() if each["dataset_id"] == asked["dataset"]]
                return found[int(asked.get("offset", 0)) :][: int(asked["limit"])]
            case (("POST" | "PATCH"), [*_, "datasets", dataset_id, "examples"]):
                return self._examples(dataset_id, body)
            case "POST", ["sessions"]:
                made = json.loads(body) | {"tenant_id": TENANT, "start_time": NOW}
                self.experiments.append(made)
                return made
            case "PATCH", ["sessions", id]:
                return {"id": id, "tenant_id": TENANT, "reference_dataset_id": None}
        return None

    def _examples(self, dataset_id: str, body: bytes) -> Any:
        sent: dict[str, dict[str, Any]] = {}
        boundary = body.split(b"\r\n", 1)[0][2:]
        whole = message_from_bytes(b'Content-Type: multipart/form-data; boundary="' + boundary + b'"\r\n\r\n' + body)
        for part in whole.walk():
            name = part.get_param("name", header="content-disposition")
            if isinstance(name, str):
                id, _, field_name = name.partition(".")
                payload = part.get_payload(decode=True)
                assert isinstance(payload, bytes)
                told = json.loads(payload)
                sent.setdefault(id, {}).update({field_name: told} if field_name else told)
        for id, example in sent.items():
            base = {"id": id, "dataset_id": dataset_id, "created_at": NOW, "modified_at": NOW}
            self.examples[id] = self.examples.get(id, base) | example
        return {"example_ids": list(sent), "count": len(sent)}


@contextmanager
def langsmith() -> Iterator[LangSmith]:
    """A LangSmith of its own on loopback, until the block ends."""
    played = LangSmith()
    with ingesting(answers=played.answer) as ingest:
        played.ingest = ingest
        yield played

"""Real stages with a real server on them, for the acceptance tests of both settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from evals.lab.detect import lab_refusal
from evals.lab.healer import Healer
from evals.lab.hosts import LabStage
from evals.lab.local import LocalStage, local_missing
from evals.lab.probing import free_port
from evals.lab.stage import Stage, StageOptions

ENDED = ("closed", "escalated", "declined")


def needs(setting: str) -> None:
    """Skip, saying why and what would help, where the setting can't run here."""
    if setting == "local" and (missing := local_missing()):
        pytest.skip("the local setting can't run here: " + "; ".join(f"{name}: {fix}" for name, fix in missing))
    if setting == "lab" and (refusal := lab_refusal()):
        pytest.skip(f"the lab setting can't run here: {refusal}")


@contextmanager
def stage_up(setting: str, folder: Path, **options: Any) -> Iterator[tuple[Stage, Healer]]:
    """A stage that is up and a healer that is configured for it but not started; the caller's thread is inside."""
    needs(setting)
    healer = Healer(folder / "healer", free_port())
    made = StageOptions(folder / "stage", healer.webhook_url, healer.webhook_token_file, **options)
    stage: Stage = LabStage(made) if setting == "lab" else LocalStage(made)
    stage.up()
    try:
        healer.configure(stage)
        stage.enter()
        yield stage, healer
    finally:
        healer.stop()
        stage.leave()
        stage.down()


def ended(record: dict[str, Any]) -> bool:
    return bool(record["outcome"]) and record["phase"] in ENDED


def nodes(record: dict[str, Any]) -> list[str]:
    """The nodes that told something, in order, each once."""
    return list(dict.fromkeys(entry["node"] for entry in record["timeline"] if entry["node"] != "server"))

"""What it was measured on and with: a figure without these says little."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from server.settings import Settings

PACKAGES = (
    "fastapi", "starlette", "uvicorn", "uvloop", "httptools", "pydantic", "sqlalchemy", "langgraph",
    "langchain-openai", "paramiko", "psycopg",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """The machine."""
    return {
        "cpus": os.cpu_count(),
        "cpu": _cpu(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "system": platform.platform(),
        "load_average_before": [round(value, 2) for value in os.getloadavg()],
    }


def versions() -> dict[str, str]:
    """What it ran with."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def shipped_defaults() -> dict[str, Any]:
    """Every setting as it ships: what the servers ran with, but for what a group of figures says of itself."""
    return Settings.model_construct().model_dump(mode="json")


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )

"""What every block of the configuration is, and what several of them check."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One block of the file: immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def http_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL such as http://127.0.0.1:9090")
    return url

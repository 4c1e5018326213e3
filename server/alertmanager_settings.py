"""The optional way back to Alertmanager: what it has silenced is asked there, and silenced there while repairing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from server.section import Section, http_url


class AlertmanagerSettings(Section):
    """Which Alertmanager, who we are to it, and whether alerts are silenced there while they are being repaired."""

    url: str
    timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    silence: bool = False
    silence_minutes: float = Field(default=10.0, ge=1, le=24 * 60)
    """How long a silence lasts that nobody extends: should we die, people are called again after so long at most."""
    user: str | None = None
    password_file: Path | None = None
    token_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        return http_url(url).rstrip("/")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file belong together: give both, or neither")
        if self.user is not None and self.token_file is not None:
            raise ValueError("give either user and password_file, or token_file: not both")
        return self

    def beside(self, absolute: Callable[[str], Path]) -> Self:
        """With its files where the configuration that names them is."""
        given = {"password_file": self.password_file, "token_file": self.token_file}
        return self.model_copy(update={name: absolute(str(file)) for name, file in given.items() if file})

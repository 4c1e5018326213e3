"""The `notify` section: who is told what, and who is called next when nobody takes note."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from server.section import Section, http_url
from server.settings_errors import known_instead

Event = Literal["opened", "approval_wanted", "mitigated", "escalated", "self_resolved", "declined", "demoted"]

WEBHOOK = "webhook"
"""The name of the target that is `notify.url`."""
MAX_TARGETS = 50
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

ALL_BUT_OPENED: tuple[Event, ...] = (
    "approval_wanted", "mitigated", "escalated", "self_resolved", "declined", "demoted",
)  # fmt: skip


class Target(Section):
    """One person, channel or service, by an apprise URL. The URL is a secret: it may be in a file of its own."""

    name: str
    url: SecretStr | None = None
    url_file: Path | None = None
    events: tuple[Event, ...] = ALL_BUT_OPENED
    kinds: tuple[str, ...] | None = None
    """Only of resources of these kinds; null: of all."""
    groups: tuple[str, ...] | None = None
    """Only of resources of these groups; null: of all."""
    timeout_seconds: float = Field(default=20.0, gt=0, le=120)

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if name == WEBHOOK or not _NAME.fullmatch(name):
            raise ValueError(f"must be letters, digits, '.', '_' and '-', and not {WEBHOOK!r}, which notify.url is")
        return name

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("needs an apprise URL: give either url, or url_file with a file that holds it")
        return self


class ChainLink(Section):
    """Who is told when nobody has taken note so long after a call."""

    after_minutes: float = Field(ge=0, le=7 * 24 * 60)
    to: tuple[str, ...] = Field(min_length=1)


class NotifySettings(Section):
    """`url`: a webhook that gets notices as plain JSON; `targets`: people and services, by apprise."""

    url: str | None = None
    token_file: Path | None = None
    timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    events: tuple[Event, ...] = ("escalated", "approval_wanted", "demoted")
    """What `url` gets."""
    targets: tuple[Target, ...] = Field(default=(), max_length=MAX_TARGETS)
    chain: tuple[ChainLink, ...] = ()
    """For escalations and for approvals nobody answers. Who is named here is called by it alone."""
    max_per_hour: int = Field(default=60, ge=1, le=10_000)
    """To one target; what is more comes as one digest."""
    fold_minutes: float = Field(default=10.0, ge=0, le=24 * 60)
    """The same about the same within so long is told once, and once more when it is over."""
    digest_minutes: float = Field(default=10.0, gt=0, le=24 * 60)
    link_base: str | None = None
    """Where people reach this server; default: where it listens."""

    @field_validator("url", "link_base")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        return None if url is None else http_url(url)

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        names = [target.name for target in self.targets]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"targets: two are named {twice!r}: give each a name of its own")
        known = [*names, *([WEBHOOK] if self.url else [])]
        for index, link in enumerate(self.chain):
            for name in link.to:
                if name not in known:
                    raise ValueError(f"chain[{index}].to: no target is named {name!r}{known_instead(name, known)}")
        minutes = [link.after_minutes for link in self.chain]
        if minutes != sorted(set(minutes)):
            raise ValueError("chain: after_minutes must grow from link to link: order them, and join those of one time")
        return self

    def located(self, absolute: Callable[[str | Path], Path]) -> NotifySettings:
        """With the paths of files made absolute."""
        targets = tuple(
            target.model_copy(update={"url_file": absolute(target.url_file)}) if target.url_file else target
            for target in self.targets
        )
        token = absolute(self.token_file) if self.token_file else None
        return self.model_copy(update={"targets": targets, "token_file": token})

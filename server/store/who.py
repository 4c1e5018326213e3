"""Who did something and from where, as the audit log keeps it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Who:
    """`via`: how they were known (`token`, `session`, `studio` …); `address`: where the request came from."""

    name: str
    via: str = ""
    address: str = ""

    @classmethod
    def of(cls, by: Who | str) -> Who:
        return by if isinstance(by, Who) else cls(by)

    @property
    def origin(self) -> dict[str, str]:
        """For the detail of an audit entry; empty where nothing is known."""
        return {key: value for key, value in (("via", self.via), ("address", self.address)) if value}

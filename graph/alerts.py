"""What Alertmanager sends: its webhook message, version 4, and the minimal body."""

from __future__ import annotations

import hashlib
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator


class Alert(BaseModel):
    """One alert of Alertmanager's webhook, version 4. Unknown keys are ignored, as Alertmanager may add some.

    `fingerprint` is computed from the labels where the sender gives none. `starts_at` is None in the minimal body.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    status: Literal["firing", "resolved"]
    labels: dict[str, str] = Field(min_length=1)
    annotations: dict[str, str] = {}
    starts_at: AwareDatetime | None = Field(default=None, alias="startsAt")
    ends_at: AwareDatetime | None = Field(default=None, alias="endsAt")
    generator_url: str = Field(default="", alias="generatorURL")
    fingerprint: str = ""

    @model_validator(mode="after")
    def _computed_fingerprint(self) -> Self:
        if not self.fingerprint:
            canonical = "\xff".join(f"{key}\xff{value}" for key, value in sorted(self.labels.items()))
            object.__setattr__(self, "fingerprint", hashlib.sha256(canonical.encode()).hexdigest()[:16])
        return self

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "unnamed")

    @property
    def firing(self) -> bool:
        return self.status == "firing"


class AlertGroup(BaseModel):
    """Alertmanager's webhook message, version 4; `{"alerts": [{"status", "labels"}]}` is valid too."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    alerts: tuple[Alert, ...] = Field(min_length=1)
    receiver: str = ""
    status: Literal["firing", "resolved"] | None = None
    group_key: str = Field(default="", alias="groupKey")
    group_labels: dict[str, str] = Field(default={}, alias="groupLabels")
    common_labels: dict[str, str] = Field(default={}, alias="commonLabels")
    external_url: str = Field(default="", alias="externalURL")
    truncated_alerts: int = Field(default=0, alias="truncatedAlerts")
    version: str = "4"

"""What a setting of the lab offers: real hosts with a real service, watched by a real Prometheus.

Two settings stand behind this one interface: `evals.lab.hosts` (systemd hosts in containers, root on
Linux) and `evals.lab.local` (plain processes, no privileges). The demo, the acceptance tests and the
lab runner only know a `Stage`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from evals.lab.expectations import Expectation

SettingName = Literal["lab", "local"]


class LabError(Exception):
    """The lab could not do what was asked; the message says what, and what to do about it."""


@dataclass(frozen=True)
class StageOptions:
    """How to lay out a stage.

    `roles` says what each host is for; without any there are `hosts` app hosts, and with `standby` the last of them
    stands by for the first. `work` is a folder of this stage's own, emptied by `down`. `webhook_url` and
    `webhook_token_file` are where Alertmanager posts. Intervals are Prometheus durations.
    """

    work: Path
    webhook_url: str
    webhook_token_file: Path
    hosts: int = 1
    standby: bool = False
    roles: tuple[Role, ...] = ()
    scrape_interval: str = "1s"
    group_interval: str = "2s"
    repeat_interval: str = "1h"
    say: Callable[[str], None] = field(default=lambda _line: None)


@dataclass(frozen=True)
class StageHost:
    """One host of the stage. `resource_id` is the label its alerts carry."""

    name: str
    resource_id: str
    address: str
    service: str = "shopd"
    role: Role = "app"


class Stage(Protocol):
    """Hosts, monitoring and, in the lab setting, a cloud. `down` is idempotent and safe after any failure."""

    name: SettingName
    options: StageOptions
    hosts: Sequence[StageHost]

    @property
    def prometheus_url(self) -> str: ...

    @property
    def alertmanager_url(self) -> str: ...

    def up(self) -> None:
        """Bring up hosts and monitoring; returns when every target is scraped healthy. Raises LabError."""

    def down(self) -> None:
        """Stop and remove everything this stage made."""

    def resources(self) -> list[dict[str, Any]]:
        """The stage's hosts as entries for the `resources` key of selfheal.yaml."""

    def environment(self) -> Mapping[str, str]:
        """Environment variables a server healing this stage needs (credentials of the lab's cloud)."""

    def enter(self) -> None:
        """Move the calling thread, and threads and processes it starts later, into the stage's network."""

    def leave(self) -> None:
        """Undo `enter` for the calling thread."""

    def run(self, host: StageHost, command: str, timeout: float = 15.0) -> subprocess.CompletedProcess[str]:
        """Run a shell command on the host *not* through the product: how faults are made and the world is checked."""

    def healthy(self, host: StageHost) -> bool:
        """Whether the host's service really answers, asked of the world, not of our own record."""


Role = Literal["app", "standby", "pg_primary", "pg_replica", "my_primary", "my_replica"]
"""What a host of the lab is for. Where a fault strikes is told by role; a stage has one host of each that it has."""


@dataclass(frozen=True)
class Fault:
    """One real fault: how to cause it, how it shows, what it should be taken for, and how to put the world back.

    What it leaves on a host has names that say nothing of what it is.
    """

    name: str
    issue_type: str
    settings: tuple[SettingName, ...]
    alertname: str
    """The alert that must come of it, or one of `or_alerts`."""
    expected_cause: str
    expected_outcome: Literal["mitigated", "escalated", "self_resolved"]
    inject: Callable[[Any, StageHost], None]
    restore: Callable[[Any, StageHost], None]
    kind: str = "Instance"
    says: str = ""
    on: Role = "app"
    needs: tuple[Role, ...] = ()
    """Other hosts there must be; a database's pair is there in any case."""
    or_alerts: tuple[str, ...] = ()
    """Alerts that speak of it as well, where several race: whichever comes first may have it healed before the rest."""
    expected_actions: tuple[str, ...] = ()
    """The actions that should be run, in order; for an escalation usually none."""
    mended: Callable[[Any, StageHost], bool] | None = None
    """Whether the world itself is well again, asked around Self-Heal; by default whether the service answers."""
    expectation: Expectation | None = None
    """Of a situation: what is right to think and do of it. Faults have theirs in `evals.lab.expectations`."""

    @property
    def alertnames(self) -> tuple[str, ...]:
        """All of which one must come."""
        return (self.alertname, *self.or_alerts)

"""What stands around a fault on the lab's hosts: the service's name and port, what else runs there, and how alerts are
set. The same fault in other surroundings is another case.

One process has one surroundings, as faults know the service's port as a constant: `SELFHEAL_LAB_SURROUNDINGS` names
them, and `python -m evals.lab run --surroundings NAME` sets it. Pure, apart from reading that variable.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evals.lab.neighbours import BUSY_NEIGHBOURS, QUIET_NEIGHBOURS, Neighbour
from evals.lab.stage import LabError

VARIABLE = "SELFHEAL_LAB_SURROUNDINGS"
_LIMIT = re.compile(r"(?<=[<>] )[0-9.]+\s*$")


@dataclass(frozen=True)
class Surroundings:
    """`limits` are other limits of shipped alerts, by alert. `labels` and `annotations` every alert has besides, and
    `site` what Prometheus says of itself on each. For `keeps_firing` an alert goes on after its condition is over.
    `thresholds` are declared of each host."""

    name: str
    service: str = "shopd"
    describes: str = "Demo shop API"
    port: int = 8080
    alert_for: str = "1s"
    keeps_firing: str = ""
    limits: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    site: Mapping[str, str] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    neighbours: tuple[Neighbour, ...] = ()

    def rule(self, rule: dict[str, Any]) -> dict[str, Any]:
        """A shipped alert as it is set here."""
        limit = self.limits.get(rule["alert"])
        return {
            **rule,
            "expr": _LIMIT.sub(limit, rule["expr"]) if limit else rule["expr"],
            "for": self.alert_for,
            **({"keep_firing_for": self.keeps_firing} if self.keeps_firing else {}),
            "labels": {**rule.get("labels", {}), **self.labels},
            "annotations": {**rule.get("annotations", {}), **self.annotations},
        }


PLAIN = Surroundings("plain")
"""What there is where nothing else is wanted: demo, tests, benchmarks."""

QUIET = Surroundings(
    "quiet",
    labels={"team": "web"},
    site={"site": "south"},
    neighbours=QUIET_NEIGHBOURS,
)

BUSY = Surroundings(
    "busy",
    service="tillbox",
    describes="Point of sale gateway",
    port=9080,
    alert_for="2s",
    limits={"DiskFull": "85", "InodesExhausted": "90", "HighCpu": "75", "MariadbReplicationLag": "20"},
    labels={"owner": "retail-platform", "page": "office-hours"},
    annotations={
        "description": "{{ $labels.alertname }} for {{ $labels.instance }}, see the dashboard of its site.",
        "dashboard": "https://dashboards.example.com/d/hosts?var-host={{ $labels.resource_id }}",
    },
    site={"site": "north", "stage": "production"},
    thresholds={"disk_used_percent": 85, "cpu_percent": 75, "inodes_used_percent": 90},
    neighbours=BUSY_NEIGHBOURS,
)

ALL = {each.name: each for each in (PLAIN, QUIET, BUSY)}


def current() -> Surroundings:
    """This process's. Raises LabError for a name there is not."""
    name = os.environ.get(VARIABLE, PLAIN.name)
    if name not in ALL:
        raise LabError(f"{VARIABLE}={name!r}: there are {', '.join(ALL)}")
    return ALL[name]

"""When nothing is wrong, and how sure that is: facts in, score out, as a table."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agents.causes.nothing import OVER, WELL, WELL_YET_FIRING, nothing_wrong
from graph.facts import Facts, FactValue, fact_key
from graph.records import Resource, SshAccess

RESOURCE = Resource(
    id="inst-1",
    kind="Instance",
    address="192.0.2.1",
    ssh=SshAccess(user="ops", key_file="k", known_hosts="h"),
    services=("web",),
)
WELL_FACTS: Mapping[str, FactValue] = {
    "host.reachable": True,
    fact_key("unit.state", unit="web"): "running",
    fact_key("health.ok", check="http http://192.0.2.1/"): True,
}


def firing(value: bool, name: str = "X") -> dict[str, FactValue]:
    return {fact_key("alert.firing", alertname=name): value}


@pytest.mark.parametrize(
    ("facts", "score"),
    [
        (WELL_FACTS, WELL),
        ({**WELL_FACTS, **firing(False)}, OVER),
        ({**WELL_FACTS, **firing(True)}, WELL_YET_FIRING),
        ({**WELL_FACTS, **firing(False), **firing(True, "Y")}, WELL_YET_FIRING),
        ({**WELL_FACTS, fact_key("disk.used_percent", mount="/"): 99.0}, None),
        ({**WELL_FACTS, "cpu.busy_percent": 99.0}, None),
        ({**WELL_FACTS, fact_key("disk.inodes_used_percent", mount="/"): 99.0}, None),
        ({**WELL_FACTS, fact_key("disk.used_percent", mount="/"): 50.0}, WELL),
        # the condition is over: a disk that is rather full is none of this incident's business
        ({**WELL_FACTS, fact_key("disk.used_percent", mount="/"): 91.0, **firing(False)}, OVER),
        ({**WELL_FACTS, fact_key("unit.state", unit="web"): "failed"}, None),
        ({**WELL_FACTS, fact_key("health.ok", check="http http://192.0.2.1/"): False}, None),
        ({**WELL_FACTS, "host.reachable": False}, None),
        ({"host.reachable": True}, None),
        ({}, None),
    ],
)
def test_how_sure_it_is_that_nothing_is_wrong(facts: Mapping[str, FactValue], score: float | None) -> None:
    match = nothing_wrong(Facts.of([("E1", facts)]), RESOURCE)
    assert (match.score if match else None) == score
    assert match is None or match.cites

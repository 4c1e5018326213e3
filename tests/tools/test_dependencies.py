"""What services depend on, tried from the host itself; and what Prometheus knows of their requests."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from graph.records import Resource, SshAccess
from graph.resources import Database
from tests.tools.http_faults import closed_port
from tests.tools.test_evidence import context, gathered, host
from tools.clients.host import HostUnreachable
from tools.clients.local import LocalHosts
from tools.clients.prometheus import Series
from tools.evidence.dependencies import connect_command, dependencies, parse_connects
from tools.evidence.metrics import request_facts

DATABASE = Resource(
    id="db-1", kind="Database", address="10.0.0.9", ssh=SshAccess(user="root", key_file="k", known_hosts="h"),
    database=Database(engine="postgresql", cluster="orders", role="primary", port=5432),
)  # fmt: skip


@dataclass
class Open:
    """A history in which the database has an open incident."""

    async def recent(self, resource_key: str) -> Sequence[str]:
        return ()

    async def under_way(self, resource_key: str) -> str | None:
        return "#7 service_down is running" if resource_key == DATABASE.key else None


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


async def test_a_real_connection_tells_what_listens_and_what_refuses(port: int) -> None:
    refused = closed_port()
    here = host(depends_on=[f"127.0.0.1:{port}", f"127.0.0.1:{refused}", "no-such-host.invalid:80"])
    found = await gathered("dependencies", here, context(hosts=LocalHosts()))
    assert found.facts[f'dependency.reachable{{dependency="127.0.0.1:{port}"}}'] is True
    assert found.facts[f'dependency.reachable{{dependency="127.0.0.1:{refused}"}}'] is False
    assert found.facts[f'dependency.how{{dependency="127.0.0.1:{refused}"}}'] == "refused"
    assert found.facts['dependency.reachable{dependency="no-such-host.invalid:80"}'] is False
    assert f"127.0.0.1:{refused} not reachable (refused)" in found.text


async def test_a_dependency_with_an_incident_of_its_own_is_told_with_it() -> None:
    given = context({"dependency": "dependency 0 124 \n"}, inventory={DATABASE.key: DATABASE}, history=Open())
    for name in ("Database/db-1", "10.0.0.9:5432"):
        facts = (await gathered("dependencies", host(depends_on=[name]), given)).facts
        assert facts[f'dependency.reachable{{dependency="{name}"}}'] is False
        assert facts[f'dependency.how{{dependency="{name}"}}'] == "timeout"
        assert facts[f'dependency.incident{{dependency="{name}"}}'] == "#7 service_down is running"


async def test_nothing_declared_or_no_means_to_try_is_no_data() -> None:
    assert (await gathered("dependencies", host(), context())).status == "no_data"
    without = context({"dependency": "dependency 0 tool\n"})
    assert (await gathered("dependencies", host(depends_on=["db:1"]), without)).status == "no_data"


async def test_a_silent_host_can_not_try() -> None:
    with pytest.raises(HostUnreachable):
        await gathered(
            "dependencies", host(depends_on=["db:1"]), context({"": HostUnreachable("no answer", "timeout")})
        )


@pytest.mark.parametrize(
    ("said", "how"),
    [
        ("dependency 0 0 ", "ok"),
        ("dependency 0 1 bash: connect: Connection refused", "refused"),
        ("dependency 0 1 bash: connect: No route to host", "no_route"),
        ("dependency 0 1 db: Name or service not known", "dns"),
        ("dependency 0 124 ", "timeout"),
        ("dependency 0 1 what?", "failed"),
        ("dependency 0 tool", "no_tool"),
    ],
)
def test_what_a_connection_came_to_is_one_word(said: str, how: str) -> None:
    assert parse_connects(f"{said}\nnoise\n") == {0: how}


def test_a_dependency_is_found_by_key_and_by_address() -> None:
    declared = host(depends_on=["Database/db-1", "10.0.0.9:5432", "cache:6379", "nonsense", "Instance/gone"])
    found = dependencies(declared, {DATABASE.key: DATABASE})
    assert [(item.address, item.key) for item in found] == [
        (("10.0.0.9", 5432), "Database/db-1"), (("10.0.0.9", 5432), "Database/db-1"), (("cache", 6379), None),
        (None, None), (None, None),
    ]  # fmt: skip


def test_an_address_is_quoted_for_the_shell() -> None:
    assert "'a;reboot' 1" in connect_command([("a;reboot", 1)])


def series(*values: float) -> list[Series]:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [Series({}, tuple((start + timedelta(seconds=5 * n), value) for n, value in enumerate(values)))]


@pytest.mark.parametrize(
    ("values", "now", "usual"),
    [
        ((1, 1, 2, 1, 1, 1, 80, 90), 90, 1),
        ((80, 90, 85, 88, 84), 84, 80),
        ((0, 0, float("nan"), 0, 0, 75.55), 75.5, 0),
        ((5, 6), 6, None),
    ],
)
def test_what_is_usual_is_what_was_before_a_load_rose(
    values: tuple[float, ...], now: float, usual: float | None
) -> None:
    facts, _ = request_facts(series(*values))
    assert facts["metric.requests_per_s"] == pytest.approx(now, abs=0.06)
    assert facts.get("metric.requests_usual_per_s") == usual


def test_no_measure_of_requests_tells_nothing() -> None:
    assert request_facts([]) == ({}, "")

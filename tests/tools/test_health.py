"""Health as the world shows it: pass, not yet, never, or nobody knows; and looking never fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from graph.ports import PermanentError, TemporaryError
from graph.records import Alert, HealthCheck, Incident, JudgedBy, Observation, Resource, SshAccess
from tests.tools.http_faults import answering, closed_port, dripping, faulty_server, hanging
from tests.tools.real_prometheus import running_prometheus
from tools.clients.alert_rules import AlertState
from tools.clients.host import CommandResult, Hosts, HostUnreachable
from tools.clients.memory import MemoryHosts
from tools.clients.prometheus import PrometheusClient
from tools.health import AlertConditions, OfIssue, OfKind, WorldHealth, health_client

SYSTEMCTL = (Path(__file__).parent / "recorded" / "systemctl_show.txt").read_text()
SHOWN = ("web", "bad", "killed", "broken", "slow", "nope", "sshd", "dbus-org.freedesktop.login1")


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with health_client() as client:
        yield client


def host(*services: str, health: tuple[HealthCheck, ...] = ()) -> Resource:
    access = SshAccess(user="root", key_file="k", known_hosts="h")
    return Resource(id="inst-1", kind="Instance", address="10.0.0.5", ssh=access, services=services, health=health)


def incident(resource: Resource | None, *alerts: Alert) -> Incident:
    return Incident(
        id="0190", number=1, resource_kind="Instance", resource_id="inst-1", issue_types=("service_down",),
        alerts=alerts or (Alert(status="firing", labels={"alertname": "InstanceDown"}),),
        received_at=datetime(2026, 11, 24, tzinfo=UTC), resource=resource,
    )  # fmt: skip


@dataclass
class Conditions:
    """Prometheus in memory: what it says of any alert, or what it raises."""

    says: AlertState | Exception

    async def alert_state(self, alert: Alert) -> AlertState:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


INACTIVE = Conditions(AlertState("inactive", "Prometheus says it is inactive", "rules"))


async def observed(
    http: httpx.AsyncClient,
    resource: Resource | None,
    hosts: Hosts | None = None,
    prometheus: AlertConditions | None = INACTIVE,
) -> dict[str, Observation]:
    health = WorldHealth(hosts or MemoryHosts({"systemctl show": SYSTEMCTL}), prometheus, http)
    return {item.criterion: item for item in await health.observe(incident(resource))}


# -- the alert's own condition -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "status"),
    [
        (AlertState("inactive", "is inactive", "rules"), "pass"),
        (AlertState("firing", "is firing", "rules"), "pending"),
        (AlertState("pending", "is pending", "rules"), "pending"),
        (AlertState("unknown", "can't evaluate", "rules"), "unknown"),
        (TemporaryError("Prometheus is away"), "unknown"),
        (PermanentError("no Prometheus there"), "unknown"),
    ],
)
async def test_the_alerts_condition_is_a_criterion(
    http: httpx.AsyncClient, says: AlertState | Exception, status: str
) -> None:
    seen = (await observed(http, host("sshd"), prometheus=Conditions(says)))["alert InstanceDown"]
    assert seen.status == status
    assert str(says if isinstance(says, Exception) else says.observed) in seen.observed


@pytest.mark.parametrize("prometheus", [None, Conditions(AlertState("unknown", "no such rule", "nothing"))])
async def test_where_nobody_can_ask_the_checks_stand_alone_and_the_record_says_so(
    http: httpx.AsyncClient, prometheus: AlertConditions | None
) -> None:
    seen = (await observed(http, host("sshd"), prometheus=prometheus))["alert InstanceDown"]
    assert seen.status == "pass"
    assert seen.observed.startswith("not checked: ") and "stand alone" in seen.observed


async def test_where_nobody_can_ask_and_nothing_is_declared_nobody_knows(http: httpx.AsyncClient) -> None:
    seen = await observed(http, host(), MemoryHosts({"^true$": ""}), prometheus=None)
    assert seen["alert InstanceDown"].status == "unknown"
    assert seen["host answers"].status == "pass"


async def test_of_two_alerts_of_one_name_the_worse_counts(http: httpx.AsyncClient) -> None:
    @dataclass
    class ByJob:
        async def alert_state(self, alert: Alert) -> AlertState:
            state = "firing" if alert.labels["job"] == "b" else "inactive"
            return AlertState(state, f"{alert.labels['job']} is {state}", "rules")  # type: ignore[arg-type]

    alerts = [Alert(status="firing", labels={"alertname": "X", "job": job}) for job in "abc"]
    health = WorldHealth(MemoryHosts({"systemctl show": SYSTEMCTL}), ByJob(), http)
    seen = [item for item in await health.observe(incident(host("sshd"), *alerts)) if item.criterion == "alert X"]
    assert [(item.status, item.observed) for item in seen] == [("pending", "b is firing")]


async def test_a_real_prometheus_is_asked(http: httpx.AsyncClient) -> None:
    with running_prometheus() as url:
        client = PrometheusClient(url)
        health = WorldHealth(MemoryHosts({"systemctl show": SYSTEMCTL}), client, http)
        labels = {"resource_id": "inst-1", "resource_kind": "Instance"}
        alerts = [
            Alert(status="firing", labels={"alertname": name, **labels}) for name in ("AlwaysFires", "NeverFires")
        ]
        seen = {item.criterion: item.status for item in await health.observe(incident(host(), *alerts))}
        await client.close()
    assert (seen["alert AlwaysFires"], seen["alert NeverFires"]) == ("pending", "pass")


# -- http and tcp ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"), [(200, "pass"), (204, "pass"), (302, "pass"), (404, "pending"), (503, "pending")]
)
async def test_an_http_check_goes_by_the_status(http: httpx.AsyncClient, status: int, expected: str) -> None:
    with faulty_server(answering(status, "" if status == 204 else "cannot write, password=hunter2")) as server:
        check = HealthCheck(http=f"{server.url}/healthz")
        seen = (await observed(http, host(health=(check,))))[check.name]
    assert seen.status == expected and str(status) in seen.observed
    assert "hunter2" not in seen.observed
    assert expected == "pass" or "cannot write" in seen.observed


async def test_a_redirect_is_not_followed_to_another_host(http: httpx.AsyncClient) -> None:
    with (
        faulty_server(answering(200, "")) as elsewhere,
        faulty_server(answering(302, "", Location=elsewhere.url)) as server,
    ):
        check = HealthCheck(http=server.url)
        assert (await observed(http, host(health=(check,))))[check.name].status == "pass"
    assert elsewhere.asked == []


async def test_services_that_hang_drip_or_are_not_there_are_not_there_yet(http: httpx.AsyncClient) -> None:
    released = threading.Event()
    with faulty_server(hanging(released)) as hung, faulty_server(dripping(released)) as slow:
        checks = (
            HealthCheck(http=hung.url),
            HealthCheck(http=f"http://127.0.0.1:{closed_port()}"),
            HealthCheck(tcp=f"127.0.0.1:{closed_port()}"),
        )
        seen = await observed(http, host(health=checks))
        dripped = await observed(http, host(health=(HealthCheck(http=slow.url),)))
        released.set()
    assert {seen[check.name].status for check in checks} == {"pending"}
    assert dripped[f"http {slow.url}"].status == "pass", "it said 200 before it began to drip"


async def test_a_port_that_answers_passes(http: httpx.AsyncClient) -> None:
    with faulty_server(answering(200, "")) as server:
        check = HealthCheck(tcp=server.url.removeprefix("http://"))
        assert (await observed(http, host(health=(check,))))[check.name].status == "pass"


@pytest.mark.parametrize(
    "check",
    [HealthCheck(tcp="nonsense"), HealthCheck(tcp="x:99999"), HealthCheck(http="ftp://x/"), HealthCheck(http="::")],
)
async def test_a_check_that_makes_no_sense_is_unknown_with_the_remedy(
    http: httpx.AsyncClient, check: HealthCheck
) -> None:
    seen = (await observed(http, host(health=(check,))))[check.name]
    assert seen.status == "unknown" and "correct this health check" in seen.observed


# -- services and hosts -------------------------------------------------------------------------------------------


async def test_services_pass_fail_or_are_awaited_by_their_state(http: httpx.AsyncClient) -> None:
    seen = await observed(http, host(*SHOWN))
    states = {name.removeprefix("service "): item.status for name, item in seen.items() if name.startswith("service")}
    assert states == {
        "web": "pending", "bad": "fail", "killed": "fail", "broken": "fail", "slow": "pending",
        "nope": "fail", "sshd": "pass", "dbus-org.freedesktop.login1": "pass",
    }  # fmt: skip
    assert "result exit-code" in seen["service bad"].observed


async def test_a_declared_check_and_its_service_are_one_criterion_and_neighbours_are_seen_too(
    http: httpx.AsyncClient,
) -> None:
    checks = (HealthCheck(service="web.service"),)
    hosts = MemoryHosts({"systemctl show": SYSTEMCTL})
    seen = await observed(http, host("web", "bad", health=checks), hosts)
    assert set(seen) == {"alert InstanceDown", "service web.service", "service bad"}
    assert len(hosts.ran) == 1, "all services in one command"


async def test_a_service_named_only_in_a_check_is_looked_at(http: httpx.AsyncClient) -> None:
    seen = await observed(http, host(health=(HealthCheck(service="sshd"),)))
    assert seen["service sshd"].status == "pass"


@pytest.mark.parametrize(
    ("how", "status"), [("timeout", "pending"), ("refused", "pending"), ("auth", "unknown"), ("host_key", "unknown")]
)
async def test_a_silent_host_is_awaited_and_one_that_refuses_us_is_unknown(
    http: httpx.AsyncClient, how: str, status: str
) -> None:
    hosts = MemoryHosts({"": HostUnreachable("no answer", how)})  # type: ignore[arg-type]
    assert (await observed(http, host("web"), hosts))["service web"].status == status
    assert (await observed(http, host(), hosts))["host answers"].status == status


async def test_a_silent_service_manager_and_an_impossible_unit_are_unknown(http: httpx.AsyncClient) -> None:
    silent = MemoryHosts({"systemctl": CommandResult("", 1, "", "Failed to connect to bus", 0.1)})
    seen = (await observed(http, host("web"), silent))["service web"]
    assert seen.status == "unknown" and "Failed to connect to bus" in seen.observed
    assert (await observed(http, host("-x; reboot")))["service -x; reboot"].status == "unknown"


async def test_an_incident_without_resource_has_no_criteria(http: httpx.AsyncClient) -> None:
    assert await observed(http, None) == {}


async def test_everything_is_looked_at_at_once(http: httpx.AsyncClient) -> None:
    everyone = asyncio.Barrier(2)

    class Meeting(MemoryHosts):
        async def run(self, resource: Resource, command: str, timeout: float = 10.0) -> CommandResult:
            await everyone.wait()
            return await super().run(resource, command, timeout)

    class AlsoMeeting:
        async def alert_state(self, alert: Alert) -> AlertState:
            await everyone.wait()
            return AlertState("inactive", "inactive", "rules")

    seen = await observed(http, host("sshd"), Meeting({"systemctl show": SYSTEMCTL}), AlsoMeeting())
    assert {item.status for item in seen.values()} == {"pass"}


# -- criteria of an issue type, of a kind, and of moved traffic ----------------------------------------------


async def disk_is_fuller(resource: Resource) -> list[Observation]:
    return [Observation(criterion="disk /", status="pending", observed="disk / is 95 % full\npassword=hunter2hunter2")]


@pytest.mark.parametrize(
    ("more", "found"),
    [
        (OfIssue("service_down", disk_is_fuller), True),
        (OfIssue("disk_full", disk_is_fuller), False),
        (OfIssue("service_down", disk_is_fuller, kinds=("Database",)), False),
        (OfKind("Instance", disk_is_fuller), True),
        (OfKind("Database", disk_is_fuller), False),
    ],
)
async def test_more_criteria_count_where_they_are_concerned(
    http: httpx.AsyncClient, more: OfIssue | OfKind, found: bool
) -> None:
    health = WorldHealth(MemoryHosts({"systemctl show": SYSTEMCTL}), INACTIVE, http, [more])
    seen = {item.criterion: item for item in await health.observe(incident(host("sshd")))}
    assert ("disk /" in seen) == found
    assert not found or "hunter2" not in seen["disk /"].observed


async def test_where_traffic_was_moved_away_only_what_clients_see_counts(http: httpx.AsyncClient) -> None:
    lost = MemoryHosts({"": HostUnreachable("gone", "timeout")})
    health = WorldHealth(lost, INACTIVE, http, [OfKind("Instance", disk_is_fuller)])
    resource = host("sshd", health=(HealthCheck(tcp="127.0.0.1:1"), HealthCheck(service="sshd")))
    seen = [item.criterion for item in await health.observe(incident(resource), "traffic")]
    assert seen == ["alert InstanceDown", "tcp 127.0.0.1:1"]


@pytest.mark.parametrize(
    ("job", "judged_by", "checks", "status"),
    [
        ("node", "traffic", True, "pass"),
        ("node", "traffic", False, "pending"),
        ("node", "resource", True, "pending"),
        ("blackbox", "traffic", True, "pending"),
    ],
)
async def test_that_the_machine_is_lost_does_not_judge_where_its_traffic_went(
    http: httpx.AsyncClient, job: str, judged_by: JudgedBy, checks: bool, status: str
) -> None:
    firing = Conditions(AlertState("firing", "Prometheus says it fires", "rules"))
    resource = host("sshd", health=(HealthCheck(tcp="127.0.0.1:1"),) if checks else ())
    alert = Alert(status="firing", labels={"alertname": "InstanceDown", "job": job})
    health = WorldHealth(MemoryHosts({"systemctl show": SYSTEMCTL}), firing, http)
    seen = {item.criterion: item for item in await health.observe(incident(resource, alert), judged_by)}
    assert seen["alert InstanceDown"].status == status

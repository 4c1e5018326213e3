"""Sources of evidence: what they tell of a host, well or ill, and of one that does not answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agents.instance import INSTANCE
from graph.fakes import FakeClock
from graph.ports import Clock, Finding, HealthChecks, PermanentError
from graph.records import Alert, HealthCheck, Incident, Observation, ProviderAccess, Resource, SshAccess
from tests.tools.http_faults import closed_port
from tests.tools.real_prometheus import running_prometheus
from tests.tools.recorded import logs
from tests.tools.supervised import Supervisor, running_supervisord
from tools.clients.host import CommandResult, HostUnreachable, UnreachableHow
from tools.clients.local import LocalHosts
from tools.clients.memory import Answer, MemoryHosts
from tools.clients.prometheus import PrometheusClient
from tools.clients.providers.provider import ProviderStatus
from tools.evidence import SOURCES, EvidenceContext, UnknownSource, make_sources

SYSTEMCTL = (Path(__file__).parent / "recorded" / "systemctl_show.txt").read_text()
BOOT = "0b7e-boot\n10000.50 1.00\n100\n1 (systemd) S " + " ".join(["0"] * 18) + " 700000 1 1\n"
INIT = "100 " + BOOT.splitlines()[3] + "\n"
NOW = datetime(2026, 11, 24, 14, 10, tzinfo=UTC)
SHOWN = ("web", "bad", "killed", "broken", "slow", "nope", "sshd", "dbus-org.freedesktop.login1")


def host(*services: str, user: str = "root", **more: Any) -> Resource:
    access = SshAccess(user=user, key_file="k", known_hosts="h")
    return Resource.model_validate(
        {"id": "inst-1", "kind": "Instance", "address": "10.0.0.5", "ssh": access, "services": services, **more}
    )


def incident(resource: Resource | None) -> Incident:
    alert = Alert(status="firing", labels={"alertname": "InstanceDown", "instance": "10.0.0.5:9100"})
    return Incident(
        id="0190", number=1, resource_kind="Instance", resource_id="inst-1", issue_types=("service_down",),
        alerts=(alert,), received_at=NOW, resource=resource,
    )  # fmt: skip


@dataclass
class SeenHealth:
    seen: tuple[Observation, ...]

    async def observe(self, incident: Incident) -> tuple[Observation, ...]:
        return self.seen


def context(answers: dict[str, Answer] | None = None, **more: Any) -> EvidenceContext:
    made = EvidenceContext(hosts=MemoryHosts(answers or {}), clock=FakeClock(NOW), health=SeenHealth(()))
    return replace(made, **more)


async def gathered(name: str, resource: Resource | None, given: EvidenceContext) -> Finding:
    [source] = make_sources([name], given)
    return await source.gather(incident(resource))


DEAD: dict[str, Answer] = {"": HostUnreachable("root@10.0.0.5:22: no answer within 5 s", "timeout")}


# -- the registry ------------------------------------------------------------------------------------------


def test_every_source_an_instance_wants_is_there() -> None:
    made = make_sources(INSTANCE.sources, context())
    assert [source.name for source in made] == list(INSTANCE.sources)
    assert {factory.name for factory in SOURCES} >= set(INSTANCE.sources)


def test_an_unknown_source_is_refused_with_the_known_names() -> None:
    with pytest.raises(UnknownSource, match="'loki': known sources are host, units"):
        make_sources(["loki"], context())


async def test_an_incident_without_resource_has_nobody_to_ask() -> None:
    for name in INSTANCE.sources:
        with pytest.raises(PermanentError, match="not declared"):
            await gathered(name, None, context())


# -- host ----------------------------------------------------------------------------------------------------


async def test_a_host_that_answers_tells_its_boot_and_load() -> None:
    found = await gathered("host", host(), context({"loadavg": "0.42 0.1 0.1 1/99 7\n", "boot_id": BOOT}))
    assert found.facts["host.reachable"] is True
    assert found.facts["host.uptime_seconds"] == 3000
    assert found.facts["host.load1"] == 0.42
    assert str(found.facts["host.boot_id"]).startswith("0b7e-boot")


@pytest.mark.parametrize("how", ["timeout", "refused", "no_route", "auth", "host_key", "closed", "dns"])
async def test_a_silent_host_is_an_observation_and_no_failure(how: UnreachableHow) -> None:
    found = await gathered("host", host(), context({"": HostUnreachable("why", how)}))
    assert found.status == "observed"
    assert dict(found.facts) == {"host.reachable": False, "host.unreachable_how": how}
    assert "why" in found.text


@pytest.mark.parametrize("name", ["units", "journal", "dmesg", "ports", "changes"])
async def test_other_sources_of_a_silent_host_fail_with_its_reason(name: str) -> None:
    with pytest.raises(HostUnreachable, match="no answer within 5 s"):
        await gathered(name, host("web"), context(DEAD))


# -- units -----------------------------------------------------------------------------------------------------


async def test_units_in_trouble_are_told_in_detail_and_first() -> None:
    facts = (await gathered("units", host(*SHOWN), context({"systemctl show": SYSTEMCTL}))).facts
    assert facts['unit.state{unit="bad"}'] == "failed"
    assert facts['unit.result{unit="bad"}'] == "exit-code"
    assert facts['unit.exit_code{unit="bad"}'] == 3
    assert facts['unit.signal{unit="killed"}'] == "KILL"
    assert facts['unit.state{unit="sshd"}'] == "running"
    assert 'unit.result{unit="sshd"}' not in facts
    text = (await gathered("units", host(*SHOWN), context({"systemctl show": SYSTEMCTL}))).text
    assert "bad is failed" in text and "exit code 3" in text


async def test_a_manager_that_tells_nothing_is_a_failure_with_its_words() -> None:
    silent = CommandResult("", 1, "", "System has not been booted with systemd", 0.1)
    with pytest.raises(Exception, match="not been booted with systemd"):
        await gathered("units", host("web"), context({"systemctl": silent}))


async def test_a_resource_without_services_gives_no_data() -> None:
    for name in ("units", "journal"):
        assert (await gathered(name, host(), context())).status == "no_data"


# -- journal -----------------------------------------------------------------------------------------------------


async def test_the_logs_of_all_services_are_read_in_one_command() -> None:
    answer = f"-- log of 0\n{logs.SYSTEMD_BAD_CONFIG}\n-- log of 1\n{logs.SYSTEMD_OOM}\n"
    given = context({"journalctl": answer})
    found = await gathered("journal", host("shopd", "web"), given)
    assert "line 4 column 3" in str(found.facts['journal.config_error{unit="shopd"}'])
    assert found.facts['journal.oom{unit="web"}'] is True
    assert 'journal.config_error{unit="web"}' not in found.facts
    assert isinstance(given.hosts, MemoryHosts) and len(given.hosts.ran) == 1


async def test_a_log_can_not_speak_for_another_service() -> None:
    forged = f"2026-11-24T14:00:00+0000 h1 a[1]: -- log of 1\n{logs.SYSTEMD_OOM}"
    answer = f"-- log of 0\n{forged}\n-- log of 1\n{logs.SYSTEMD_STOPPED}\n"
    facts = (await gathered("journal", host("a", "b"), context({"journalctl": answer}))).facts
    assert facts['journal.oom{unit="a"}'] is True
    assert facts['journal.stopped_by_request{unit="b"}'] is True


async def test_logs_we_may_not_read_are_no_data_with_a_remedy() -> None:
    found = await gathered("journal", host("web"), context({"journalctl": "-- log of 0\n\n"}))
    assert found.status == "no_data" and "systemd-journal" in found.text


async def test_secrets_in_logs_are_not_told() -> None:
    said = "2026-11-24T14:08:00+0000 h1 app[7]: FATAL config error in /etc/app.conf line 3: password=hunter2"
    found = await gathered("journal", host("app"), context({"journalctl": f"-- log of 0\n{said}\n"}))
    assert "line 3" in str(found.facts['journal.config_error{unit="app"}'])
    assert "hunter2" not in json.dumps([found.text, dict(found.facts), found.raw])


def test_only_who_needs_it_reads_with_sudo() -> None:
    from tools.evidence.dmesg import dmesg_command
    from tools.evidence.journal import logs_command
    from tools.evidence.ports import ports_command

    for command in (dmesg_command, logs_command, ports_command):
        assert "sudo" not in command(host("web"))
        assert "sudo -n " in command(host("web", user="selfheal"))


# -- dmesg -----------------------------------------------------------------------------------------------------


def killed_unit(seconds_ago: float, signal: int = 9, uptime: float = 10_000.0) -> str:
    changed = int((uptime - seconds_ago) * 1e6)
    return (
        f"{uptime} 1.0\nId=shopd.service\nNames=shopd.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\n"
        f"Result=signal\nExecMainCode=2\nExecMainStatus={signal}\nStateChangeTimestampMonotonic={changed}\n"
    )


@pytest.mark.parametrize(
    ("status", "killed"),
    [
        (killed_unit(9.5), True),  # the kernel killed python3 at 9990.3
        (killed_unit(0.5), True),  # after a restart that was refused
        (killed_unit(300), False),
        (killed_unit(9.5, signal=15), False),
    ],
)
async def test_a_unit_that_ended_as_the_kernel_killed_was_killed_for_memory(status: str, killed: bool) -> None:
    answer = f"readable 10000.00 1.00\n{INIT}{logs.KERNEL}-- units\n{status}"
    facts = (await gathered("dmesg", host("shopd"), context({"dmesg": answer}))).facts
    assert ('unit.oom_killed{unit="shopd"}' in facts) is killed
    assert facts['kernel.oom_kill{process="python3"}'] == 4242
    assert 'kernel.oom_kill{process="longago"}' not in facts
    assert facts["kernel.io_error"] is True


async def test_what_the_kernel_killed_before_this_host_began_was_not_here() -> None:
    began = INIT.replace("700000", "999400")  # a container, started at 9994
    found = await gathered("dmesg", host(), context({"dmesg": f"readable 10000.00 1.00\n{began}{logs.KERNEL}"}))
    assert 'kernel.oom_kill{process="python3"}' not in found.facts
    assert found.facts['kernel.oom_kill{process="nginx"}'] == 4300


async def test_a_unit_whose_cgroup_the_kernel_names_was_killed_for_memory() -> None:
    status = "10000 1\nId=nginx.service\nNames=nginx.service\nLoadState=loaded\nActiveState=active\nSubState=running\n"
    answer = f"readable 10000.00 1.00\n{INIT}{logs.KERNEL}-- units\n{status}"
    found = await gathered("dmesg", host("nginx"), context({"dmesg": answer}))
    assert found.facts['unit.oom_killed{unit="nginx"}'] is True
    assert "killed nginx of nginx" in found.text


async def test_a_kernel_log_we_may_not_read_is_no_data() -> None:
    refused = "refused: dmesg: read kernel buffer failed: Operation not permitted\n-- units\n"
    found = await gathered("dmesg", host("shopd"), context({"dmesg": refused}))
    assert found.status == "no_data" and "Operation not permitted" in found.text


# -- ports -------------------------------------------------------------------------------------------------------


async def test_a_declared_port_that_nobody_listens_on_is_told() -> None:
    answer = 'LISTEN 0 511 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=7,fd=6))\n'
    checked = host(health=[{"http": "http://10.0.0.5:8080/healthz"}, {"tcp": "10.9.9.9:5432"}])
    found = await gathered("ports", checked, context({"ss -Hltnp": answer}))
    assert found.facts['port.listening{port="8080"}'] is False
    assert found.facts['port.listening{port="22"}'] is True
    assert "22 sshd" in found.text
    assert 'port.listening{port="5432"}' not in found.facts, "another host's port is not ours to tell"
    assert "nobody listens on 8080" in found.text


# -- provider ----------------------------------------------------------------------------------------------------


@dataclass
class ToldProvider:
    """A provider that tells this status; the rest is not asked here."""

    told: ProviderStatus
    name: str = "ec2"

    async def status(self, resource: Resource) -> ProviderStatus:
        return self.told

    async def soft_reboot(self, resource: Resource) -> str:
        raise AssertionError("evidence only reads")

    start = soft_reboot

    async def stop(self, resource: Resource, *, force: bool) -> str:
        raise AssertionError("evidence only reads")

    def render(self, resource: Resource, call: str) -> str:
        return call


CLOUD: dict[str, Any] = {"provider": ProviderAccess(name="ec2", region="eu-west-1", instance_id="i-0abc")}


async def test_the_providers_view_is_told() -> None:
    status = ProviderStatus(
        "running", "impaired", "ok", NOW, "t3.micro", events=("instance-reboot",), console_tail="x\nlast"
    )
    found = await gathered("provider", host(**CLOUD), context(providers={"ec2": ToldProvider(status)}))
    assert dict(found.facts) == {
        "provider.name": "ec2", "provider.state": "running",
        "provider.instance_check": "impaired", "provider.system_check": "ok", "provider.instance_type": "t3.micro",
    }  # fmt: skip
    assert "instance-reboot" in found.text and "console ends: last" in found.text and "i-0abc" in found.asked


async def test_no_provider_is_no_data_and_an_unknown_one_a_failure() -> None:
    assert (await gathered("provider", host(), context())).status == "no_data"
    with pytest.raises(PermanentError, match="known providers: none"):
        await gathered("provider", host(**CLOUD), context())


# -- health --------------------------------------------------------------------------------------------------------


def seen(criterion: str, status: str, observed: str = "words") -> Observation:
    return Observation.model_validate({"criterion": criterion, "status": status, "observed": observed})


async def test_health_is_told_as_facts_and_what_could_not_be_asked_as_words_only() -> None:
    health = SeenHealth(
        (
            seen("alert InstanceDown", "pending"),
            seen("alert Other", "pass", "not checked: no rule"),
            seen("http http://x", "pending", "HTTP 503"),
            seen("service web", "pass"),
            seen("tcp x:1", "unknown", "no idea"),
        )
    )
    facts = (await gathered("health", host(), context(health=health))).facts
    assert facts['alert.firing{alertname="InstanceDown"}'] is True
    assert facts['health.ok{check="http http://x"}'] is False
    assert facts['health.ok{check="service web"}'] is True
    assert facts['health.observed{check="tcp x:1"}'] == "no idea"
    assert not {'alert.firing{alertname="Other"}', 'health.ok{check="tcp x:1"}'} & facts.keys()


# -- changes -------------------------------------------------------------------------------------------------------


@dataclass
class Past:
    told: Sequence[str]

    async def recent(self, resource_key: str) -> Sequence[str]:
        assert resource_key == "Instance/inst-1"
        return self.told


CHANGES = (
    "   3000\n-- packages\n2026-11-24 14:00:00\n2026-11-24 13:58:00 upgrade nginx:amd64 1.22 1.24\n-- last\n-- units\n"
    + SYSTEMCTL
)


async def test_recent_changes_are_dated() -> None:
    given = context({"-- packages": CHANGES}, history=Past(("#7 mitigated yesterday", "#3 escalated")))
    found = await gathered("changes", host(*SHOWN), given)
    assert found.facts["change.booted_seconds_ago"] == 3000
    assert found.facts["change.packages_seconds_ago"] == 120
    assert "upgrade nginx" in found.text and "#7 mitigated yesterday and 1 more" in found.text


async def test_a_silent_hosts_history_is_still_told() -> None:
    found = await gathered("changes", host("web"), context(DEAD, history=Past(("#7 mitigated yesterday",))))
    assert "#7 mitigated" in found.text and "timeout" in found.text


# -- metrics, from a real Prometheus -------------------------------------------------------------------------------


class RealClock:
    """Now is now."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("sources do not sleep")


async def test_metrics_find_the_host_by_its_label_and_tell_what_is_up() -> None:
    with running_prometheus() as url:
        client = PrometheusClient(url)
        found = await gathered("metrics", host(), context(prometheus=client, clock=RealClock()))
        other = host().model_copy(update={"id": "inst-2"})
        nothing = await gathered("metrics", other, context(prometheus=client, clock=RealClock()))
        await client.close()
    assert found.facts['metric.up{job="node"}'] == 1
    assert found.facts['metric.up{job="gone"}'] == 0
    assert 'resource_id="inst-1"' in found.asked
    assert nothing.status == "no_data" and nothing.facts["metric.no_samples"] is True


async def test_a_prometheus_that_is_away_fails_and_none_configured_is_no_data() -> None:
    client = PrometheusClient(f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(Exception, match="can't be reached"):
        await gathered("metrics", host(), context(prometheus=client))
    await client.close()
    assert (await gathered("metrics", host(), context())).status == "no_data"


# -- a real supervisord, over the local transport ------------------------------------------------------------------


@pytest.fixture(scope="module")
def supervisor() -> Iterator[Supervisor]:
    with running_supervisord() as running:
        yield running


async def test_a_real_supervisord_and_this_machine_are_read(supervisor: Supervisor) -> None:
    supervisor.ctl("start", "bad")
    resource = supervisor.resource()
    given = context(hosts=LocalHosts())
    units = await gathered("units", resource, given)
    assert units.facts['unit.state{unit="web"}'] == "running"
    assert units.facts['unit.state{unit="bad"}'] == "failed"
    journal = await gathered("journal", resource, given)
    assert journal.facts['journal.config_error{unit="bad"}'] == "config error in line 3"
    assert (await gathered("host", resource, given)).facts["host.reachable"] is True
    assert (await gathered("ports", resource, given)).status in ("observed", "no_data")
    assert (await gathered("dmesg", resource, given)).status in ("observed", "no_data")
    assert "change.booted_seconds_ago" in (await gathered("changes", resource, given)).facts


# -- size --------------------------------------------------------------------------------------------------------


async def test_all_evidence_of_one_host_in_trouble_stays_small() -> None:
    checks = [HealthCheck(http="http://10.0.0.5:8080/healthz"), HealthCheck(service="shopd")]
    resource = host("shopd", health=checks, **CLOUD)
    health: HealthChecks = SeenHealth(
        (seen("alert InstanceDown", "pending"), seen(checks[0].name, "pending", "x" * 160))
    )
    clock: Clock = FakeClock(NOW)
    status = ProviderStatus("running", "ok", "ok", NOW, "t3.micro", "User initiated " * 9, console_tail="login: " * 99)
    answers: dict[str, Answer] = {
        "-- log of": f"-- log of 0\n{logs.SYSTEMD_BAD_CONFIG}\n",
        "dmesg": f"readable 10000.00 1.00\n{INIT}{logs.KERNEL}-- units\n{killed_unit(9.5)}",
        "-- packages": f"{CHANGES}",
        "loadavg": "0.42 0.1 0.1 1/99 7\n",
        "boot_id": BOOT,
        "ss -Hltnp": "".join(f'LISTEN 0 9 0.0.0.0:{port} 0.0.0.0:* users:(("x",pid=1))\n' for port in range(20, 90)),
        "systemctl show": killed_unit(9.5),
    }
    given = context(answers, health=health, clock=clock, providers={"ec2": ToldProvider(status)})
    state = []
    for name in INSTANCE.sources:
        found = await gathered(name, resource, given)
        state.append({"asked": found.asked, "text": found.text, "facts": dict(found.facts)})
        assert len(found.asked) <= 100 and len(found.text) <= 180 and len(found.raw) <= 80_000
    assert len(json.dumps(state)) < 4200

"""Repairs of a host's network, on real network namespaces with real nft, iptables and ip; and what they refuse."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agents.instance import INSTANCE
from graph.facts import Facts
from graph.fakes import FakeClock
from graph.ports import InvalidStep
from graph.records import Alert, HealthCheck, Incident, PlanStep, Resource, ServiceManagerAccess, SshAccess
from graph.resources import Networking
from tools.actions import ActionContext
from tools.actions.catalogue import Catalogue
from tools.clients.host import CommandResult
from tools.clients.memory import MemoryHosts
from tools.evidence import EvidenceContext, make_sources
from tools.evidence.network import network_facts, sections

NOW = datetime(2026, 11, 24, 14, 10, tzinfo=UTC)
RESOURCE = Resource(
    id="inst-1",
    kind="Instance",
    address="192.0.2.1",
    ssh=SshAccess(user="root", key_file="k", known_hosts="h"),
    services=("web",),
    health=(HealthCheck(http="http://192.0.2.1:8080/healthz"),),
    network=Networking(
        interface="svc0", gateway="10.9.0.254", ports=(8080,), nameservers=("192.0.2.53",), resolve=("localhost",)
    ),
)
NFT = """table inet filter {
  chain input {
    type filter hook input priority 0; policy accept;
    iif lo accept
    tcp dport 22 accept
    tcp dport 8080 counter drop comment "window 7"
    tcp dport 9999 accept
  }
}
"""


def missing(*programs: str) -> str | None:
    """Why no network of our own can be made here, or None."""
    if os.geteuid() != 0:
        return "needs root, for a network namespace"
    lacking = [name for name in ("ip", "nsenter", *programs) if shutil.which(name) is None]
    return f"needs {', '.join(lacking)} on PATH" if lacking else None


@dataclass
class NamespaceHosts:
    """Runs commands of "the host" on this machine, in a network of its own."""

    name: str

    async def run(self, resource: Resource, command: str, timeout: float = 10.0) -> CommandResult:
        done = await asyncio.to_thread(self.sh, command)
        return CommandResult(command, done.returncode, done.stdout, done.stderr, 0.0)

    def sh(self, command: str) -> subprocess.CompletedProcess[str]:
        argv = ["nsenter", f"--net=/run/netns/{self.name}", "sh", "-c", command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=20)

    async def answers(self, resource: Resource, timeout: float = 2.0) -> bool:
        return True

    async def close(self) -> None: ...


@pytest.fixture
def hosts() -> Iterator[NamespaceHosts]:
    if why := missing():
        pytest.skip(why)
    name = f"selfheal-test-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"no network namespace can be made here: {made.stderr.strip()}")
    try:
        yield NamespaceHosts(name)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def seen(hosts: NamespaceHosts) -> Facts:
    told = hosts.sh(
        "echo '-- nft'; nft -a list ruleset; echo '-- iptables'; iptables-save; echo '-- route'; ip -j route"
    )
    return Facts.of([("E1", network_facts(RESOURCE, sections(told.stdout)))])


async def performed(catalogue: Catalogue, step: PlanStep, key: str) -> Any:
    """Planned, checked and run; the finished step."""
    done = await catalogue.complete(RESOURCE, INSTANCE, step)
    assert await catalogue.precondition(RESOURCE, done) is None
    baseline = await catalogue.baseline(RESOURCE, done)
    result = await catalogue.run(RESOURCE, done, key, NOW)
    assert result.status == "succeeded", result.output
    assert (await catalogue.probe(RESOURCE, done, key, baseline)).effect == "took_effect"
    return done


def rule_step(hosts: NamespaceHosts) -> PlanStep:
    cause = INSTANCE.cause("firewall_drop")
    assert cause is not None
    [step] = cause.remedies[0].steps(RESOURCE, None, seen(hosts))
    return step


@pytest.mark.parametrize("tool", ["nft", "iptables"])
async def test_the_one_rule_is_removed_and_put_back_where_it_was(
    hosts: NamespaceHosts, tmp_path: Path, tool: str
) -> None:
    if why := missing(tool):
        pytest.skip(why)
    if tool == "nft":
        hosts.sh(f"nft -f - <<'END'\n{NFT}END\n")
        listing = "nft list ruleset"
    else:
        for rule in ("-i lo -j ACCEPT", "-p tcp --dport 8080 -j DROP", "-p tcp --dport 9999 -j ACCEPT"):
            assert hosts.sh(f"iptables -A INPUT {rule}").returncode == 0
        listing = "iptables-save | grep ^-A"
    before = hosts.sh(listing).stdout
    catalogue = Catalogue(ActionContext(hosts, FakeClock(NOW), marker_root=str(tmp_path)))

    done = await performed(catalogue, rule_step(hosts), "i:1:0")

    after = hosts.sh(listing).stdout
    gone = [line for line in before.splitlines() if line not in after.splitlines()]
    assert len(gone) == 1 and "8080" in gone[0]
    assert list(seen(hosts).all("net.blocked")) == []
    assert "any more" in (await catalogue.precondition(RESOURCE, done) or "")

    await performed(catalogue, done.undo, "i:1:0:undo")
    assert hosts.sh(listing).stdout == before


async def test_a_rule_that_has_changed_since_is_not_touched(hosts: NamespaceHosts, tmp_path: Path) -> None:
    if why := missing("nft"):
        pytest.skip(why)
    hosts.sh(f"nft -f - <<'END'\n{NFT}END\n")
    catalogue = Catalogue(ActionContext(hosts, FakeClock(NOW), marker_root=str(tmp_path)))
    done = await catalogue.complete(RESOURCE, INSTANCE, rule_step(hosts))
    # Loaded anew, with one rule more before it: the old handle is now another rule's.
    renewed = NFT.replace("    iif lo", "    tcp dport 25 drop\n    iif lo")
    hosts.sh(f"nft flush ruleset; nft -f - <<'END'\n{renewed}END\n")
    ruleset = hosts.sh("nft list ruleset").stdout
    result = await catalogue.run(RESOURCE, done, "i:1:0", NOW)
    assert (result.status, "no longer there" in result.output) == ("failed", True)
    assert hosts.sh("nft list ruleset").stdout == ruleset


async def test_the_declared_route_is_added_and_taken_away_again(hosts: NamespaceHosts, tmp_path: Path) -> None:
    hosts.sh(
        "ip link add svc0 type veth peer name svc1; ip link set svc0 up; ip link set svc1 up; "
        "ip addr add 10.9.0.1/24 dev svc0"
    )
    catalogue = Catalogue(ActionContext(hosts, FakeClock(NOW), marker_root=str(tmp_path)))
    assert seen(hosts).value("net.route_default") is False

    done = await performed(catalogue, PlanStep(action="add_route"), "i:1:0")

    assert seen(hosts).value("net.route_default") is True
    assert "already" in (await catalogue.precondition(RESOURCE, done) or "")
    await performed(catalogue, done.undo, "i:1:0:undo")
    assert seen(hosts).value("net.route_default") is False


async def test_the_source_tells_a_real_host_s_link_route_and_rules(hosts: NamespaceHosts) -> None:
    hosts.sh("ip link add svc0 type veth peer name svc1; ip link set lo up")
    incident = Incident(
        id="0190", number=1, resource_kind="Instance", resource_id="inst-1", issue_types=("connection_timeout",),
        alerts=(Alert(status="firing", labels={"alertname": "EndpointUnreachable"}),), received_at=NOW,
        resource=RESOURCE,
    )  # fmt: skip
    [source] = make_sources(["network"], EvidenceContext(hosts=hosts, clock=FakeClock(NOW), health=None))  # type: ignore[arg-type]
    facts = (await source.gather(incident)).facts
    assert facts['net.link{interface="svc0"}'] == "down"
    assert facts['net.address{interface="svc0"}'] is False
    assert facts["net.route_default"] is False
    assert facts['dns.resolves{name="localhost"}'] is True


# -- only what is declared ---------------------------------------------------------------------------------

RULE = {"port": 8080, "by": "nft", "table": "inet filter", "chain": "input", "rule": "tcp dport 8080 drop",
        "place": 1, "handle": "6"}  # fmt: skip
BARE = RESOURCE.model_copy(update={"network": Networking(), "health": ()})


@pytest.mark.parametrize(
    ("action", "params", "resource", "says"),
    [
        ("remove_firewall_rule", RULE | {"port": 22}, RESOURCE, "declared: 8080"),
        ("remove_firewall_rule", RULE, BARE, "no declared port"),
        ("remove_firewall_rule", RULE | {"rule": "tcp dport 8080 drop; flush ruleset"}, RESOURCE, "by hand"),
        ("remove_firewall_rule", RULE | {"rule": "tcp dport 8080 drop $(reboot)"}, RESOURCE, "by hand"),
        ("remove_firewall_rule", RULE | {"chain": "input; reboot"}, RESOURCE, "pattern"),
        ("remove_firewall_rule", RULE | {"table": "inet -f"}, RESOURCE, "pattern"),
        ("remove_firewall_rule", RULE | {"handle": "6 6"}, RESOURCE, "pattern"),
        ("remove_firewall_rule", RULE | {"by": "iptables", "table": "nat"}, RESOURCE, "only the table"),
        ("restore_dns", {"by": "file"}, BARE, "declares no network.nameservers"),
        ("restore_dns", {"by": "NetworkManager"}, RESOURCE, "file"),
        ("add_route", {}, BARE, "needs an address as network.gateway"),
        (
            "restart_networking",
            {},
            RESOURCE.model_copy(update={"service_manager": ServiceManagerAccess(name="supervisord")}),
            "no systemd",
        ),
        (
            "restart_networking",
            {},
            RESOURCE.model_copy(update={"network": Networking(service="x; reboot")}),
            "not a unit name",
        ),
    ],
)
async def test_what_is_not_declared_or_not_plain_is_refused(
    action: str, params: dict[str, Any], resource: Resource, says: str
) -> None:
    catalogue = Catalogue(ActionContext(MemoryHosts(), FakeClock(NOW)))
    with pytest.raises(InvalidStep) as caught:
        await catalogue.complete(resource, INSTANCE, PlanStep(action=action, params=params))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("action", "by", "told", "refusal"),
    [
        ("restore_dns", "file", "/etc/resolv.conf\nno\nno\nnameserver 203.0.113.9\n", None),
        ("restore_dns", "file", "/etc/resolv.conf\nno\nno\nnameserver 192.0.2.53\n", "already"),
        ("restore_dns", "file", "/run/systemd/resolve/stub-resolv.conf\nno\nno\nnameserver 127.0.0.53\n", "resolved"),
        ("restore_dns", "resolved", "/run/systemd/resolve/stub-resolv.conf\nno\nno\nnameserver 127.0.0.53\n", None),
        ("restore_dns", "file", "/run/NetworkManager/resolv.conf\nno\nno\n", "NetworkManager"),
        ("put_back_dns", "file", "/etc/resolv.conf\nyes\nno\nnameserver 192.0.2.53\n", None),
        ("put_back_dns", "file", "/etc/resolv.conf\nno\nno\nnameserver 192.0.2.53\n", "there is no"),
    ],
)
async def test_a_resolver_is_changed_only_as_it_is_found(action: str, by: str, told: str, refusal: str | None) -> None:
    catalogue = Catalogue(ActionContext(MemoryHosts({"readlink": told}), FakeClock(NOW)))
    step = await catalogue.complete(RESOURCE, INSTANCE, PlanStep(action=action, params={"by": by}))
    said = await catalogue.precondition(RESOURCE, step)
    assert (refusal in (said or "")) if refusal else said is None

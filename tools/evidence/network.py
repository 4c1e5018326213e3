"""The host's side of the network: is what the resource declares there, and does something keep others out?

One command. What it looks for is declared (interface, gateway, ports, names); everything else found is left untold.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from urllib.parse import urlsplit

from graph.facts import FactValue, fact_key
from graph.ports import Finding
from graph.records import Incident, Resource
from tools.evidence.context import (
    SOURCE_SECONDS,
    EvidenceContext,
    asked_of,
    line,
    raw_of,
    resource_of,
    text_of,
)
from tools.evidence.ports import declared_ports
from tools.network.firewall import Block, Chain, blocks
from tools.network.iptables import iptables_chains, kept_by_nft
from tools.network.nft import nft_chains
from tools.network.told import (
    default_gateways,
    dns_manager,
    full_percent,
    is_loopback,
    links,
    listeners,
    nameservers,
)
from tools.services.units import sudo

NETWORK_SECONDS = 7.0
_LOOKUP_SECONDS = 3
_ANSWER_SECONDS = 2
_MOST_PORTS = 3
_MOST_NAMES = 2
_MOST_BLOCKS = 3
_RULE_CHARS = 140
_CONNTRACK_WORTH_TELLING = 80
_MOST_BYTES = 60_000


class NetworkSource:
    """Looks, and looks names up, and asks the service on the host itself; changes nothing."""

    name = "network"
    deadline_seconds = SOURCE_SECONDS

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Facts net.link{interface}, net.address{interface}, net.route_default, net.blocked{port,…},
        net.listen_address{port}, net.local_status{port}, net.queue_full{port}, net.conntrack_percent,
        dns.resolves{name}, dns.seconds{name}, dns.nameserver_declared, dns.manager. Raises HostUnreachable."""
        resource = resource_of(incident)
        command = network_command(resource)
        result = await self._context.hosts.run(resource, command, NETWORK_SECONDS)
        parts = sections(result.stdout)
        facts = network_facts(resource, parts)
        if not facts:
            return Finding(asked_of(command), "nothing of it is declared", status="no_data", raw=raw_of(result))
        return Finding(asked_of(command), text_of(*_words(facts)), facts, raw=raw_of(result))


def wanted_ports(resource: Resource) -> list[int]:
    """The ports that must be reachable: declared ones, then those of the checks."""
    checked = sorted(declared_ports(resource) - set(resource.network.ports))
    return [*dict.fromkeys(resource.network.ports), *checked][:_MOST_PORTS]


def network_command(resource: Resource) -> str:
    """Everything, each part under its heading; what may hang comes last, side by side and bounded."""
    root = sudo(resource)
    asides = [_lookup(index, name) for index, name in enumerate(resource.network.resolve[:_MOST_NAMES])]
    asides += [_local(port, _path(resource, port)) for port in wanted_ports(resource)]
    return " ".join(
        (
            "echo '-- addr'; ip -j addr show 2>/dev/null; echo;",
            "echo '-- route'; ip -j route show 2>/dev/null; echo;",
            f"echo '-- nft'; {root}nft -a list ruleset 2>/dev/null | head -c {_MOST_BYTES}; echo;",
            f"echo '-- iptables'; {root}iptables-save 2>/dev/null | head -c {_MOST_BYTES}; echo;",
            "echo '-- listen'; ss -Hltn 2>/dev/null | head -n 500;",
            "echo '-- resolv'; readlink -f /etc/resolv.conf; case $(readlink -f /etc/resolv.conf) in",
            # its stub names itself only
            "*/systemd/resolve/*) cat /run/systemd/resolve/resolv.conf;; *) cat /etc/resolv.conf;; esac 2>/dev/null;",
            "echo '-- conntrack';",
            *(f"cat /proc/sys/net/netfilter/nf_conntrack_{name} 2>/dev/null;" for name in ("count", "max")),
            "echo '-- asides';",
            *(f"{{ {each}; }} &" for each in asides),
            "wait",
        )
    )


def _lookup(index: int, name: str) -> str:
    return (
        f"read a _ </proc/uptime; timeout {_LOOKUP_SECONDS} getent ahosts {shlex.quote(name)} >/dev/null 2>&1; rc=$?; "
        f'read b _ </proc/uptime; echo "lookup {index} $rc $a $b"'
    )


def _local(port: int, path: str) -> str:
    url = shlex.quote(f"http://127.0.0.1:{port}{path}")
    return (
        f"command -v curl >/dev/null && code=$(curl -s -o /dev/null -m {_ANSWER_SECONDS} -w '%{{http_code}}' {url}); "
        f'echo "local {port} ${{code:-none}}"'
    )


def _path(resource: Resource, port: int) -> str:
    """What the resource's own check asks of that port."""
    for check in resource.health:
        parts = urlsplit(check.http or "")
        try:
            if check.http and (parts.port or {"http": 80, "https": 443}.get(parts.scheme)) == port:
                return parts.path or "/"
        except ValueError:  # a port that is no number: the health check itself says so
            continue
    return "/"


# -- what it says --------------------------------------------------------------------------------------


def sections(output: str) -> Mapping[str, str]:
    """What stands under each heading."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for row in output.splitlines():
        if row.startswith("-- "):
            current = found.setdefault(row[3:], [])
        else:
            current.append(row)
    return {name: "\n".join(rows) for name, rows in found.items()}


def network_facts(resource: Resource, parts: Mapping[str, str]) -> dict[str, FactValue]:
    """What is worth knowing of what is declared."""
    facts = _link_facts(resource, parts) | _blocked_facts(resource, parts) | _port_facts(resource, parts)
    facts |= _name_facts(resource, parts)
    percent = full_percent(parts.get("conntrack", ""))
    if percent is not None and percent >= _CONNTRACK_WORTH_TELLING:
        facts["net.conntrack_percent"] = percent
    return facts


def _link_facts(resource: Resource, parts: Mapping[str, str]) -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {}
    name, seen = resource.network.interface, links(parts.get("addr", ""))
    if name and seen:
        link = seen.get(name)
        facts[fact_key("net.link", interface=name)] = "missing" if link is None else "up" if link.up else "down"
        facts[fact_key("net.address", interface=name)] = link is not None and link.addressed
    gateways = default_gateways(parts.get("route", ""))
    if resource.network.gateway and gateways is not None:
        facts["net.route_default"] = resource.network.gateway in gateways
        others = [gateway for gateway in gateways if gateway != resource.network.gateway]
        if others:
            facts["net.route_default_other"] = line(others[0], 40)
    return facts


def chains_of(parts: Mapping[str, str]) -> list[Chain]:
    """Both firewalls' chains, each told once."""
    saved = parts.get("iptables", "")
    chains = iptables_chains(saved)
    return [*nft_chains(parts.get("nft", ""), without_iptables=bool(chains) and kept_by_nft(saved)), *chains]


def _blocked_facts(resource: Resource, parts: Mapping[str, str]) -> dict[str, FactValue]:
    chains = chains_of(parts)
    found = [(port, block) for port in wanted_ports(resource) for block in blocks(chains, port)]
    return dict(_blocked_fact(port, block) for port, block in found[:_MOST_BLOCKS])


def _blocked_fact(port: int, block: Block) -> tuple[str, FactValue]:
    chain, rule = block.chain, block.rule
    labels = {"port": str(port), "by": chain.by, "table": chain.table, "chain": chain.name}
    if rule is None:
        return fact_key("net.blocked", **labels), f"policy {chain.policy}"
    handle = {"handle": rule.handle} if rule.handle else {}
    # Whole or not at all: it may be named in a command. Too long a rule is for a human.
    text = rule.text if len(rule.text) <= _RULE_CHARS else line(rule.text, _RULE_CHARS)
    return fact_key("net.blocked", **labels, place=str(block.place), **handle), line(text, _RULE_CHARS)


def _port_facts(resource: Resource, parts: Mapping[str, str]) -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {}
    seen = listeners(parts.get("listen", ""))
    for port in wanted_ports(resource):
        if (listener := seen.get(port)) is None:
            continue
        facts[fact_key("net.listen_address", port=str(port))] = line(listener.shown, 45)
        if listener.queue_full:
            facts[fact_key("net.queue_full", port=str(port))] = True
    for row in parts.get("asides", "").splitlines():
        words = row.split()
        if len(words) == 3 and words[0] == "local" and words[2].isdigit() and words[1].isdigit():
            # 0 is what curl says where it got no answer
            facts[fact_key("net.local_status", port=words[1])] = int(words[2])
    return facts


def _name_facts(resource: Resource, parts: Mapping[str, str]) -> dict[str, FactValue]:
    declared, facts = resource.network.nameservers, dict[str, FactValue]()
    path, _, content = parts.get("resolv", "").partition("\n")
    if declared and path:
        found = nameservers(content)
        facts["dns.nameserver_declared"] = bool(found) and set(found) <= set(declared)
        if not facts["dns.nameserver_declared"]:
            facts |= {"dns.manager": dns_manager(path), "dns.nameservers": line(" ".join(found) or "none", 60)}
    for row in parts.get("asides", "").splitlines():
        words = row.split()
        if len(words) == 5 and words[0] == "lookup" and words[1].isdigit() and int(words[1]) < _MOST_NAMES:
            name = resource.network.resolve[int(words[1])]
            facts[fact_key("dns.resolves", name=name)] = words[2] == "0"
            if words[2] != "0":
                facts[fact_key("dns.seconds", name=name)] = _seconds(words[3], words[4])
    return facts


def _seconds(began: str, ended: str) -> float:
    try:
        return round(float(ended) - float(began), 1)
    except ValueError:  # no /proc/uptime there
        return 0.0


def _words(facts: Mapping[str, FactValue]) -> list[str]:
    """What is in trouble, in the facts' own words; else that all is as declared."""
    bad = [f"{key} = {value}" for key, value in facts.items() if _in_trouble(key, value)]
    return bad or ["what is declared of the network is there, and no rule shuts it off"]


def _in_trouble(key: str, value: FactValue) -> bool:
    name = key.partition("{")[0]
    if name in ("net.blocked", "net.queue_full", "net.conntrack_percent", "dns.nameservers"):
        return True
    if name == "net.listen_address":
        return is_loopback(str(value))
    return value in ("down", "missing") or value is False or (name == "net.local_status" and value == 0)

"""Why a host that is well can't be reached, or can't reach what it needs: as far as the host itself tells.

What stands between host and client in the cloud (security groups) is told by `agents.causes.provider`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from agents.causes.service import RESTART_SERVICE, SOFT_REBOOT
from graph.facts import Fact, Facts
from graph.kind import Cause, Match, Remedy
from graph.records import PlanStep, Resource
from tools.network.firewall import plain
from tools.network.told import is_loopback

FULL_PERCENT = 95
_WORKS = range(200, 400)


# -- what speaks for a cause ---------------------------------------------------------------------------


def firewall_drop(facts: Facts, resource: Resource) -> Match | None:
    blocked = [fact for fact in facts.all("net.blocked") if not _reached(facts, fact.labels.get("port", ""))]
    if not blocked:
        return None
    first = blocked[0]
    port = first.labels.get("port", "")
    silent = _silent(facts, port)
    local = list(facts.all("net.local_status", port=port))
    where = f"{first.labels.get('by')}, {first.labels.get('table')} {first.labels.get('chain')}"
    summary = f"the host's own firewall keeps port {port} shut ({where}): {first.value}"
    return Match(0.97 if silent else 0.8, [*blocked, *silent, *local], summary, f"port {port}")


def interface_down(facts: Facts, resource: Resource) -> Match | None:
    down = _link_lost(facts)
    if not down:
        return None
    silent = _silent(facts)
    name = down[0].labels.get("interface", "")
    how = f"is {down[0].value}" if down[0].name == "net.link" else "has lost its address"
    return Match(0.96 if silent else 0.8, [*down, *silent], f"network interface {name} {how}", name)


def route_missing(facts: Facts, resource: Resource) -> Match | None:
    route = facts.first("net.route_default")
    if route is None or route.value is not False or _link_lost(facts):
        return None
    other, silent = facts.first("net.route_default_other"), _silent(facts)
    instead = f"; there is one by {other.value} instead" if other else ""
    summary = f"the default route by {resource.network.gateway} is missing{instead}"
    return Match(0.96 if silent else 0.8, [route, *([other] if other else []), *silent], summary, "default route")


def dns_broken(facts: Facts, resource: Resource) -> Match | None:
    lost = list(facts.where("dns.resolves", False))
    if not lost or _link_lost(facts) or facts.value("net.route_default") is False:
        return None
    declared, used, silent = facts.first("dns.nameserver_declared"), facts.first("dns.nameservers"), _silent(facts)
    summary = f"the host can't look up {', '.join(fact.labels.get('name', '') for fact in lost)}"
    cites = [*lost, *facts.all("dns.seconds"), *silent]
    if declared is not None and declared.value is False:
        summary += f": it asks {used.value if used else 'others'}, not the declared nameservers"
        # Above what depends on the names: that can't be reached because of this.
        return Match(0.98 if silent else 0.8, [*cites, declared, *([used] if used else [])], summary, "resolver")
    if declared is not None:
        return Match(0.9 if silent else 0.75, [*cites, declared], f"{summary}, though it asks as declared", "resolver")
    return Match(0.85 if silent else 0.7, cites, summary, "resolver")


def wrong_listen_address(facts: Facts, resource: Resource) -> Match | None:
    for address in facts.all("net.listen_address"):
        port = address.labels.get("port", "")
        silent = _silent(facts, port)
        if is_loopback(str(address.value)) and silent:
            process = list(facts.all("port.process", port=port))
            who = str(process[0].value) if process else "the service"
            summary = f"{who} listens on {address.value}:{port} only: nobody outside can reach it"
            local = list(facts.all("net.local_status", port=port))
            return Match(0.96, [address, *silent, *process, *local], summary, f"port {port}")
    return None


def connections_exhausted(facts: Facts, resource: Resource) -> Match | None:
    percent = facts.first("net.conntrack_percent")
    silent = _silent(facts)
    if percent is None or not isinstance(percent.value, int | float) or percent.value < FULL_PERCENT or not silent:
        return None
    words = f"the kernel's table of connections is {percent.value} % full: new ones are dropped"
    return Match(0.94, [percent, *silent], words, resource.id)


def not_accepting(facts: Facts, resource: Resource) -> Match | None:
    """More wait than may, as nobody accepts: the service is hung or overrun."""
    full = list(facts.where("net.queue_full", True))
    running = list(facts.where("unit.state", "running"))
    if not full or len(running) != 1 or len(resource.services) != 1 or not _silent(facts):
        return None
    unit, port = running[0].labels["unit"], full[0].labels.get("port", "")
    summary = f"{unit} accepts no more connections on port {port}: its queue is full"
    return Match(0.74, [*full, *running, *_silent(facts)], summary, unit)


def cut_off_elsewhere(facts: Facts, resource: Resource) -> Match | None:
    """Works on the host, in no way shut there, and yet not reached."""
    ill = [*facts.all("net.blocked"), *_link_lost(facts), *facts.where("net.route_default", False)]
    for local in facts.all("net.local_status"):
        port = local.labels.get("port", "")
        silent = _silent(facts, port)
        if silent and local.value in _WORKS and not ill:
            summary = (
                f"port {port} answers on the host itself ({local.value}) and is not shut there, but can't be reached"
            )
            return Match(0.72, [local, *silent, *facts.all("net.listen_address", port=port)], summary, f"port {port}")
    return None


def _link_lost(facts: Facts) -> list[Fact]:
    down = [fact for fact in facts.all("net.link") if fact.value != "up"]
    return [*down, *facts.where("net.address", False)]


def _silent(facts: Facts, port: str | None = None) -> list[Fact]:
    """Checks from outside that fail: all, or those of a port."""
    return [fact for fact in facts.where("health.ok", False) if _is_of(fact, port)]


def _reached(facts: Facts, port: str) -> bool:
    """Whether some check from outside does reach that port, and none fails."""
    passing = [fact for fact in facts.where("health.ok", True) if _is_of(fact, port)]
    return bool(passing) and not _silent(facts, port)


def _is_of(check: Fact, port: str | None) -> bool:
    kind, _, what = check.labels.get("check", "").partition(" ")
    if kind not in ("http", "tcp"):
        return False
    parts = urlsplit(what if kind == "http" else f"//{what}")
    try:
        found = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:  # a port that is no number: the health check itself says so
        return False
    return port is None or str(found) == port


# -- what mends it ---------------------------------------------------------------------------------------


def _remove_rules(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    """One step a rule. None where a policy shuts it, or a rule is not one that a command may name."""
    blocked = list(facts.all("net.blocked"))
    if any("place" not in fact.labels or not plain(str(fact.value)) for fact in blocked):
        return ()
    names = ("by", "table", "chain", "place", "handle")
    steps = {
        str(fact): PlanStep(
            action="remove_firewall_rule",
            params={name: fact.labels[name] for name in names if name in fact.labels}
            | {"port": int(fact.labels["port"]), "rule": fact.value, "place": int(fact.labels["place"])},
            why=f"it shuts port {fact.labels['port']}, which is declared to be reachable",
            expect=f"port {fact.labels['port']} is reached from outside",
        )
        for fact in blocked
    }
    return tuple(steps.values())


def _restart_networking(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    step = PlanStep(
        action="restart_networking",
        why=f"{target or 'the network'} is not as it is configured",
        expect="links, addresses and routes are as configured",
    )
    return (step,)


def _add_route(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    if facts.first("net.route_default_other") is not None:
        return ()
    why = f"the declared default route by {resource.network.gateway} is missing"
    return (PlanStep(action="add_route", why=why, expect="the host reaches what lies beyond its network"),)


def _restore_dns(resource: Resource, target: str | None, facts: Facts) -> tuple[PlanStep, ...]:
    manager = facts.value("dns.manager")
    if facts.value("dns.nameserver_declared") is not False or manager not in ("file", "resolved"):
        return ()
    step = PlanStep(
        action="restore_dns",
        params={"by": manager},
        why="the host asks other nameservers than the declared ones, and gets no answer",
        expect="declared names resolve again",
    )
    return (step,)


REMOVE_RULE = Remedy(
    "remove_firewall_rule", "remove the rule that shuts a declared port", _remove_rules, ("remove_firewall_rule",)
)
RESTART_NETWORKING = Remedy(
    "restart_networking", "restart what sets the network up", _restart_networking, ("restart_networking",)
)
ADD_ROUTE = Remedy("add_route", "add the declared default route", _add_route, ("add_route",))
RESTORE_DNS = Remedy("restore_dns", "put the declared nameservers back", _restore_dns, ("restore_dns",))


CAUSES: tuple[Cause, ...] = (
    Cause(
        "firewall_drop",
        "the host's own firewall keeps a declared port shut",
        "connection_timeout",
        firewall_drop,
        # A second one may stand behind the first, and is seen only once that is gone.
        (REMOVE_RULE, REMOVE_RULE),
        human_must="decide about the rule or policy named in the diagnosis, which keeps a declared port shut",
    ),
    Cause(
        "interface_down",
        "a declared network interface is down, or without its address",
        "connection_timeout",
        interface_down,
        (RESTART_NETWORKING, SOFT_REBOOT),
        human_must="look at the interface named in the diagnosis: its configuration did not bring it back",
    ),
    Cause(
        "route_missing",
        "the declared default route is missing",
        "connection_timeout",
        route_missing,
        (ADD_ROUTE, RESTART_NETWORKING),
        human_must="set the declared default route",
    ),
    Cause(
        "dns_broken",
        "the host can't look up names that it must",
        "connection_timeout",
        dns_broken,
        (RESTORE_DNS,),
        human_must="names don't resolve: look at the nameservers themselves, or at who manages resolv.conf there",
    ),
    Cause(
        "wrong_listen_address",
        "a service listens on loopback only, though its port must be reached from outside",
        "connection_timeout",
        wrong_listen_address,
        human_must="a restart can't mend a configuration: correct the service's listen address, then restart it",
    ),
    Cause(
        "connections_exhausted",
        "the kernel can track no more connections",
        "connection_timeout",
        connections_exhausted,
        human_must="find who opens so many connections, or raise net.netfilter.nf_conntrack_max",
    ),
    Cause(
        "not_accepting",
        "a service accepts no more connections: its queue is full",
        "connection_timeout",
        not_accepting,
        (RESTART_SERVICE,),
        human_must="find out why it takes no connections off its queue: a restart does not help",
    ),
    Cause(
        "cut_off_elsewhere",
        "a port works on the host itself, and something outside keeps others from it",
        "connection_timeout",
        cut_off_elsewhere,
        human_must="nothing on the host shuts this port: look at what is between it and its clients",
    ),
)

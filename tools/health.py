"""Whether a resource is healthy right now, asked of the world: Prometheus, the host and the service itself.

Looking must not fail: whatever goes wrong with a look is what was observed. `fail` is only said of what will not mend
by waiting; what is not there yet is `pending`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import httpx

from graph.ports import PermanentError, TemporaryError
from graph.records import Alert, HealthCheck, Incident, IssueType, JudgedBy, Observation, Resource
from tools.clients.alert_rules import AlertState
from tools.clients.host import Hosts, HostUnreachable
from tools.redaction import redact
from tools.services import ManagerSilent, UnitState, UnknownUnit, unit_states

Status = Literal["pass", "fail", "pending", "unknown"]
NOT_CHECKED = "not checked: "
"""How an observation begins whose condition nobody can ask for."""

CHECK_SECONDS = 3.0
HOST_SECONDS = 5.0
MAX_OBSERVED_CHARS = 160
_BODY_BYTES = 512
_UNITS: Mapping[str, Status] = {
    "running": "pass",
    "failed": "fail",
    "not_found": "fail",
    "starting": "pending",
    "stopping": "pending",
    "stopped": "pending",
}
_WORST: tuple[Status, ...] = ("fail", "pending", "unknown", "pass")


class AlertConditions(Protocol):
    """Who can tell whether an alert's condition holds: `PrometheusClient`."""

    async def alert_state(self, alert: Alert) -> AlertState: ...


class Criteria(Protocol):
    """More criteria, for some kinds of trouble or of resources."""

    def concern(self, incident: Incident) -> bool:
        """Whether they say anything about this incident."""

    async def observe(self, resource: Resource) -> Sequence[Observation]:
        """As of now. Never raises: what can't be looked at is `unknown`."""


@dataclass(frozen=True)
class OfIssue:
    """Criteria of one issue type: is the disk no longer full, the CPU no longer busy?"""

    issue_type: IssueType
    look: Callable[[Resource], Awaitable[Sequence[Observation]]]
    kinds: tuple[str, ...] = ("Instance", "Database")

    def concern(self, incident: Incident) -> bool:
        return self.issue_type in incident.issue_types and incident.resource_kind in self.kinds

    async def observe(self, resource: Resource) -> Sequence[Observation]:
        return await self.look(resource)


@dataclass(frozen=True)
class OfKind:
    """Criteria of one kind of resource, whatever the trouble."""

    kind: str
    look: Callable[[Resource], Awaitable[Sequence[Observation]]]

    def concern(self, incident: Incident) -> bool:
        return incident.resource_kind == self.kind

    async def observe(self, resource: Resource) -> Sequence[Observation]:
        return await self.look(resource)


def health_client() -> httpx.AsyncClient:
    """For HTTP checks: straight to the service, as a proxy's answer says nothing about it."""
    return httpx.AsyncClient(timeout=CHECK_SECONDS, follow_redirects=False, trust_env=False)


class WorldHealth:
    """Observes the alerts' own conditions, the declared checks and the declared services, all at once.

    `prometheus` is None where there is none to ask. `http` should be a `health_client`.
    """

    def __init__(
        self,
        hosts: Hosts,
        prometheus: AlertConditions | None,
        http: httpx.AsyncClient,
        more: Sequence[Criteria] = (),
    ) -> None:
        self._hosts = hosts
        self._more = tuple(more)
        self._prometheus = prometheus
        self._http = http

    async def observe(self, incident: Incident, judged_by: JudgedBy = "resource") -> tuple[Observation, ...]:
        """One observation per criterion: `alert NAME`, `http URL`, `tcp HOST:PORT`, `service UNIT`, and
        `host answers` where nothing else is declared. Empty for an incident without resource. Never raises.

        Judged by `traffic`, only what clients see counts: alerts and http and tcp checks. Where there are such checks,
        an alert about the machine that was lost says nothing of them.
        """
        resource = incident.resource
        if resource is None:
            return ()
        probes = [self._probe(check) for check in resource.health if check.service is None]
        lost = judged_by == "traffic" and bool(probes)
        alerts = [
            _of_the_lost(name) if lost and _about_the_machine(same) else self._alert(name, same, resource)
            for name, same in _by_name(incident.alerts).items()
        ]
        if judged_by == "traffic":
            rest = []
        elif resource.services or any(check.service for check in resource.health):
            rest = [self._services(resource)]
        else:
            rest = [] if probes else [self._host(resource)]
        more = [] if judged_by == "traffic" else [self._criteria(each, resource, incident) for each in self._more]
        seen = await asyncio.gather(*alerts, *probes, *rest, *more)
        return tuple(item for group in seen for item in group)

    async def _criteria(self, criteria: Criteria, resource: Resource, incident: Incident) -> list[Observation]:
        if not criteria.concern(incident):
            return []
        return [
            item.model_copy(update={"observed": _shown(item.observed)}) for item in await criteria.observe(resource)
        ]

    # -- the alert's own condition -----------------------------------------------------------------------

    async def _alert(self, name: str, alerts: Sequence[Alert], resource: Resource) -> list[Observation]:
        seen = await asyncio.gather(*(self._condition(alert, resource) for alert in alerts))
        status, observed = min(seen, key=lambda item: _WORST.index(item[0]))
        return [_observation(f"alert {name}", status, observed)]

    async def _condition(self, alert: Alert, resource: Resource) -> tuple[Status, str]:
        if self._prometheus is None:
            return _unasked("no Prometheus is configured", resource)
        try:
            async with asyncio.timeout(HOST_SECONDS):
                found = await self._prometheus.alert_state(alert)
        except (TemporaryError, PermanentError) as error:
            return "unknown", str(error)
        except TimeoutError:
            return "unknown", f"Prometheus did not say within {HOST_SECONDS:g} s whether the alert still fires"
        if found.by == "nothing":
            return _unasked(found.observed, resource)
        if found.state == "unknown":
            return "unknown", found.observed
        return ("pass" if found.state == "inactive" else "pending"), found.observed

    # -- the declared checks -----------------------------------------------------------------------------

    async def _probe(self, check: HealthCheck) -> list[Observation]:
        return [await probed(self._http, check)]

    async def _services(self, resource: Resource) -> list[Observation]:
        units = _units_of(resource)
        # A service named in a health check is declared by that, and may be looked at.
        declared = resource.model_copy(update={"services": units})
        try:
            states = await unit_states(self._hosts, declared, units, HOST_SECONDS)
        except HostUnreachable as error:
            status, observed = _unreachable(error)
            return [_observation(f"service {unit}", status, observed) for unit in units]
        except (ManagerSilent, UnknownUnit) as error:
            return [_observation(f"service {unit}", "unknown", str(error)) for unit in units]
        return [_observation(f"service {unit}", *_of_unit(states[unit])) for unit in units]

    async def _host(self, resource: Resource) -> list[Observation]:
        try:
            result = await self._hosts.run(resource, "true", HOST_SECONDS)
        except HostUnreachable as error:
            return [_observation("host answers", *_unreachable(error))]
        if result.ok:
            return [_observation("host answers", "pass", "it runs commands")]
        return [_observation("host answers", "pending", f"`true` ended with exit status {result.exit_status}")]


def _about_the_machine(alerts: Sequence[Alert]) -> bool:
    """Whether they come from the machine's own exporter, which goes down with it."""
    return all(alert.labels.get("job") == "node" for alert in alerts)


async def _of_the_lost(name: str) -> list[Observation]:
    why = f"{NOT_CHECKED}it is about the machine itself, whose traffic was moved away; what clients reach is judged"
    return [_observation(f"alert {name}", "pass", why)]


async def probed(http: httpx.AsyncClient, check: HealthCheck) -> Observation:
    """An http or tcp check as of now, as clients of the service see it. Never raises."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            status, observed = await (_get(http, check.http) if check.http else _connect(check.tcp or ""))
    except TimeoutError:
        status, observed = "pending", f"no answer within {CHECK_SECONDS:g} s"
    return _observation(check.name, status, observed)


async def _get(http: httpx.AsyncClient, url: str) -> tuple[Status, str]:
    try:
        async with http.stream("GET", url, follow_redirects=False) as answer:
            if 200 <= answer.status_code < 400:
                return "pass", f"HTTP {answer.status_code}"
            return "pending", f"HTTP {answer.status_code}: {await _beginning(answer)}".rstrip(": ")
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        return "unknown", f"no URL that can be asked ({error}): correct this health check"
    except httpx.HTTPError as error:
        return "pending", str(error) or type(error).__name__


async def _connect(address: str) -> tuple[Status, str]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        return "unknown", f"{address!r} is not HOST:PORT: correct this health check"
    try:
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError as error:
        return "pending", str(error)
    writer.transport.abort()
    return "pass", "connects"


async def _beginning(answer: httpx.Response) -> str:
    """The first bytes of an answer: how a service says what ails it."""
    async for chunk in answer.aiter_bytes(_BODY_BYTES):
        return chunk[:_BODY_BYTES].decode("utf-8", "replace").strip()
    return ""


def _by_name(alerts: Iterable[Alert]) -> dict[str, list[Alert]]:
    found: dict[str, dict[str, Alert]] = {}
    for alert in alerts:
        found.setdefault(alert.name, {})[alert.fingerprint] = alert
    return {name: list(same.values()) for name, same in found.items()}


def _units_of(resource: Resource) -> tuple[str, ...]:
    """The units of declared checks, then their neighbours, each once whatever its spelling."""
    units: dict[str, str] = {}
    for unit in (*(check.service for check in resource.health), *resource.services):
        if unit is not None:
            units.setdefault(unit.removesuffix(".service"), unit)
    return tuple(units.values())


def _of_unit(state: UnitState) -> tuple[Status, str]:
    why = f", result {state.result}" if state.result not in (None, "success") and state.state != "running" else ""
    return _UNITS.get(state.state, "unknown"), f"{state}{why}"


def _unreachable(error: HostUnreachable) -> tuple[Status, str]:
    # A host that refuses us may be well; one that is silent may be booting.
    return ("unknown" if error.how in ("auth", "host_key") else "pending"), str(error)


def _unasked(why: str, resource: Resource) -> tuple[Status, str]:
    """Without a condition to ask for, declared checks stand alone; where there are none, nobody knows."""
    if resource.health or resource.services:
        return "pass", f"{NOT_CHECKED}{why}; the health checks stand alone"
    return "unknown", f"{NOT_CHECKED}{why}, and no health check is declared: add `health` to {resource.key}"


def _observation(criterion: str, status: Status, observed: str) -> Observation:
    return Observation(criterion=criterion, status=status, observed=_shown(observed))


def _shown(observed: str) -> str:
    words = " ".join(redact(observed).split())
    return words if len(words) <= MAX_OBSERVED_CHARS else f"{words[: MAX_OBSERVED_CHARS - 1]}…"

"""What Prometheus has seen of the host lately: it remembers what a dead host can no longer say."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from graph.facts import FactValue, fact_key
from graph.ports import Finding, PermanentError, TemporaryError
from graph.records import Incident, Resource
from tools.clients.prometheus import PrometheusClient, Series, finite, matchers, quoted
from tools.evidence.context import SOURCE_SECONDS, EvidenceContext, ago, asked_of, line, resource_of, text_of, whole

_WINDOW = timedelta(minutes=30)
_STEP_SECONDS = 5.0
_MOST_DISKS = 3
_MOST_JOBS = 6
_RAW_POINTS = 20
_REQUESTS = "requests"
_LEAST_POINTS = 4
"""Fewer points of a series do not tell what is usual."""

# Queries over node_exporter's names; SELECT stands for the matchers that pick this host.
_QUERIES: Mapping[str, str] = {
    # A share of all modes: of a series younger than the window, rate() alone would count the missing time as busy.
    "cpu_percent": (
        '100 * (1 - sum(rate(node_cpu_seconds_total{SELECT,mode="idle"}[2m]))'
        " / sum(rate(node_cpu_seconds_total{SELECT}[2m])))"
    ),
    "memory_used_percent": (
        "100 * (1 - avg(node_memory_MemAvailable_bytes{SELECT} / node_memory_MemTotal_bytes{SELECT}))"
    ),
    "network_bytes_per_s": (
        'sum(rate(node_network_receive_bytes_total{SELECT,device!="lo"}[2m]))'
        ' + sum(rate(node_network_transmit_bytes_total{SELECT,device!="lo"}[2m]))'
    ),
    "disk_used_percent": (
        "max by (mountpoint) "
        "(100 * (1 - node_filesystem_avail_bytes{SELECT,FS} / node_filesystem_size_bytes{SELECT,FS}))"
    ),
}
_REAL_DISKS = 'fstype!~"tmpfs|ramfs|overlay|squashfs|fuse.*|nsfs|autofs|proc|sysfs"'


class MetricsSource:
    """Half an hour of history, in range queries asked at once."""

    name = "metrics"
    deadline_seconds = SOURCE_SECONDS

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Facts metric.…, last known values. Raises TemporaryError and PermanentError where Prometheus fails."""
        resource = resource_of(incident)
        prometheus = self._context.prometheus
        if prometheus is None:
            return Finding("(no Prometheus configured)", "no Prometheus is configured to ask", status="no_data")
        now = self._context.clock.now()
        tried = selections(resource, incident)
        for selection in tried:
            query = f"up{{{selection}}}"
            ups = await prometheus.range(query, now - _WINDOW, now, _STEP_SECONDS)
            if ups:
                seen, history, requests = await asyncio.gather(
                    _last_seen_up(prometheus, query),
                    _history(prometheus, selection, now),
                    _requests(prometheus, resource, now),
                )
                return _finding(prometheus, query, ups, seen, history | requests, now)
        asked = asked_of(f"range 30m step 5s: {' | '.join(f'up{{{selection}}}' for selection in tried)}")
        text = f"Prometheus at {prometheus.url} has no series of this host: label its targets with resource_id"
        return Finding(asked, line(text, 240), {"metric.no_samples": True}, status="no_data")


def selections(resource: Resource, incident: Incident) -> tuple[str, ...]:
    """Label matchers that may pick this host's series, best first."""
    found = [matchers({"resource_id": resource.id})]
    instances = {alert.labels["instance"] for alert in incident.alerts if alert.labels.get("instance")}
    hosts = {instance.rpartition(":")[0] or instance for instance in sorted(instances)} | {resource.address}
    # Everything on a machine shares its loopback: an address there picks too much.
    hosts -= {host for host in hosts if _is_loopback(host)}
    found += [f"instance=~{quoted(f'{re.escape(host)}(:[0-9]+)?')}" for host in sorted(hosts)]
    return tuple(found)


def history_queries(selection: str) -> dict[str, str]:
    """By name, what is asked of the series that these matchers pick."""
    return {
        name: template.replace("SELECT", selection).replace("FS}", f"{_REAL_DISKS}}}")
        for name, template in _QUERIES.items()
    }


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


async def _last_seen_up(prometheus: PrometheusClient, query: str) -> dict[str, float]:
    """Job → the time it was last up in half an hour, to the second: the range above is too coarse for that."""
    found = await prometheus.instant(f"max_over_time(timestamp({query} == 1)[30m:1s])")
    return {sample.labels.get("job", ""): sample.value for sample in found}


async def _history(prometheus: PrometheusClient, selection: str, now: datetime) -> dict[str, tuple[Series, ...] | str]:
    """By name the series found, or why there are none."""

    async def ask(query: str) -> tuple[Series, ...] | str:
        try:
            return await prometheus.range(query, now - _WINDOW, now, _STEP_SECONDS)
        except (TemporaryError, PermanentError) as error:  # `up` was told: the rest is worth having without this one
            return line(str(error))

    queries = history_queries(selection)
    answers = await asyncio.gather(*(ask(query) for query in queries.values()))
    return dict(zip(queries, answers, strict=True))


async def _requests(
    prometheus: PrometheusClient, resource: Resource, now: datetime
) -> dict[str, tuple[Series, ...] | str]:
    """What the resource's own measure of requests tells, where it declares one."""
    if resource.traffic is None:
        return {}
    try:
        return {_REQUESTS: await prometheus.range(resource.traffic, now - _WINDOW, now, _STEP_SECONDS)}
    except (TemporaryError, PermanentError) as error:  # as for the history
        return {_REQUESTS: line(str(error))}


def request_facts(found: Sequence[Series]) -> tuple[dict[str, FactValue], str]:
    """The rate of requests now and as usual."""
    values = [value for series in found[:1] for _, value in series.points if finite(value)]
    if not values:
        return {}, ""
    now = round(values[-1], 1)
    if len(values) < _LEAST_POINTS:
        return {"metric.requests_per_s": now}, f"{now:g} requests/s"
    usual = _usual(values)
    facts: dict[str, FactValue] = {"metric.requests_per_s": now, "metric.requests_usual_per_s": usual}
    return facts, f"{now:g} requests/s, usually {usual:g}"


def _usual(values: Sequence[float]) -> float:
    """What a tenth of the values lie below: while something rises, what it has risen to is not usual yet."""
    return round(sorted(values)[len(values) // 10], 1)


def _finding(
    prometheus: PrometheusClient,
    query: str,
    ups: Sequence[Series],
    seen: Mapping[str, float],
    history: Mapping[str, tuple[Series, ...] | str],
    now: datetime,
) -> Finding:
    facts: dict[str, FactValue] = {}
    words = []
    for series in ups[:_MOST_JOBS]:
        told, sentence = _up(series, seen, now)
        facts |= told
        words.append(sentence)
    for name, answer in history.items():
        found = () if isinstance(answer, str) else answer
        tell = {"disk_used_percent": _disks, _REQUESTS: request_facts}.get(name)
        told, sentence = tell(found) if tell else _value(name, found)
        facts |= told
        words.append(sentence)
    asked = asked_of(f"range 30m step 5s: {query}; also cpu, memory, network, disk")
    return Finding(asked, text_of(*words), facts, raw=whole(_raw(query, ups, history)))


def _up(series: Series, seen: Mapping[str, float], now: datetime) -> tuple[dict[str, FactValue], str]:
    """A job's last `up`, and how long ago it was last 1 where it no longer is, also where it is told no more."""
    job = line(series.labels.get("job", ""), 60)
    at, value = series.points[-1]
    stale = (now - at).total_seconds() > 12 * _STEP_SECONDS
    facts: dict[str, FactValue] = {fact_key("metric.up", job=job): int(value) if finite(value) else 0}
    if value == 1 and not stale:
        return facts, f"{job} up"
    if stale:
        facts[fact_key("metric.up", job=job)] = 0
    last_up = seen.get(series.labels.get("job", ""))
    if last_up is None:
        return facts, f"{job} down, not seen up for 30 min"
    lost = max(0, round(now.timestamp() - last_up))
    facts[fact_key("metric.up_lost_seconds_ago", job=job)] = lost
    return facts, f"{job} {'no longer scraped' if stale else 'down'}, last up {ago(lost)} ago"


def _value(name: str, found: Sequence[Series]) -> tuple[dict[str, FactValue], str]:
    values = [value for series in found[:1] for _, value in series.points if finite(value)]
    if not values:
        return {}, ""
    last, highest = round(values[-1], 1), max(values)
    words = name.removesuffix("_percent").removesuffix("_bytes_per_s").replace("_", " ")
    if name.endswith("_percent"):
        peak = f" (peak {highest:.0f} %)" if highest - last >= 10 else ""
        facts: dict[str, FactValue] = {f"metric.{name}": last}
        if name == "cpu_percent" and len(values) >= _LEAST_POINTS:
            facts["metric.cpu_usual_percent"] = _usual(values)
        return facts, f"{words} {last:.0f} %{peak}"
    return {f"metric.{name}": round(last)}, f"{words} {last / 1000:.0f} kB/s"


def _disks(found: Sequence[Series]) -> tuple[dict[str, FactValue], str]:
    """The fullest ones."""
    used = [(series.last, line(series.labels.get("mountpoint", ""), 60)) for series in found if finite(series.last)]
    fullest = sorted(used, reverse=True)[:_MOST_DISKS]
    facts: dict[str, FactValue] = {
        fact_key("metric.disk_used_percent", mount=mount): round(percent, 1) for percent, mount in fullest
    }
    return facts, ", ".join(f"disk {mount} {percent:.0f} %" for percent, mount in fullest[:2])


def _raw(query: str, ups: Sequence[Series], history: Mapping[str, tuple[Series, ...] | str]) -> str:
    """Every series with its last points."""
    parts = []
    for name, answer in ({query: tuple(ups)} | dict(history)).items():
        if isinstance(answer, str):
            parts.append(f"{name}: {answer}")
            continue
        for series in answer:
            points = " ".join(f"{at:%H:%M:%S}={value:g}" for at, value in series.points[-_RAW_POINTS:])
            parts.append(f"{name} {dict(series.labels)}: {points}")
    return "\n".join(parts)

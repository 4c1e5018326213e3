"""The answers of CloudWatch, RDS and Performance Insights, told apart by their form rather than by a file's name.

Keys may be written as the API has them (`MetricDataResults`) or in snake case (`metric_data_results`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evals.case import InvalidCase
from evals.importing.foreign import Measured, Piece, numbers_of, series_of, time_of
from evals.importing.metric_names import MetricName
from graph.facts import FactValue

_STATISTICS = ("maximum", "average", "value", "sum", "minimum", "samplecount")
# What an event says, and which state of the database follows; the latest event that says any decides.
_STATES: tuple[tuple[str, str], ...] = (
    (r"storage.{0,40}(exhausted|used up)|storage[- ]full|(run|ran) out of storage|no free storage", "storage-full"),
    (r"storage.{0,60}(finished|complete|applied|increased)|finished applying.{0,40}storage", "available"),
    (r"incompatible.network", "incompatible-network"),
    (r"incompatible.parameter", "incompatible-parameters"),
    (r"(instance|database) has failed|failed due to", "failed"),
    (r"shut ?down|has been stopped|instance stopped", "stopped"),
    (r"restarted|instance started|failover (has )?complet", "available"),
)
_NOT_FED = re.compile(
    r"replication (has )?(stopped|terminated|broken|failed|error)|replication.{0,30}\bterminated", re.I
)
_FED = re.compile(r"replication.{0,30}(resumed|started|restored)", re.IGNORECASE)


@dataclass(frozen=True)
class CloudAnswer:
    """What one answer holds; empty where it is of none of these forms."""

    measured: tuple[Measured, ...] = ()
    pieces: tuple[Piece, ...] = ()
    events: tuple[tuple[datetime, str, str], ...] = ()
    """When, of which resource, and what."""

    @property
    def latest(self) -> datetime | None:
        """The last time anything in it tells."""
        times = [each.series.points[-1][0] for each in self.measured] + [at for at, _, _ in self.events]
        return max(times, default=None)

    def __bool__(self) -> bool:
        return bool(self.measured or self.pieces or self.events)


def read_cloud(answer: Any, where: str) -> CloudAnswer:
    """Raises InvalidCase naming the field of what is of a known form and can't be read."""
    if isinstance(answer, list) and answer and all(isinstance(item, dict) for item in answer):
        parts = [read_cloud(item, f"{where}.{index}") for index, item in enumerate(answer)]
        return _joined(parts) if all(parts) else CloudAnswer()
    if not isinstance(answer, dict):
        return CloudAnswer()
    told = _plain(answer)
    if isinstance(results := told.get("metricdataresults"), list) or (
        isinstance(results := told.get("metrics"), list) and all(map(_is_metric, results))
    ):
        return CloudAnswer(measured=tuple(_metrics(results, where)))
    if isinstance(told.get("datapoints"), list) and ("label" in told or "metricname" in told):
        return CloudAnswer(measured=tuple(_metrics([answer], where)))
    if isinstance(told.get("metriclist"), list):
        return CloudAnswer(measured=tuple(_resource_metrics(told["metriclist"], where)))
    if isinstance(told.get("keys"), list) and ("partitionkeys" in told or "alignedstarttime" in told):
        return CloudAnswer(pieces=(Piece("performance insights", "DescribeDimensionKeys", _dimensions(told["keys"])),))
    if isinstance(told.get("events"), list) and all(_is_event(item) for item in told["events"]):
        return _events(told["events"], where)
    if "dbload" in told or "topsql" in told:
        return _insights(told, where)
    return CloudAnswer()


def event_facts(events: Sequence[tuple[datetime, str, str]], resource_id: str) -> dict[str, FactValue]:
    """What the events of this resource say of its state and its replication, the last word of each."""
    facts: dict[str, FactValue] = {}
    for _, source, message in sorted(events):
        if source and source != resource_id:
            continue
        state = next((state for pattern, state in _STATES if re.search(pattern, message, re.IGNORECASE)), None)
        if state is not None:
            facts["provider.database_state"] = state
        if _NOT_FED.search(message):
            facts["repl.receiving"] = False
        elif _FED.search(message):
            facts.pop("repl.receiving", None)
    return facts


def _metrics(results: Sequence[Any], where: str) -> Iterator[Measured]:
    for index, item in enumerate(results):
        place = f"{where}: metric {index}"
        told = _plain(_object(item))
        name = str(told.get("metricname") or told.get("label") or told.get("id") or "")
        if not name:
            raise InvalidCase(f"{place}: MetricName: missing; give it, or a Label")
        if "timestamps" in told:
            points = _timed(told["timestamps"], told.get("values"), place)
        else:
            points = list(_datapoints(told.get("datapoints") or told.get("recentdatapoints") or [], place))
        if points:
            labels = {str(key): str(value) for key, value in _dimension_pairs(told.get("dimensions"))}
            yield _measured("cloudwatch", name.split(" ", 1)[0], labels, points)


def _timed(times: Any, values: Any, where: str) -> list[tuple[datetime, float]]:
    """A value for each time."""
    numbers = numbers_of(values, f"{where}: Values")
    if not isinstance(times, list) or len(times) != len(numbers):
        told = len(times) if isinstance(times, list) else "no"
        raise InvalidCase(f"{where}: Values: {len(numbers)} values for {told} Timestamps; give a value for each time")
    return [(time_of(at, f"{where}: Timestamps"), value) for at, value in zip(times, numbers, strict=True)]


def _datapoints(found: Any, where: str) -> Iterator[tuple[datetime, float]]:
    for index, item in enumerate(found if isinstance(found, list) else []):
        told = _plain(_object(item))
        place = f"{where}: Datapoints.{index}"
        name = next((each for each in _STATISTICS if told.get(each) is not None), None)
        if name is None or "timestamp" not in told:
            raise InvalidCase(f"{place}: Timestamp and one of {', '.join(_STATISTICS)} are wanted")
        yield time_of(told["timestamp"], f"{place}.Timestamp"), numbers_of([told[name]], place)[0]


def _resource_metrics(found: Sequence[Any], where: str) -> Iterator[Measured]:
    """GetResourceMetrics."""
    for index, item in enumerate(found):
        told = _plain(_object(item))
        key = _plain(_object(told.get("key")))
        if not key.get("metric"):
            raise InvalidCase(f"{where}: MetricList.{index}.Key.Metric: missing; give the metric's name")
        points = list(_datapoints(told.get("datapoints"), f"{where}: MetricList.{index}"))
        dimensions = _object(key.get("dimensions"))
        if points:
            labels = {str(name): str(value) for name, value in dimensions.items()}
            # the load of one dimension is a part, not the load
            name = str(key["metric"]) if not labels else f"{key['metric']} by {', '.join(sorted(labels))}"
            yield _measured("performance insights", name, labels, points)


def _insights(told: Mapping[str, Any], where: str) -> CloudAnswer:
    """Load over time, and the tables beside it, a row a line, the most load first as they come."""
    measured: list[Measured] = []
    if isinstance(load := told.get("dbload"), dict):
        points = _timed(load.get("timestamps"), load.get("values"), f"{where}: db_load")
        measured += [_measured("performance insights", "db.load", {}, points)] if points else []
    tables = {key: value for key, value in told.items() if isinstance(value, list) and value and key != "observations"}
    lines = [f"{key}: {_row(row)}" for key, rows in tables.items() for row in rows]
    piece = (Piece("performance insights", "top dimensions by load", tuple(lines)),) if lines else ()
    return CloudAnswer(tuple(measured), piece)


def _row(row: Any) -> str:
    if not isinstance(row, dict):
        return str(row)
    parts = []
    for key, value in row.items():
        inside = ", ".join(map(_row, value)) if isinstance(value, list) else str(value)
        parts.append(inside if key in ("name", "statement", "sql") else f"{key} {inside}")
    return " | ".join(parts)


def _dimensions(keys: Sequence[Any]) -> tuple[str, ...]:
    lines = []
    for item in keys:
        told = _plain(_object(item))
        names = _object(told.get("dimensions"))
        lines.append(f"load {told.get('total', '?')}: " + ", ".join(f"{key} {value}" for key, value in names.items()))
    return tuple(lines)


def _is_metric(item: Any) -> bool:
    told = _plain(_object(item))
    named = any(told.get(key) for key in ("metricname", "label"))
    return named and any(key in told for key in ("timestamps", "datapoints", "recentdatapoints"))


def _is_event(item: Any) -> bool:
    return isinstance(item, dict) and {"message", "date"} <= set(_plain(item))


def _events(found: Sequence[Any], where: str) -> CloudAnswer:
    events = []
    for index, item in enumerate(found):
        told = _plain(item)
        at = time_of(told["date"], f"{where}: Events.{index}.Date")
        events.append((at, str(told.get("sourceidentifier") or ""), str(told["message"])))
    lines = tuple(f"{at:%Y-%m-%d %H:%M:%S} {source} {message}" for at, source, message in sorted(events))
    return CloudAnswer(pieces=(Piece("rds events", "DescribeEvents", lines),) if lines else (), events=tuple(events))


def _measured(area: str, name: str, labels: Mapping[str, str], points: Sequence[tuple[datetime, float]]) -> Measured:
    return Measured(area, MetricName(name, name, labels), series_of({"__name__": name, **labels}, points))


def _dimension_pairs(found: Any) -> Iterator[tuple[Any, Any]]:
    for item in found if isinstance(found, list) else ():
        told = _plain(_object(item))
        if told.get("name"):
            yield told["name"], told.get("value", "")


def _joined(parts: Sequence[CloudAnswer]) -> CloudAnswer:
    return CloudAnswer(
        tuple(each for part in parts for each in part.measured),
        tuple(each for part in parts for each in part.pieces),
        tuple(each for part in parts for each in part.events),
    )


def _object(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _plain(told: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key).replace("_", "").lower(): value for key, value in told.items()}

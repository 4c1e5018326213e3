"""Shape `series`: one JSON file, a list of objects (or an object of them by name, or one object), each a case.

```json
[{"start_time": 1700000000, "end_time": 1700000590,
  "alerts": [{"version": "4", "status": "firing", "alerts": [
      {"status": "firing", "labels": {"alertname": "NodeFilesystemFull", "job": "node", "instance": "host-a:9100"}}]}],
  "exceptions": {"disk": {
      "node_filesystem_avail_bytes{mountpoint=\\"/data\\"}": [900000000, 10000000],
      "node_filesystem_size_bytes{mountpoint=\\"/data\\"}": [1000000000, 1000000000]}},
  "labels": ["disk full"]}]
```

`alerts` holds Alertmanager's bodies, version 4 (or single alerts). `exceptions.<area>.<name>` are the values of a
series evenly apart from `start_time` to `end_time` (seconds since the epoch, or ISO 8601), usually 60. `labels` (or
`answer`, `root_cause` …) names what was wrong; `name` or `id` names the case. `slow_queries` and `workload` are kept
as evidence. Nothing else is read: `script`, `command` and `description` tell what was done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from evals.case import InvalidCase
from evals.importing.alerts import read_alerts
from evals.importing.condensed import lines_of
from evals.importing.foreign import Foreign, Measured, Piece, numbers_of, read_json, series_of, time_of
from evals.importing.metric_names import read_name
from evals.importing.telling import untold

ANSWER_KEYS = ("labels", "label", "answer", "root_cause", "root_causes", "cause", "expected", "failure_mode")
_STARTS, _ENDS = ("start_time", "start", "start_timestamp"), ("end_time", "end", "end_timestamp")
_WORDS = ("slow_queries", "workload")


def fits(path: Path) -> bool:
    """Whether it may be of this shape: a JSON file."""
    return path.is_file() and path.suffix.lower() == ".json" and path.name != "tool_cache.json"


def read(path: Path) -> Iterator[Foreign | InvalidCase]:
    """Every case, or what is wrong with it. Raises InvalidCase where the file as a whole can't be read."""
    found = read_json(path)
    if isinstance(found, dict) and not any(key in found for key in ("alerts", "exceptions")):
        named = [(str(key), item) for key, item in found.items()]
    else:
        named = [(str(index), item) for index, item in enumerate(found if isinstance(found, list) else [found])]
    if not named:
        raise InvalidCase(f"{path}: no case in it; a list of objects with `alerts` and `exceptions` is wanted")
    for key, item in named:
        try:
            yield _case(path, key, item)
        except InvalidCase as problem:
            yield problem


def _case(path: Path, key: str, told: Any) -> Foreign:
    where = f"{path}: {key}"
    if not isinstance(told, dict):
        raise InvalidCase(f"{where}: an object with `alerts` and `exceptions` is wanted, not {type(told).__name__}")
    if "alerts" not in told:
        raise InvalidCase(f"{where}: alerts: missing; give Alertmanager's bodies, version 4, in a list")
    start, end = _time(told, _STARTS, where), _time(told, _ENDS, where)
    if end <= start:
        raise InvalidCase(f"{where}: end_time: {end:%Y-%m-%dT%H:%M:%SZ} is not after start_time; correct one of them")
    return Foreign(
        name=f"{path.name}#{key}" + (f" {named}" if (named := told.get("name") or told.get("id")) else ""),
        where=where,
        alerts=read_alerts(told["alerts"], f"{where}: alerts", end),
        received_at=end,
        measured=tuple(_measured(told.get("exceptions", {}), start, end, f"{where}: exceptions")),
        pieces=tuple(Piece(word, word, lines_of(untold(told[word]))) for word in _WORDS if told.get(word)),
        answers=answers_in(told),
        moment="worst",
    )


def answers_in(told: Mapping[str, Any]) -> tuple[str, ...]:
    """How a foreign case names what was wrong."""
    found: list[str] = []
    for key in ANSWER_KEYS:
        value = told.get(key)
        found += [str(item)[:200] for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]
    return tuple(dict.fromkeys(found))


def _measured(told: Any, start: datetime, end: datetime, where: str) -> Iterator[Measured]:
    if not isinstance(told, dict):
        raise InvalidCase(f'{where}: an object of areas is wanted: {{"cpu": {{"node_load1": [1, 2]}}}}')
    for area, its in told.items():
        if not isinstance(its, dict):
            raise InvalidCase(f'{where}.{area}: an object of series is wanted: {{"node_load1": [1, 2]}}')
        for name, values in its.items():
            numbers = numbers_of(values, f"{where}.{area}.{name}")
            step = (end - start) / max(len(numbers) - 1, 1)
            points = [(start + step * index, value) for index, value in enumerate(numbers)]
            if points:
                read = read_name(name)
                yield Measured(area, read, series_of({"__name__": read.metric, **read.labels}, points))


def _time(told: Mapping[str, Any], keys: tuple[str, ...], where: str) -> datetime:
    for key in keys:
        if told.get(key) is not None:
            return time_of(told[key], f"{where}: {key}")
    raise InvalidCase(f"{where}: {keys[0]}: missing; give seconds since the epoch or ISO 8601")

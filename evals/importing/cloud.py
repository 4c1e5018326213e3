"""Shape `cloud`: a folder a case, with `alert.json` and JSON files of what a cloud's own services answered.

```
case-a/alert.json      {"alerts": [{"status": "firing", "labels": {"alertname": "ReplicaLagHigh", "engine": "mysql",
                        "DBInstanceIdentifier": "db-a"}}]}     (or Grafana's or CloudWatch's form of an alert)
case-a/metrics.json    {"MetricDataResults": [{"Label": "ReplicaLag", "Timestamps": ["2026-01-01T00:00:00Z"],
                        "Values": [900]}]}                     (GetMetricData, or GetMetricStatistics' Datapoints)
case-a/events.json     {"Events": [{"Date": "2026-01-01T00:00:00Z", "SourceIdentifier": "db-a", "Message": "…"}]}
case-a/insights.json   {"MetricList": […]}, {"Keys": […], "PartitionKeys": […]}, or {"db_load": …, "top_sql": […]}
```

Files are told apart by what they hold (see `cloud_answers`); any other JSON is kept as evidence under its own
name. Files called `answer…`, `expected…`, `scenario…` name what was wrong and are no evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from evals.case import InvalidCase
from evals.importing.alerts import began_at, read_alerts
from evals.importing.cloud_answers import CloudAnswer, event_facts, read_cloud
from evals.importing.condensed import lines_of
from evals.importing.folders import answers_of, case_folders, is_answer, read_folders
from evals.importing.foreign import UNTOLD, Foreign, Piece, files_of, read_json
from evals.importing.placing import Place, place
from evals.importing.telling import untold

ALERT = "alert.json"


def fits(path: Path) -> bool:
    """Whether there are folders with an `alert.json` in it."""
    return bool(case_folders(path, ALERT))


def read(path: Path) -> Iterator[Foreign | InvalidCase]:
    """Every case, or what is wrong with it. Raises InvalidCase where there is none."""
    return read_folders(path, ALERT, _case)


def _case(folder: Path, name: str) -> Foreign:
    answers: list[CloudAnswer] = []
    pieces: list[Piece] = []
    for file in (each for each in files_of(folder) if each.suffix == ".json" and each.name != ALERT):
        if is_answer(file):
            continue
        told = untold(read_json(file))
        found = read_cloud(told, str(file))
        answers.append(found)
        pieces += found.pieces if found else [Piece(file.stem, file.name, lines_of(told))]
    body, where = read_json(folder / ALERT), str(folder / ALERT)
    latest = max((each.latest for each in answers if each.latest), default=None)
    received_at = max((each for each in (latest, began_at(body, where)) if each), default=UNTOLD)
    foreign = Foreign(
        name=name,
        where=where,
        alerts=read_alerts(body, where, received_at),
        received_at=received_at,
        measured=tuple(item for each in answers for item in each.measured),
        pieces=tuple(pieces),
        answers=answers_of(folder),
    )
    return replace(foreign, facts=_event_facts(foreign, answers))


def _event_facts(foreign: Foreign, answers: list[CloudAnswer]) -> dict[str, bool | int | float | str]:
    at = next((each for each in (place(alert) for alert in foreign.alerts) if isinstance(each, Place)), None)
    events = [item for each in answers for item in each.events]
    return event_facts(events, at.resource_id) if at is not None else {}

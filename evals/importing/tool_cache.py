"""Shape `tool-cache`: a folder a case, with `tool_cache.json`, which maps an agent's tool calls to their answers.

```
case-a/tool_cache.json  {"prometheus_query_range({\\"query\\": \\"node_load1\\", \\"start\\": 0, \\"end\\": 600})":
                            {"resultType": "matrix", "result": [{"metric": {}, "values": [[0, "1"], [600, "9"]]}]},
                         "get_logs(unit='web')": "web: no space left on device",
                         "describe_thing": "whatever it answered"}
case-a/alert.json       optional: the alert, in any form that `alerts` reads
case-a/question.txt     optional: what the agent was asked; stands in for an alert that is not there
case-a/expected.txt     optional, also .json or .yaml: names what was wrong
```

A Prometheus answer becomes an inquiry of ours and, where its metric has a home, facts; a log becomes the inquiry `logs`
and what our journal source sees in it; CloudWatch's answers are read as in shape `cloud`. The rest is kept as evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from evals.case import InvalidCase
from evals.importing.alerts import began_at, read_alerts
from evals.importing.cloud_answers import CloudAnswer, event_facts, read_cloud
from evals.importing.condensed import lines_of
from evals.importing.folders import answers_of, case_folders, read_folders
from evals.importing.foreign import UNTOLD, Asked, Foreign, Measured, Piece, read_json, read_text
from evals.importing.placing import DATABASE_IDS, INSTANCE_IDS, Place, clean_id, place
from evals.importing.prometheus_answers import asked_of_prometheus, read_prometheus
from evals.importing.tool_calls import ToolCall, read_calls
from graph.facts import FactValue
from graph.records import Alert
from tools.condensing.log_templates import condense_logs
from tools.condensing.plain_text import one_line, plain, within
from tools.evidence.context import whole
from tools.evidence.journal import journal_facts
from tools.evidence.log_signs import signs_in

CACHE = "tool_cache.json"
ASKED_ALERT = "AskedByPeople"
_LOG_TOOL = re.compile(r"log|journal", re.IGNORECASE)
_UNIT_ARGS = ("unit", "service", "service_name", "container", "app", "program")
_LOG_BYTES = 1_400
_HINTS = frozenset((*DATABASE_IDS, *INSTANCE_IDS, "engine", "namespace"))
_LOG_PARAMS: Mapping[str, Any] = {"minutes": 30, "contains": ""}


def fits(path: Path) -> bool:
    """Whether there are folders with a `tool_cache.json` in it."""
    return bool(case_folders(path, CACHE))


def read(path: Path) -> Iterator[Foreign | InvalidCase]:
    """Every case, or what is wrong with it. Raises InvalidCase where there is none."""
    return read_folders(path, CACHE, _case)


def _case(folder: Path, name: str) -> Foreign:
    where = str(folder / CACHE)
    calls = read_calls(read_json(folder / CACHE), where)
    measured: list[Measured] = []
    pieces: list[Piece] = []
    asked: list[Asked] = []
    cloud: list[CloudAnswer] = []
    for call in calls:
        if series := read_prometheus(call, where):
            measured += series
            asked += asked_of_prometheus(call, series)
        elif found := read_cloud(call.answer, f"{where}: {call.tool}"):
            cloud.append(found)
            measured += found.measured
            pieces += found.pieces
        else:
            asked += _asked_of_logs(call)
            pieces.append(Piece(call.tool, one_line(f"{call.tool} {dict(call.args)}", 160), lines_of(call.answer)))
    times = [*(each.latest for each in cloud if each.latest), *(each.series.points[-1][0] for each in measured)]
    alerts, began = _alerts(folder, max(times, default=None))
    received_at = max((*times, *([began] if began else [])), default=UNTOLD)
    hints = _hints(calls)
    return Foreign(
        name=name,
        where=where,
        alerts=alerts,
        received_at=received_at,
        measured=tuple(measured),
        pieces=tuple(pieces),
        asked=tuple(asked),
        facts=_facts(alerts, hints, cloud, asked),
        services=tuple(dict.fromkeys(str(each.params["unit"]) for each in asked if each.tool == "logs")),
        hints=hints,
        answers=answers_of(folder),
    )


def _alerts(folder: Path, latest: datetime | None) -> tuple[tuple[Alert, ...], datetime | None]:
    """The alert; else the question, as an alert that people raised."""
    path = folder / "alert.json"
    if path.is_file():
        body = read_json(path)
        began = began_at(body, str(path))
        latest = max((each for each in (latest, began) if each), default=None)
        return read_alerts(body, str(path), latest), began
    question = folder / "question.txt"
    if not question.is_file():
        raise InvalidCase(f"{folder}: neither alert.json nor question.txt; add one: it says what the case is about")
    words = plain(read_text(question))
    annotations = {"summary": within(words, 1_000)}
    return (Alert(status="firing", labels={"alertname": ASKED_ALERT}, annotations=annotations, startsAt=latest),), None


def _hints(calls: Sequence[ToolCall]) -> dict[str, str]:
    """What the calls' arguments say of the resource: of each name, the value that most calls give."""
    given: dict[str, list[str]] = {}
    for call in calls:
        for key, value in call.args.items():
            if re.sub(r"[_.-]", "", key).lower() in _HINTS and isinstance(value, str) and value:
                given.setdefault(key, []).append(value)
    hints = {key: max(values, key=values.count) for key, values in given.items()}
    return {**hints, "exporter": " ".join(dict.fromkeys(call.tool for call in calls))[:500]}


def _facts(
    alerts: Sequence[Alert], hints: Mapping[str, str], cloud: Sequence[CloudAnswer], asked: Sequence[Asked]
) -> dict[str, FactValue]:
    at = next((each for each in (place(alert, hints) for alert in alerts) if isinstance(each, Place)), None)
    events = [item for each in cloud for item in each.events]
    facts = event_facts(events, at.resource_id) if at is not None else {}
    for each in asked:
        facts |= each.facts
    return facts


def _asked_of_logs(call: ToolCall) -> Iterator[Asked]:
    """The inquiry `logs` of the unit that was asked about; with and without the params that have a default."""
    unit = next((call.args[name] for name in _UNIT_ARGS if isinstance(call.args.get(name), str)), "")
    unit = clean_id(unit).removesuffix(".service")
    if not _LOG_TOOL.search(call.tool) or not unit:
        return
    log = plain("\n".join(lines_of(call.answer)))
    facts = journal_facts(unit, signs_in(log))
    text = condense_logs(log, _LOG_BYTES)
    for params in ({"unit": unit}, {"unit": unit, **_LOG_PARAMS}):
        yield Asked("logs", params, text, whole(log), facts)

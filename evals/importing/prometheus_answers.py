"""Prometheus' answers among an agent's tool calls: series to go by, and the same question as one of our inquiries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from evals.case import InvalidCase
from evals.importing.foreign import Asked, Measured, numbers_of, series_of, time_of
from evals.importing.metric_names import read_name
from evals.importing.tool_calls import ToolCall
from tools.clients.prometheus import Sample
from tools.condensing.series_shape import samples_shown, shapes_of
from tools.evidence.context import whole

_QUERY = ("query", "promql", "expr", "expression", "metric", "metric_name")
_ANSWER_BYTES = 1_400
_MINUTES = 60
"""What our tool takes where nothing else is asked."""


def read_prometheus(call: ToolCall, where: str) -> tuple[Measured, ...]:
    """The series of an answer that is one of Prometheus; none where it is something else."""
    result = _result(call.answer)
    query = next((call.args[name] for name in _QUERY if isinstance(call.args.get(name), str)), "")
    if not isinstance(result, list) or not result or not all(_is_series(item) for item in result):
        return ()
    place = f"{where}: {call.tool}"
    return tuple(_measured(item, query, f"{place}: result.{index}") for index, item in enumerate(result))


def asked_of_prometheus(call: ToolCall, found: Sequence[Measured]) -> Iterator[Asked]:
    """As our tools would be asked; with and without the params that have a default."""
    query = next((call.args[name] for name in _QUERY if isinstance(call.args.get(name), str)), "")
    if not query or len(query) > 500:
        return
    series = [each.series for each in found]
    ends = max(each.points[-1][0] for each in series)
    raw = whole("\n".join(f"{dict(each.labels)}: {[value for _, value in each.points]}" for each in series))
    if all(len(each.points) == 1 for each in series):
        text = samples_shown([Sample(each.labels, each.points[0][0], each.last) for each in series], _ANSWER_BYTES)
        given: tuple[Mapping[str, Any], ...] = ({"query": query}, {"query": query, "until": "now"})
        yield from (Asked("prometheus_instant", params, text, raw) for params in given)
        return
    text = shapes_of(series, _ANSWER_BYTES, ends)
    told = round((ends - min(each.points[0][0] for each in series)).total_seconds() / 60)
    for minutes in dict.fromkeys((_MINUTES, min(max(told, 1), 1440))):
        yield Asked("prometheus_range", {"query": query, "minutes": minutes, "until": "now"}, text, raw)
        yield Asked("prometheus_range", {"query": query, "minutes": minutes}, text, raw)
    yield Asked("prometheus_range", {"query": query}, text, raw)


def _result(answer: Any) -> Any:
    """Within `data` or not, with its status or without."""
    for _ in range(3):
        if isinstance(answer, dict):
            answer = answer.get("data", answer.get("result"))
    return answer


def _is_series(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("metric"), dict) and ("values" in item or "value" in item)


def _measured(item: Mapping[str, Any], query: str, where: str) -> Measured:
    pairs = item["values"] if "values" in item else [item["value"]]
    if not isinstance(pairs, list) or not pairs or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise InvalidCase(f"{where}: values: pairs of time and value are wanted, at least one")
    numbers = numbers_of([pair[1] for pair in pairs], f"{where}.values")
    points = [(time_of(pair[0], f"{where}.values"), value) for pair, value in zip(pairs, numbers, strict=True)]
    labels = {str(key): str(value) for key, value in item["metric"].items()}
    name = read_name(query or labels.get("__name__", ""))
    named = labels.get("__name__") or name.metric
    known = {**name.labels, **{key: value for key, value in labels.items() if key != "__name__"}}
    read = replace(name, metric=named, labels=known)
    return Measured("prometheus", read, series_of({"__name__": named, **known}, points))

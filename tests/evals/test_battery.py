"""The battery of questions: what a model would likely ask, bounded, and honest where there was no answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import BaseModel

from agents import known_kinds
from evals.battery import MOST_CALLS, ask, possible
from evals.case import Recorded
from evals.replay import Recording
from graph.ports import InquirySpec
from server.settings import Settings
from tests.evals.a_case import CRASHED, RECEIVED, made
from tests.server.live import Answering, nothing, prometheus
from tests.tools.inquiring import context, host, incident, inquiries
from tools.clients.prometheus import PrometheusClient

HERE: dict[str, Any] = {
    "id": "here-1",
    "kind": "Instance",
    "address": "127.0.0.1",
    "transport": "local",
    "services": ["cron"],
}
ALERT = {
    "status": "firing",
    "labels": {"alertname": "ServiceDown", "instance": "10.9.8.7:9100", "resource_id": "here-1"},
    "generatorURL": "http://prom:9090/graph?g0.expr=namedprocess_up%7Bname%3D%22cron%22%7D+%3D%3D+0",
}


def record_of(**more: Any) -> dict[str, Any]:
    resource = Settings.model_validate({"resources": [HERE | more]}).resources[0]
    return {
        "id": "0190",
        "number": 7,
        "resource_kind": resource.kind,
        "resource_id": resource.id,
        "issue_types": ["service_down"],
        "alerts": [ALERT],
        "received_at": RECEIVED.isoformat(),
        "resource": resource.model_dump(mode="json"),
    }


def knowing(asked: list[str]) -> Answering:
    """Of the alert's own series and `up` by its instance, and of nothing else."""

    def answer(path: str) -> dict[str, Any]:
        if "/rules" in path:
            return nothing(path)
        query = parse_qs(urlsplit(path).query).get("query", [""])[0]
        asked.append(query)
        known = query.startswith(("namedprocess_up", 'up{instance="10.9.8.7:9100"}'))
        is_range = "query_range" in path
        values: dict[str, Any] = {"values": [[1, "0"], [2, "0"]]} if is_range else {"value": [2, "0"]}
        one = {"metric": {"name": "cron"}} | values
        return {"resultType": "matrix" if is_range else "vector", "result": [one] if known else []}

    return answer


async def answers(**more: Any) -> tuple[tuple[Recorded, ...], list[str]]:
    asked: list[str] = []
    with prometheus(knowing(asked)) as url:
        settings = Settings.model_validate({"prometheus": {"url": url}, "resources": [HERE | more]})
        return await ask(settings, record_of(**more)), asked


async def test_every_tool_that_is_offered_is_asked_and_each_question_once(tmp_path: Path) -> None:
    found, _ = await answers()
    assert {call.tool for call in found} == {"logs", "host_probe", "prometheus_range", "prometheus_instant"}
    assert all(call.inquiry and call.at_seconds > 0 and call.raw == "" for call in found)
    questions = [(call.tool, json.dumps(call.params, sort_keys=True)) for call in found]
    assert len(set(questions)) == len(questions) <= MOST_CALLS
    probes = {call.params["probe"] for call in found if call.tool == "host_probe"}
    assert {"host", "dmesg", "disk", "ports", "processes"} <= probes
    assert "changes" not in probes, "it would say that there were no incidents before"
    host_now = next(call for call in found if call.params.get("probe") == "host")
    assert host_now.status == "observed" and host_now.facts["host.reachable"] is True
    recording = Recording(made(tmp_path, CRASHED, *found))
    assert recording.answered("host_probe", {"probe": "host"}).facts == host_now.facts


async def test_the_alerts_own_expression_is_asked_and_series_by_the_labels_that_find_some() -> None:
    found, asked = await answers()
    own = [call for call in found if call.params.get("query") == 'namedprocess_up{name="cron"} == 0']
    assert {call.tool for call in own} == {"prometheus_range", "prometheus_instant"}
    assert all(call.status == "observed" for call in own)
    queries = {call.params["query"] for call in found if "query" in call.params}
    assert 'up{instance="10.9.8.7:9100"}' in queries
    assert not any('resource_id="here-1"' in query for query in queries), "these labels find nothing"
    assert set(asked) >= queries, "what is recorded was really asked"


async def test_what_can_not_answer_is_recorded_as_failed_with_its_reason() -> None:
    access = {"user": "nobody", "key_file": "/nonexistent/key", "known_hosts": "/nonexistent/hosts", "port": 9}
    found, _ = await answers(transport="ssh", ssh=access)
    logs = [call for call in found if call.tool == "logs"]
    assert len(logs) == 4
    assert all(call.status == "failed" and "key file" in call.text and not call.facts for call in logs), logs[0]


async def test_nobody_is_asked_about_a_resource_that_is_not_declared() -> None:
    settings = Settings.model_validate({"resources": []})
    assert await ask(settings, record_of() | {"resource": None}) == ()


@pytest.mark.parametrize("kind", sorted(known_kinds()))
def test_every_question_is_one_that_the_tool_takes(kind: str) -> None:
    more: dict[str, Any] = {"kind": kind, "id": "inst-1"}
    if kind == "Database":
        more["database"] = {"engine": "mariadb", "cluster": "c", "role": "replica", "port": 3306}
    resource = host("svc-a", "svc-b", **more)
    given = context(prometheus=PrometheusClient("http://192.0.2.1:9090"), databases={"mariadb": object()})
    specs = inquiries(given).specs(incident(resource))
    for spec in specs:
        asked = list(possible(spec, {"up": True, "ALERTS": False}))
        assert asked, spec.name
        for params in asked:
            spec.params.model_validate(params)
    assert [spec.name for spec in specs if spec.name == "database_view"] == (
        ["database_view"] if kind == "Database" else []
    )


def test_a_tool_that_needs_arguments_nobody_knows_is_left_out() -> None:
    class Needs(BaseModel):
        word: str

    assert list(possible(InquirySpec("new_tool", "-", Needs), {})) == []

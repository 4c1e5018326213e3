"""The cases at LangSmith: dataset, runs and feedback arrive where they were asked for, and no secret with them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from evals import langsmith
from evals.case import Case, load_case, write_case
from evals.commands.langsmith import app
from evals.langsmith_client import EvalsClient, Offline, OfflineClient
from evals.openai_server import answer, serving
from evals.reasoners import Choice
from evals.results import Evaluation
from server.model_settings import LlmSettings
from tests.evals.langsmith_server import LangSmith
from tests.evals.langsmith_server import langsmith as playing
from tests.evals.made_cases import crashed, store

RUNBOOK = Choice("runbook")
SECRETS = {
    "alert": "annotated-hunter2",
    "log": "logged-hunter2",
    "key": "AKIA" + "IOSFODNN7EXAMPLE",
    "attempt": "tried-hunter2",
}


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable of LangSmith's but those that a test sets, and what it remembers of them is forgotten."""
    from langsmith import utils

    for name in ("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY", "LANGSMITH_ENDPOINT", "LANGCHAIN_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    utils.get_env_var.cache_clear()
    yield
    monkeypatch.undo()
    utils.get_env_var.cache_clear()


@pytest.fixture
def smith(monkeypatch: pytest.MonkeyPatch) -> Iterator[LangSmith]:
    """A LangSmith that is within reach, with a key set."""
    from langsmith import utils

    with playing() as played:
        monkeypatch.setenv("LANGSMITH_ENDPOINT", played.ingest.url)
        monkeypatch.setenv("LANGSMITH_API_KEY", "ls-key")
        utils.get_env_var.cache_clear()
        yield played


def told(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def feedback(smith: LangSmith) -> Counter[str]:
    """Keys of the feedback that arrived, how often."""
    return Counter(re.findall(r'"run_id":"[^"]*","trace_id":"[^"]*","key":"(\w+)"', smith.ingest.text))


def leaky(root: Path) -> Case:
    """A case as none should be, with secrets in it: what leaves must not depend on the recorder's care."""
    case = crashed(root, "case-009")
    alert = case.alerts.alerts[0].model_copy(
        update={"annotations": {"description": f"curl -u ops:{SECRETS['alert']} http://shop fails"}}
    )
    spoken = f"password={SECRETS['log']} and key {SECRETS['key']}"
    calls = tuple(call.model_copy(update={"text": spoken, "asked": f"ask {spoken}"}) for call in case.calls)
    leaking = Case(
        case.folder,
        case.file,
        case.alerts.model_copy(update={"alerts": (alert,)}),
        case.context,
        calls,
        case.expected.model_copy(update={"forbidden_actions": (f"token={SECRETS['attempt']}",)}),
    )
    write_case(leaking)
    return load_case(case.folder)


def test_an_upload_makes_the_dataset_once_and_the_same_again_changes_nothing(smith: LangSmith, tmp_path: Path) -> None:
    cases = store(tmp_path / "cases")
    client = EvalsClient()
    assert langsmith.upload(client, cases) == langsmith.Uploaded(created=3, updated=0, same=0, strange=0)
    assert langsmith.upload(client, cases) == langsmith.Uploaded(created=0, updated=0, same=3, strange=0)
    assert [each["name"] for each in smith.datasets.values()] == ["selfheal-evals"]
    example = next(each for each in smith.examples.values() if each["inputs"]["case"] == "case-000")
    assert example["inputs"]["alert"]["alerts"][0]["labels"]["alertname"] == "ServiceDown"
    assert [each["tool"] for each in example["inputs"]["recorded"]][:2] == ["host", "units"]
    assert example["outputs"]["accepted_causes"] == ["process_crashed"]
    assert (example["split"], example["metadata"]["difficulty"]) == ("train", "medium")
    assert "process_crashed" not in json.dumps([example["inputs"], example["metadata"]])


def test_a_case_that_changed_is_brought_up_to_date_and_one_that_went_is_left_alone(
    smith: LangSmith, tmp_path: Path
) -> None:
    root = tmp_path / "cases"
    client = EvalsClient()
    langsmith.upload(client, store(root))
    changed = crashed(root, "case-000", accepted_causes=("oom_killed",))
    assert langsmith.upload(client, (changed,)) == langsmith.Uploaded(created=0, updated=1, same=0, strange=2)
    assert len(smith.examples) == 3
    assert smith.examples[next(iter(smith.examples))]["outputs"]["accepted_causes"] == ["oom_killed"]


def test_a_run_posts_what_our_scorers_say_of_every_run(smith: LangSmith, tmp_path: Path) -> None:
    root = tmp_path / "cases"
    store(root)
    out = tmp_path / "evals.json"
    assert told("upload", "--root", root).exit_code == 0
    done = told("run", "--root", root, "--runs", 2, "--out", out)
    assert done.exit_code == 0, done.output
    assert "runbook: 3 of 3 cases passed" in done.output
    arrived = feedback(smith)
    results = Evaluation.model_validate_json(out.read_bytes()).results
    runs = [run for case in results.cases for run in case.runs]
    assert [len(case.runs) for case in results.cases] == [2, 2, 2]
    expected = Counter(name for run in runs for name, score in run.scores.items() if score.value is not None)
    assert arrived == expected + Counter({"passed": 6})
    [experiment] = smith.experiments
    assert experiment["extra"]["metadata"]["reasoner"] == "runbook"
    assert experiment["reference_dataset_id"] in smith.datasets
    assert '"suspected_cause":"process_crashed"' in smith.ingest.text


def test_neither_secrets_nor_who_works_here_arrive(smith: LangSmith, tmp_path: Path) -> None:
    case = leaky(tmp_path / "cases")
    client = EvalsClient()
    langsmith.upload(client, (case,))
    langsmith.measure(client, (case,), RUNBOOK)
    client.close()
    assert feedback(smith)["passed"] == 1
    for where, secret in SECRETS.items():
        assert secret not in smith.ingest.text, f"the secret of the {where} arrived"
    assert "[redacted]" in smith.ingest.text
    for name in ("author_name", "author_email", "remote_url"):
        assert name not in smith.ingest.text


def test_the_steps_of_the_graph_stay_here_though_tracing_is_asked_for(
    smith: LangSmith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    cases = store(tmp_path / "cases")
    client = EvalsClient()
    langsmith.upload(client, cases)
    langsmith.measure(client, cases, RUNBOOK)
    client.close()
    traced = re.findall(r'"name":"([^"]*)"', smith.ingest.text.split("Content-Disposition", 1)[1])
    assert set(traced) - {each["name"] for each in smith.experiments} <= {"Target"}
    assert "Target" in traced


def test_a_model_is_asked_anew_in_every_run_and_its_calls_are_told_apart(smith: LangSmith, tmp_path: Path) -> None:
    case = crashed(tmp_path / "cases")
    said = {
        "suspected_cause": "unknown",
        "summary": "who knows",
        "confidence": 0.4,
        "evidence_ids": [],
        "ruled_out": {},
    }
    client = EvalsClient()
    langsmith.upload(client, (case,))
    with serving(answer(said | {"target": ""})) as model:
        choice = Choice("llm", LlmSettings(model="tiny", base_url=model.base_url, max_retries=0))
        results = langsmith.measure(client, (case,), choice, runs=2)
        asked = len(model.requests)
    client.close()
    [runs] = [each.runs for each in results.cases]
    assert (results.reasoner, results.measures_a_model) == ("llm:tiny", True)
    assert [run.number for run in runs] == [1, 2]
    assert all(run.model_calls for run in runs)
    assert sum(run.model_calls for run in runs) == asked
    assert "llm:tiny" in json.dumps(smith.experiments)


def test_a_dataset_of_other_content_is_refused_before_anything_is_measured(smith: LangSmith, tmp_path: Path) -> None:
    root = tmp_path / "cases"
    store(root)
    missing = told("run", "--root", root)
    assert (missing.exit_code, "there is no dataset" in missing.output) == (2, True)
    assert told("upload", "--root", root).exit_code == 0
    crashed(root, "case-000", accepted_causes=("oom_killed",))
    changed = told("run", "--root", root)
    assert (changed.exit_code, "has other content of case-000" in changed.output) == (2, True)
    crashed(root, "case-100")
    assert "lacks case-100" in told("run", "--root", root, "--cases", "case-100").output
    assert smith.experiments == []


@pytest.mark.parametrize("arguments", [("upload",), ("run",)])
def test_without_a_key_nothing_is_sent(
    smith: LangSmith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.delenv("LANGSMITH_API_KEY")
    store(tmp_path / "cases")
    done = told(*arguments, "--root", tmp_path / "cases")
    assert (done.exit_code, "no key is set, and nothing was sent" in done.output) == (2, True)
    assert smith.ingest.paths == []


@pytest.mark.parametrize("arguments", [("upload",), ("run",)])
def test_a_server_that_is_not_there_is_told_in_words(
    smith: LangSmith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    from langsmith import utils

    monkeypatch.setenv("LANGSMITH_ENDPOINT", "http://127.0.0.1:1")
    utils.get_env_var.cache_clear()
    store(tmp_path / "cases")
    done = told(*arguments, "--root", tmp_path / "cases")
    assert (done.exit_code, "LangSmith: " in done.output) == (1, True)
    assert "Traceback" not in done.output


def test_what_does_not_arrive_is_said(smith: LangSmith, tmp_path: Path) -> None:
    root = tmp_path / "cases"
    store(root)
    assert told("upload", "--root", root).exit_code == 0
    smith.refuses_runs = True
    done = told("run", "--root", root)
    assert (done.exit_code, "did not arrive at LangSmith" in done.output) == (1, True)


def test_the_offline_client_raises_rather_than_ask_anybody(smith: LangSmith) -> None:
    client = OfflineClient()
    with pytest.raises(Offline):
        client.create_dataset("x")
    client.create_run("x", {}, "chain")
    client.close()
    assert smith.ingest.paths == []

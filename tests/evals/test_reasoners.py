"""Who is measured, what it takes, and the three that know nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.reasoning.ledger import MemoryLedger
from evals.baselines import BASELINES
from evals.case import Case
from evals.reasoners import Choice, NoModel, choose, heal_settings, make
from evals.running import evaluate
from server.settings import LlmSettings
from server.settings_errors import ConfigError
from tests.evals.made_cases import crashed, dark, healthy


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "SELFHEAL_CONFIG", "SELFHEAL_LLM"):
        monkeypatch.delenv(name, raising=False)


def test_the_runbook_needs_nothing_and_asks_for_nothing_beyond_what_is_gathered() -> None:
    choice = choose("runbook")
    assert (choice.label, choice.measures_a_model, heal_settings(choice).inquiries.calls) == ("runbook", False, 0)
    assert make(choice, MemoryLedger()).name == "runbook"


@pytest.mark.parametrize("name", ["llm", "fallback"])
def test_a_model_that_is_not_set_is_an_error_that_says_how_to_set_one(name: str) -> None:
    with pytest.raises(NoModel, match="OPENAI_API_KEY") as error:
        choose(name)
    assert "--base-url" in str(error.value) and "llm" in str(error.value)


def test_a_key_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-something")
    choice = choose("llm")
    assert choice.label == "llm:gpt-4.1" and choice.measures_a_model
    assert "sk-something" not in repr(choice)


def test_an_address_alone_is_enough() -> None:
    choice = choose("fallback", model="tiny", base_url="http://127.0.0.1:9/v1")
    assert choice.label == "fallback:tiny"
    assert heal_settings(choice).inquiries.calls == 6


def test_the_settings_say_which_model_and_the_command_overrules_them(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text("llm: {model: big, base_url: 'http://127.0.0.1:9/v1', investigate: {calls: 2}}\n")
    assert choose("llm", file).label == "llm:big"
    assert heal_settings(choose("llm", file)).inquiries.calls == 2
    assert choose("llm", file, model="small").label == "llm:small"


def test_variables_make_settings_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_LLM", '{"model": "near", "base_url": "http://127.0.0.1:9/v1"}')
    assert choose("llm").label == "llm:near"


def test_a_model_at_openai_without_a_key_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text("llm: {model: big}\n")
    with pytest.raises(NoModel, match="wants a key"):
        choose("llm", file)


def test_settings_that_are_not_there_and_names_that_nobody_has_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        choose("llm", tmp_path / "none.yaml")
    with pytest.raises(ValueError, match="always-restart"):
        choose("oracle")


def test_the_days_budget_of_production_does_not_end_a_measurement() -> None:
    llm = LlmSettings(model="m", base_url="http://127.0.0.1:9/v1")
    reasoner = make(Choice("llm", llm), MemoryLedger())
    limits = reasoner._first.budget.limits  # type: ignore[attr-defined]
    assert (limits.day_calls, limits.day_tokens, limits.incident_calls) == (None, None, 24)


def test_only_a_scripted_server_is_asked_at_an_address_a_case(tmp_path: Path) -> None:
    llm = LlmSettings(model="m", base_url="http://127.0.0.1:9")
    case = crashed(tmp_path)
    assert Choice("llm", llm).of(case) == Choice("llm", llm)
    found = Choice("llm", llm, scripted="right").of(case).llm
    assert found is not None and found.base_url == "http://127.0.0.1:9/case-001/v1"


def came_of(name: str, case: Case) -> tuple[str, tuple[str, ...], bool]:
    [found] = evaluate([case], Choice(name)).cases
    return found.runs[0].suspected_cause, found.runs[0].actions, found.passed


def test_always_unknown_passes_only_where_nobody_can_know(tmp_path: Path) -> None:
    assert came_of("always-unknown", crashed(tmp_path)) == ("unknown", (), False)
    assert came_of("always-unknown", healthy(tmp_path)) == ("unknown", (), False)
    assert came_of("always-unknown", dark(tmp_path)) == ("unknown", (), True)


def test_always_restart_restarts_and_fails_for_want_of_proof(tmp_path: Path) -> None:
    cause, actions, passed = came_of("always-restart", crashed(tmp_path))
    assert (cause == "unknown", actions, passed) == (False, ("restart_service",), False)
    [found] = evaluate([healthy(tmp_path)], Choice("always-restart")).cases
    assert found.forbidden == ("restart_service",)


def test_always_the_first_cause_says_what_is_declared_first(tmp_path: Path) -> None:
    cause, _, passed = came_of("always-the-first-cause", crashed(tmp_path))
    assert (cause, passed) == ("host_stopped", False)


def test_there_are_three_that_know_nothing() -> None:
    assert list(BASELINES) == ["always-unknown", "always-the-first-cause", "always-restart"]

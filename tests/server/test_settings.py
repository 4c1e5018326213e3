"""The settings file: what is read, and what is refused in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.settings import Settings, load, unknown_variables
from server.settings_errors import ConfigError

RESOURCE = "{id: a, kind: Instance, address: 10.0.0.5, ssh: {user: u, key_file: key, known_hosts: hosts}}"


@pytest.fixture(autouse=True)
def _no_inherited_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SELFHEAL_CONFIG", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def written(folder: Path, text: str) -> Path:
    file = folder / "selfheal.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def problem_with(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, text))
    return str(caught.value)


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    settings = load(written(tmp_path, ""))
    assert settings.listen.host == "127.0.0.1"
    assert settings.database_url == f"sqlite:///{tmp_path}/selfheal.db"
    assert settings.llm is None
    assert settings.operator.token_file == tmp_path / "operator.token"


def test_relative_paths_belong_to_the_folder_of_the_file(tmp_path: Path) -> None:
    text = f"policies: policies.json\nresources: [{RESOURCE}]\nnotify: {{url: 'http://n/x/', token_file: n.token}}"
    settings = load(written(tmp_path, text))
    ssh = settings.resources[0].ssh
    assert ssh is not None and ssh.key_file == str(tmp_path / "key") and ssh.known_hosts == str(tmp_path / "hosts")
    assert settings.policies == tmp_path / "policies.json"
    assert settings.notify is not None and settings.notify.token_file == tmp_path / "n.token"
    assert settings.notify.url == "http://n/x/"


def test_an_alertmanager_is_asked_only_where_it_is_set_and_silenced_only_where_that_is_wanted(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")).alertmanager is None
    given = "alertmanager: {url: 'http://am:9093/', user: us, password_file: am.password}"
    chosen = load(written(tmp_path, given)).alertmanager
    assert chosen is not None and chosen.url == "http://am:9093" and not chosen.silence
    assert (chosen.silence_minutes, chosen.password_file) == (10, tmp_path / "am.password")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("url: am:9093", "alertmanager.url: must be a URL"),
        ("url: 'http://am', user: us", "user and password_file belong together"),
        ("url: 'http://am', user: us, password_file: p, token_file: t", "not both"),
        ("url: 'http://am', silense: true", "alertmanager.silense: unknown key, did you mean `silence`?"),
        ("url: 'http://am', silence_minutes: 0", "alertmanager.silence_minutes"),
    ],
)
def test_a_wrong_alertmanager_is_refused_by_name(tmp_path: Path, given: str, said: str) -> None:
    assert said in problem_with(tmp_path, f"alertmanager: {{{given}}}")


def test_variables_win_over_the_file_also_for_one_nested_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_HEALING__SOAK_SECONDS", "5")
    monkeypatch.setenv("SELFHEAL_LLM__MODEL", "small")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    settings = load(written(tmp_path, "healing: {soak_seconds: 9, verify_timeout_seconds: 77}"))
    assert (settings.healing.soak_seconds, settings.healing.verify_timeout_seconds) == (5, 77)
    assert settings.llm is not None and settings.llm.model == "small"
    assert settings.llm.api_key is not None and "sk-very" not in repr(settings)


def test_a_block_in_the_file_can_be_switched_off_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_LLM", "null")
    assert load(written(tmp_path, "llm: {model: gpt}")).llm is None


def test_the_config_variable_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_CONFIG", str(written(tmp_path, "worker_concurrency: 3")))
    assert load().worker_concurrency == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("databse_url: sqlite:///x", "databse_url: unknown key, did you mean `database_url`?"),
        ("healing: {soak_second: 3}", "healing.soak_second: unknown key, did you mean `soak_seconds`?"),
        ("listen: {port: 99999}", "listen.port: "),
        ("listen: {port: http}", "(given: 'http')"),
        ("prometheus: {url: 'localhost:9090'}", "prometheus.url: must be a URL"),
        ("llm: {base_url: 'http://x'}", "llm.model: missing: add it"),
        ("database_url: mysql://x", "database_url: must name a file, e.g. sqlite:///"),
        ("database_url: sqlite://", "or postgresql://user@host/database"),
        ("policies: 5", "policies: must be a list of policies, or the path"),
        (f"resources: [{RESOURCE}, {RESOURCE}]", "resources[1] declares Instance/a again, after resources[0]"),
        ("resources: [{id: a, kind: Instance, address: x}]", "resources[0]: resource 'a': transport ssh needs"),
        (
            "resources: [{id: a, kind: Instance, adress: x}]",
            "resources[0].adress: unknown key, did you mean `address`?",
        ),
        (
            "resources: [{id: a, kind: I, address: x, ssh: {user: u, key_file: k, known_host: h}}]",
            "resources[0].ssh.known_host: unknown key, did you mean `known_hosts`?",
        ),
        ("healing: {soak_seconds: 60, verify_timeout_seconds: 60}", "verify_timeout_seconds (60) must exceed soak"),
        ("listen: {port: 1}\nlisten: {port: 2}", "line 2, column 1: key 'listen' is given twice"),
        ("a: [", "line "),
        ("- a", "must hold keys and values, found a list"),
    ],
)
def test_a_wrong_key_is_refused_naming_it_and_the_remedy(tmp_path: Path, text: str, said: str) -> None:
    assert said in problem_with(tmp_path, text)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    message = problem_with(tmp_path, "wrong: 1\nworker_concurrency: 0")
    assert "wrong" in message and "worker_concurrency" in message


def test_a_missing_file_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"copy selfheal\.example\.yaml"):
        load(tmp_path / "absent.yaml")


def test_a_misspelt_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_HEELING__SOAK_SECONDS", "1")
    assert "SELFHEAL_HEELING__SOAK_SECONDS" in unknown_variables()


def test_the_cli_reaches_a_server_that_listens_everywhere_over_loopback() -> None:
    assert Settings.model_validate({"listen": {"host": "0.0.0.0", "port": 1}}).server_url == "http://127.0.0.1:1"
    assert Settings.model_validate({"listen": {"host": "::1", "port": 1}}).server_url == "http://[::1]:1"


def test_the_example_file_is_valid() -> None:
    example = Path(__file__).parents[2] / "selfheal.example.yaml"
    settings = load(example)
    assert settings.resources and settings.policies

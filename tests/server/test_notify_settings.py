"""Who is told is checked at the start, and no message about it shows a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from server import exits
from server.cli import run
from server.notify_settings import NotifySettings
from server.notify_targets import make_directory
from server.preflight import prepare
from server.settings import load
from server.settings_errors import ConfigError
from tests.server.notified import Chat, chat

SECRET = "Sup3rS3cretPath"
GOOD = {"name": "oncall", "url": f"json://127.0.0.1:9/{SECRET}"}


def written(folder: Path, notify: Any, **more: Any) -> Path:
    file = folder / "selfheal.yaml"
    file.write_text(yaml.safe_dump({"notify": notify, **more}))
    return file


@pytest.mark.parametrize(
    ("notify", "said"),
    [
        ({"targets": [GOOD, GOOD]}, "two are named 'oncall'"),
        ({"targets": [{**GOOD, "name": "on call"}]}, "notify.targets[0].name: must be letters"),
        ({"targets": [{**GOOD, "name": "webhook"}]}, "which notify.url is"),
        ({"targets": [{**GOOD, "events": ["escalate"]}]}, "notify.targets[0].events[0]"),
        ({"targets": [{"name": "a"}]}, "give either url, or url_file"),
        ({"targets": [{**GOOD, "url_file": "x"}]}, "give either url, or url_file"),
        ({"targets": [{**GOOD, "URL": SECRET}]}, "notify.targets[0].URL: unknown key"),
        ({"targets": [GOOD], "chain": [{"to": ["oncall"]}]}, "notify.chain[0].after_minutes: missing"),
        (
            {"targets": [GOOD], "chain": [{"after_minutes": 0, "to": ["oncal"]}]},
            "chain[0].to: no target is named 'oncal', did you mean 'oncall'?",
        ),
        (
            {
                "targets": [GOOD],
                "chain": [{"after_minutes": 5, "to": ["oncall"]}, {"after_minutes": 5, "to": ["oncall"]}],
            },
            "after_minutes must grow",
        ),
        ({"chain": [{"after_minutes": 0, "to": ["webhook"]}]}, "no target is named 'webhook'"),
        ({"url": f"ftp://chat.example.com/{SECRET}"}, "notify.url: must be a URL"),
        ({"link_base": "selfheal.example.com"}, "notify.link_base: must be a URL"),
        ({"targets": [{"name": "a", "url": ["x", SECRET]}]}, "notify.targets[0].url"),
        ({"targets": [{"name": "a", "url": 5555444433332222}]}, "notify.targets[0].url"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(tmp_path: Path, notify: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, notify))
    assert said in str(caught.value)
    assert SECRET not in str(caught.value) and "5555444433332222" not in str(caught.value)


@pytest.mark.parametrize("url", [f"nonsense://{SECRET}", f"slack://{SECRET}", SECRET])
def test_a_url_apprise_does_not_know_stops_the_start(tmp_path: Path, url: str) -> None:
    settings = load(written(tmp_path, {"targets": [{"name": "oncall", "url": url}]}))
    with pytest.raises(ConfigError, match=r"targets\[0\] \(oncall\): .* is no URL that apprise understands") as caught:
        prepare(settings)
    assert SECRET not in str(caught.value)


def test_a_kind_that_there_is_not_stops_the_start(tmp_path: Path) -> None:
    settings = load(written(tmp_path, {"targets": [{**GOOD, "kinds": ["Instanz"]}]}))
    with pytest.raises(ConfigError, match=r"targets\[0\].kinds: unknown kind 'Instanz', did you mean 'Instance'"):
        prepare(settings)


def test_settings_show_no_url(tmp_path: Path) -> None:
    settings = load(written(tmp_path, {"targets": [GOOD]}))
    assert SECRET not in repr(settings) and SECRET not in str(settings.notify)


def test_a_url_may_be_in_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "oncall.url").write_text(f"json://127.0.0.1:9/{SECRET}\n")
    settings = load(written(tmp_path, {"targets": [{"name": "oncall", "url_file": "oncall.url"}]}))
    assert "oncall" in make_directory(settings.notify).notifiers


@pytest.mark.parametrize(("content", "said"), [(None, "can't be read"), ("", "is empty")])
def test_a_file_without_a_url_is_told(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "oncall.url").write_text(content)
    settings = load(written(tmp_path, {"targets": [{"name": "oncall", "url_file": "oncall.url"}]}))
    with pytest.raises(ConfigError, match=said):
        make_directory(settings.notify)


def test_the_plain_webhook_works_as_it_did(tmp_path: Path) -> None:
    settings = load(written(tmp_path, {"url": "http://127.0.0.1:9/x", "token_file": "n.token"}))
    assert settings.notify == NotifySettings(url="http://127.0.0.1:9/x", token_file=tmp_path / "n.token")


def test_links_lead_to_where_people_reach_the_server(tmp_path: Path) -> None:
    assert load(written(tmp_path, {})).public_url == "http://127.0.0.1:8780"
    assert load(written(tmp_path, {"link_base": "https://heal.example.com/"})).public_url == "https://heal.example.com"


def configured(folder: Path, *there: Chat) -> str:
    targets = [{"name": f"t{index}", "url": each.url(path=SECRET)} for index, each in enumerate(there)]
    return str(written(folder, {"targets": targets}))


def test_a_test_notice_reaches_every_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with chat() as one, chat() as two:
        assert run(["notify", "test", "--config", configured(tmp_path, one, two)]) == exits.OK
        assert one.titles == two.titles == ["Self-Heal: test notice"]
        assert run(["notify", "test", "t1", "--config", configured(tmp_path, one, two)]) == exits.OK
        assert (len(one.titles), len(two.titles)) == (1, 2)
    assert "t0: took the test notice" in capsys.readouterr().out


def test_a_target_that_takes_no_test_is_an_error_and_the_others_are_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chat(500) as one, chat() as two:
        assert run(["notify", "test", "--json", "--config", configured(tmp_path, one, two)]) == exits.ERROR
        assert len(two.titles) == 1
    told = capsys.readouterr().out
    assert [item["taken"] for item in json.loads(told)] == [False, True] and SECRET not in told


@pytest.mark.parametrize(("notify", "said"), [({"targets": [GOOD]}, "no target is named 'nobody'"), ({}, "nobody is")])
def test_a_test_of_nobody_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], notify: Any, said: str
) -> None:
    assert run(["notify", "test", "nobody", "--config", str(written(tmp_path, notify))]) == exits.USAGE
    assert said in capsys.readouterr().err


def test_the_doctor_says_which_targets_are_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notify = {"targets": [GOOD, {"name": "lead", "url": f"slack://{SECRET}"}]}
    config = written(tmp_path, notify, prometheus={"url": "http://127.0.0.1:9"})
    assert run(["doctor", "--json", "--config", str(config)]) == exits.ERROR
    told = capsys.readouterr().out
    checks = {item["subject"]: item["status"] for item in json.loads(told)}
    assert (checks["notify oncall"], checks["notify lead"]) == ("ok", "fail") and SECRET not in told

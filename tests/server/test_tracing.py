"""What leaves for LangSmith while a heal runs: nothing unless asked for, no secrets ever, and no heal minds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from evals.openai_server import answer, serving
from server.settings import Settings
from server.tracing import langsmith_asked_for, tracing
from server.wiring import open_tools
from tests.server.ingest import Behaviour, Ingest, ingesting
from tests.server.traced import SECRETS, LeakyStory, mitigated

DIAGNOSIS: dict[str, Any] = {
    "suspected_cause": "crashed",
    "summary": "web crashed",
    "confidence": 0.8,
    "evidence_ids": ["E1"],
    "ruled_out": {},
    "target": "web",
}
SWITCHES = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2")


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """No variable of LangSmith's is set, and what it remembers of them is forgotten, before and after."""
    for name in SWITCHES:
        monkeypatch.delenv(name, raising=False)
    _forget()
    yield monkeypatch
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    import langsmith
    from langsmith import utils

    utils.get_env_var.cache_clear()
    utils.get_tracer_project.cache_clear()
    langsmith.configure(client=None, enabled=None)


def within_reach(monkeypatch: pytest.MonkeyPatch, ingest: Ingest, switch: str | None = "LANGSMITH_TRACING") -> None:
    monkeypatch.setenv("LANGSMITH_ENDPOINT", ingest.url)
    monkeypatch.setenv("LANGSMITH_API_KEY", "ls-key")
    monkeypatch.setenv("LANGSMITH_PROJECT", "healing")
    if switch is not None:
        monkeypatch.setenv(switch, "true")
    _forget()


@pytest.mark.parametrize("compressed", [True, False], ids=["zstd", "plain"])
async def test_a_traced_heal_arrives_with_what_it_is_found_by_and_without_secrets(
    unset: pytest.MonkeyPatch, compressed: bool
) -> None:
    with ingesting(compressed=compressed) as ingest, serving(answer(DIAGNOSIS)) as model:
        within_reach(unset, ingest)
        story = LeakyStory(model)
        async with tracing():
            end = await story.heal()
    assert mitigated(end)
    assert ingest.paths and all(path.startswith("/runs") for path in ingest.paths)
    assert ("zstd" in ingest.encodings) == compressed
    told = ingest.text
    for where, secret in SECRETS.items():
        assert secret not in told, f"the secret of the {where} arrived"
    for expected in (
        '"incident_id":"0190d0a0-0000-7000-8000-000000000001"',
        *('"incident_number":1', '"kind":"Instance"', '"attempt":1', "heal Instance", "healing"),
        *("gather_context", "diagnose", "ChatOpenAI", "web crashed", "[redacted]", "login failed"),
    ):
        assert expected in told, f"{expected} did not arrive"


async def test_a_heal_that_ends_in_an_exception_is_traced_without_what_it_quotes(unset: pytest.MonkeyPatch) -> None:
    with ingesting() as ingest:
        within_reach(unset, ingest)
        story = LeakyStory()

        async def broken(incident_id: str) -> None:
            raise RuntimeError(f"no connection to redis://:{SECRETS['raised']}@cache")

        story.directives.stop = broken  # type: ignore[method-assign]
        async with tracing():
            with pytest.raises(RuntimeError):
                await story.heal()
    assert "no connection to redis" in ingest.text
    assert "Traceback" in ingest.text
    for secret in SECRETS.values():
        assert secret not in ingest.text


@pytest.mark.parametrize("behaviour", ["fails", "refuses", "hangs"])
async def test_a_heal_does_not_mind_a_server_that(unset: pytest.MonkeyPatch, behaviour: Behaviour) -> None:
    with ingesting(behaviour) as ingest:
        within_reach(unset, ingest)
        story = LeakyStory()
        async with tracing():
            assert mitigated(await story.heal())


async def test_a_heal_does_not_mind_a_server_that_is_not_there(
    unset: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with ingesting() as ingest:
        pass
    within_reach(unset, ingest)
    story = LeakyStory()
    async with tracing():
        assert mitigated(await story.heal())
    said = [record.message for record in caplog.records if f"{ingest.url}/runs" in record.message]
    assert len(said) == 1


async def test_nothing_is_sent_where_no_variable_asks_for_it(unset: pytest.MonkeyPatch) -> None:
    with ingesting() as ingest, serving(answer(DIAGNOSIS)) as model:
        within_reach(unset, ingest, switch=None)
        story = LeakyStory(model)
        async with tracing():
            assert mitigated(await story.heal())
    assert ingest.paths == []


async def test_nothing_is_sent_after_the_end_of_tracing(unset: pytest.MonkeyPatch) -> None:
    with ingesting() as ingest:
        within_reach(unset, ingest)
        async with tracing():
            pass
        before = len(ingest.paths)
        assert mitigated(await LeakyStory().heal())
        assert len(ingest.paths) == before


async def test_nothing_is_sent_bare_where_langsmiths_variables_make_no_sense(
    unset: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with ingesting() as ingest:
        within_reach(unset, ingest)
        unset.setenv("LANGSMITH_TRACING_SAMPLING_RATE", "often")
        _forget()
        async with tracing():
            assert mitigated(await LeakyStory().heal())
    assert ingest.paths == []
    assert "nothing is traced" in caplog.text


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_of_langsmiths_switches_counts_as_it_does_for_langgraph(unset: pytest.MonkeyPatch, switch: str) -> None:
    from langsmith.utils import tracing_is_enabled

    for value, on in (("true", True), ("false", False), ("1", False), ("", False)):
        unset.setenv(switch, value)
        _forget()
        assert (langsmith_asked_for(), bool(tracing_is_enabled())) == (on, on)


async def test_what_serve_heal_and_studio_open_is_traced(unset: pytest.MonkeyPatch) -> None:
    settings = Settings.model_validate({"prometheus": {"url": "http://127.0.0.1:1"}})
    with ingesting() as ingest:
        within_reach(unset, ingest)
        async with open_tools(settings):
            assert mitigated(await LeakyStory().heal())
    assert "heal Instance" in ingest.text
    assert not any(secret in ingest.text for secret in SECRETS.values())

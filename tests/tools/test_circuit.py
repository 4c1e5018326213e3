"""Circuit breakers: who is turned away, for how long, and who never is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from graph.doing import Purpose, on_behalf_of
from graph.errors import PermanentError, TemporaryError
from graph.records import Resource
from graph.resources import Database, Engine
from tests.tools.http_faults import answering, closed_port, faulty_server
from tools.clients.alertmanager import AlertmanagerClient
from tools.clients.circuit import COOL_DOWNS, FAILURES, LONGEST, Circuits, NotAsked, Verdict
from tools.clients.databases import DatabaseUnreachable, make_databases

AWAY = TemporaryError("connection refused")


class Target:
    """A target that answers what it is told to, asked through circuits whose time is moved by hand."""

    def __init__(self) -> None:
        self.at, self.asked = 1000.0, 0
        self.circuits = Circuits(lambda: self.at, lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.at))

    async def ask(
        self, answer: Exception | str | Callable[[], Awaitable[str]] = AWAY, purpose: Purpose | None = None
    ) -> str:
        async def call() -> str:
            self.asked += 1
            if isinstance(answer, Exception):
                raise answer
            return answer if isinstance(answer, str) else await answer()

        with on_behalf_of("i-1", purpose) if purpose else contextlib.nullcontext():
            return await self.circuits.ask("prometheus", "http://p", call, verdict)

    async def fails(self, times: int = FAILURES, error: Exception = AWAY) -> None:
        for _ in range(times):
            with pytest.raises(type(error)) as caught:
                await self.ask(error, "action")
            assert caught.value is error

    async def refused(self, purpose: Purpose | None = None) -> NotAsked:
        before = self.asked
        with pytest.raises(NotAsked) as caught:
            await self.ask("well", purpose)
        assert self.asked == before
        return caught.value


def verdict(error: Exception) -> Verdict:
    if isinstance(error, TemporaryError):
        return "failed"
    return "answered" if isinstance(error, PermanentError) else "unknown"


@pytest.fixture
def target() -> Target:
    return Target()


async def test_what_failed_often_enough_is_not_asked_and_says_why_and_until_when(target: Target) -> None:
    await target.fails()
    refused = await target.refused()
    assert isinstance(refused, TemporaryError) and refused.last is AWAY
    assert str(refused) == (
        "not asked: prometheus http://p failed 5 times in a row, last: connection refused; tried again at 00:16:45"
    )


async def test_a_failure_less_is_not_enough_and_an_answer_starts_the_count_anew(target: Target) -> None:
    await target.fails(FAILURES - 1)
    assert await target.ask("well") == "well"
    await target.fails(FAILURES - 1)
    assert await target.ask("well") == "well"


async def test_a_refusal_is_an_answer_and_an_error_of_ours_says_nothing(target: Target) -> None:
    await target.fails(FAILURES - 1)
    await target.fails(1, ValueError("ours"))
    await target.fails(1)
    await target.refused()
    target.at += COOL_DOWNS[0]
    with pytest.raises(PermanentError):
        await target.ask(PermanentError("no such query"))
    assert await target.ask("well") == "well"


async def test_every_trial_that_fails_is_followed_by_a_longer_rest_of_a_minute_at_most(target: Target) -> None:
    await target.fails()
    for rest in (*COOL_DOWNS, COOL_DOWNS[-1]):
        target.at += rest - 0.1
        await target.refused()
        target.at += 0.1
        with pytest.raises(TemporaryError, match=r"^connection refused"):
            await target.ask()
    assert COOL_DOWNS[-1] <= 60
    target.at += COOL_DOWNS[-1]
    assert await target.ask("well") == "well"
    assert target.circuits.open() == []


async def test_who_comes_during_the_trial_waits_for_it_and_shares_its_end(target: Target) -> None:
    for well in (False, True):
        await target.fails()
        target.at += 60
        released = asyncio.Event()

        async def trial(released: asyncio.Event = released, well: bool = well) -> str:
            await released.wait()
            if not well:
                raise AWAY
            return "well"

        tried = asyncio.create_task(target.ask(trial))
        await asyncio.sleep(0)
        before = target.asked
        others = [asyncio.create_task(target.ask("well")) for _ in range(3)]
        await asyncio.sleep(0)
        assert target.asked == before
        released.set()
        ends = await asyncio.gather(tried, *others, return_exceptions=True)
        assert all(end == "well" for end in ends) if well else all(isinstance(end, TemporaryError) for end in ends)
        assert target.asked == before + (3 if well else 0)


async def test_a_trial_that_is_given_up_leaves_the_next_one_to_another(target: Target) -> None:
    await target.fails()
    target.at += 60
    tried = asyncio.create_task(target.ask(asyncio.Event().wait))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    other = asyncio.create_task(target.ask("well"))
    await asyncio.sleep(0)
    tried.cancel()
    assert await other == "well"


@pytest.mark.parametrize("purpose", ["precondition", "baseline", "action", "probe"])
async def test_what_acts_always_asks(target: Target, purpose: Purpose) -> None:
    await target.fails()
    await target.refused()
    assert await target.ask("well", purpose) == "well"
    assert await target.ask("well") == "well"


@pytest.mark.parametrize("purpose", ["evidence", "verification"])
async def test_a_heal_is_turned_away_for_a_shorter_time_than_what_is_no_heal(target: Target, purpose: Purpose) -> None:
    await target.fails()
    for _ in range(3):
        target.at += 60
        with pytest.raises(TemporaryError):
            await target.ask()
    target.at += LONGEST[purpose] - 0.1
    await target.refused(purpose)
    target.at += 0.1
    await target.refused()
    assert await target.ask("well", purpose) == "well"
    assert LONGEST["evidence"] <= LONGEST["verification"] <= 10


async def test_a_sign_of_life_lets_the_next_one_try_at_once(target: Target) -> None:
    await target.fails()
    await target.refused()
    target.circuits.may_be_back("prometheus", "http://p")
    assert await target.ask("well") == "well"


async def test_one_target_never_stands_for_another(target: Target) -> None:
    await target.fails()
    target.circuits.check("prometheus", "http://q")
    target.circuits.check("ssh", "http://p")
    with pytest.raises(NotAsked):
        target.circuits.check("prometheus", "http://p")
    [shown] = target.circuits.open()
    assert (shown.kind, shown.target, shown.failures, shown.last) == ("prometheus", "http://p", 5, str(AWAY))
    assert target.circuits.counts() == {"ssh": 0, "prometheus": 1, "alertmanager": 0, "provider": 0, "database": 0}


# -- at the sockets of each client that is tested nowhere else ---------------------------------------------------


async def test_alertmanager_is_left_alone_after_it_failed_again_and_again() -> None:
    with faulty_server(answering(503, "no")) as server:
        client = AlertmanagerClient(server.url)
        for _ in range(FAILURES + 2):
            with pytest.raises(TemporaryError) as caught:
                await client.silences()
        await client.close()
    assert len(server.asked) == FAILURES
    assert str(caught.value).startswith(f"not asked: alertmanager {server.url} failed 5 times in a row, last: ")


@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
async def test_a_database_that_refuses_is_told_as_refusing_though_it_is_not_asked_any_more(engine: Engine) -> None:
    database = Database(engine=engine, cluster="c", role="primary", port=closed_port(), user="selfheal")
    resource = Resource(id="db-1", kind="Database", address="127.0.0.1", transport="none", database=database)
    circuits = Circuits()
    client = make_databases(circuits=circuits)[engine]
    for _ in range(FAILURES):
        with pytest.raises(DatabaseUnreachable) as caught:
            await client.status(resource)
        assert caught.value.how == "refused" and "not asked" not in str(caught.value)
    with pytest.raises(DatabaseUnreachable, match="not asked: database 127") as caught:
        await client.status(resource)
    assert (caught.value.how, caught.value.sent) == ("refused", False)
    with on_behalf_of("i-1", "precondition"), pytest.raises(DatabaseUnreachable) as caught:
        await client.status(resource)
    assert "not asked" not in str(caught.value), "nobody is taken for lost who was not asked just now"

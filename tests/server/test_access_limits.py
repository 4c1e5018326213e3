"""Wrong sign-ins: counted by name and address, for ever longer waits, whoever knows the name or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from argon2 import PasswordHasher, extract_parameters

from server.access.limits import FREE_BY_ADDRESS, FREE_BY_NAME, Count, address_key, counted, wait_seconds
from server.access.secrets import Passwords
from server.access.settings import AccessSettings
from server.services import Services
from server.store import Store
from tests.server.people import PASSWORD, USERS, Browser, log_of, with_people


@pytest.fixture
def clock() -> list[datetime]:
    return [datetime(2026, 1, 1, tzinfo=UTC)]


@pytest_asyncio.fixture
async def services(tmp_path: Path, clock: list[datetime]) -> AsyncIterator[Services]:
    made = with_people(tmp_path)
    await reopen(made, clock)
    yield made
    await made.store.close()


async def reopen(services: Services, clock: list[datetime]) -> None:
    await services.store.close()
    services.store = Store.open(services.settings.database_url, now=lambda: clock[0])


def test_waits_double_and_are_forgotten_after_quiet() -> None:
    count, now, waits = Count(), 0.0, []
    for _ in range(14):
        count = counted(count, 5, now)
        waits.append(wait_seconds(count, now))
        now += waits[-1] + 1
    assert waits == [0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900, 900, 900, 900]
    assert counted(count, 5, count.until + 299).failures == 15
    assert counted(count, 5, count.until + 301).failures == 1


def test_an_address_counts_by_what_its_holder_has_plenty_of() -> None:
    assert address_key("2001:db8:1:2:3::4") == address_key("2001:db8:1:2:ffff::1") != address_key("2001:db8:1:3::4")
    assert address_key("192.0.2.1") == address_key("::ffff:192.0.2.1") != address_key("192.0.2.2")
    assert address_key("") == "address:" and address_key("fe80::1%eth0") == "address:fe80::/64"


async def test_after_five_wrong_passwords_even_the_right_one_waits_from_anywhere_and_after_a_restart(
    services: Services, clock: list[datetime]
) -> None:
    for number in range(FREE_BY_NAME):
        assert (await Browser.of(services, f"192.0.2.{number}").sign_in("ann", "wrong")).status_code == 401
    answer = await Browser.of(services, "192.0.2.99").sign_in("ann")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "31")
    assert 'role="alert"' in answer.text and "try again in 31 seconds" in answer.text
    assert (await Browser.of(services, "192.0.2.99").sign_in("vera")).status_code == 303
    await reopen(services, clock)
    assert (await Browser.of(services).sign_in("ann")).status_code == 429
    clock[0] += timedelta(seconds=31)
    assert (await Browser.of(services).sign_in("ann")).status_code == 303
    failures = await log_of(services, "sign_in_failed")
    assert len(failures) == FREE_BY_NAME
    assert failures[0]["who"] == "ann" and failures[0]["detail"]["locked_seconds"] == 30
    assert failures[0]["detail"]["address"] == f"192.0.2.{FREE_BY_NAME - 1}"


async def test_an_address_that_tries_many_names_waits_for_all_of_them(services: Services) -> None:
    for number in range(FREE_BY_ADDRESS):
        answer = await Browser.of(services).sign_in(f"name{number}", "wrong")
        assert answer.status_code == 401
    assert (await Browser.of(services).sign_in("ann")).status_code == 429
    assert (await Browser.of(services).http.get("/login")).status_code == 200
    assert (await Browser.of(services, "192.0.2.8").sign_in("ann")).status_code == 303


async def test_guesses_at_the_same_moment_are_all_counted(services: Services) -> None:
    answers = await asyncio.gather(*(Browser.of(services).sign_in("ann", f"wrong{i}") for i in range(15)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(401) == FREE_BY_NAME and statuses.count(429) == 15 - FREE_BY_NAME


async def test_who_signs_in_rightly_is_never_made_to_wait(services: Services) -> None:
    for _ in range(2 * FREE_BY_ADDRESS):
        assert (await Browser.of(services).sign_in("ann")).status_code == 303


async def test_a_right_password_forgives_the_wrong_ones_of_that_name(services: Services) -> None:
    for _ in range(3):
        for _ in range(FREE_BY_NAME - 1):
            assert (await Browser.of(services).sign_in("ann", "wrong")).status_code == 401
        assert (await Browser.of(services).sign_in("ann")).status_code == 303


async def test_a_name_that_nobody_has_is_answered_alike_and_not_written_down(services: Services) -> None:
    known = await Browser.of(services).sign_in("ann", "wrong")
    for name in ("nobody", PASSWORD, "", "ann\n", "x" * 5_000, "\udcff"):
        browser = Browser.of(services)
        unknown = await browser.http.post("/login", data={"name": name.encode("utf-8", "replace"), "password": "wrong"})
        if name.strip() != "ann":
            assert (unknown.status_code, unknown.text) == (known.status_code, known.text), name
    told = str(await log_of(services, "sign_in_failed"))
    assert "unknown" in told and PASSWORD not in told and "xxx" not in told


async def test_a_name_that_nobody_has_costs_a_verification_too() -> None:
    users = AccessSettings.model_validate({"users": USERS}).users
    passwords = Passwords(users)
    assert await passwords.right("ann", PASSWORD)
    assert not await passwords.right("nobody", PASSWORD)
    theirs = extract_parameters(passwords._hashes["ann"])
    assert extract_parameters(passwords._nobody) == theirs  # as dear as theirs
    passwords.close()


async def test_where_nobody_has_a_password_a_verification_costs_what_it_does_by_default() -> None:
    passwords = Passwords(())
    assert not await passwords.right("nobody", PASSWORD)
    assert extract_parameters(passwords._nobody) == extract_parameters(PasswordHasher().hash(PASSWORD))
    passwords.close()


@pytest.mark.parametrize("password", ["", "x" * 100_000, "\udcff", "correct horse batterx"])
async def test_a_wrong_password_is_wrong_whatever_it_is_made_of(password: str) -> None:
    passwords = Passwords(AccessSettings.model_validate({"users": USERS}).users)
    assert not await passwords.right("ann", password)
    passwords.close()

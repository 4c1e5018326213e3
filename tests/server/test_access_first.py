"""The first start: nobody is configured, and one token is good once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from server.access.login_routes import sign_in_link
from server.app import create_app
from server.services import Services
from server.store import Store
from tests.server.people import USERS, Browser, fields, log_of
from tests.server.web import load_fakes, make_services


class Starts:
    """Starts of one server on one database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.at = datetime(2026, 1, 1, tzinfo=UTC)
        self.services: Services = make_services(folder)

    async def start(self, **settings: Any) -> tuple[Any, str | None]:
        """The application of another start, and the token it announced."""
        await self.services.store.close()
        self.services = make_services(self.folder, **settings)
        await self.services.store.close()
        self.services.store = Store.open(self.services.settings.database_url, now=lambda: self.at)
        told: list[str] = []
        app = create_app(self.services, load_fakes, announce=told.append)
        async with app.router.lifespan_context(app):
            pass
        self.services.store = Store.open(self.services.settings.database_url, now=lambda: self.at)
        again = create_app(self.services, load_fakes)
        return again, told[0] if told else None


@pytest_asyncio.fixture
async def starts(tmp_path: Path) -> AsyncIterator[Starts]:
    made = Starts(tmp_path)
    yield made
    await made.services.store.close()


async def by_token(app: Any, token: str) -> tuple[Browser, int]:
    browser = Browser(app)
    return browser, (await browser.http.post("/login", data={"token": token})).status_code


async def test_the_first_start_makes_a_token_that_is_good_once(starts: Starts) -> None:
    app, token = await starts.start()
    assert token is not None and len(token) >= 43
    page = await Browser(app).http.get(sign_in_link("", token))
    assert fields(page.text) == {"name", "password", "token", "next"} and token in page.text
    browser, status = await by_token(app, token)
    assert status == 303
    pair = {"resource_kind": "Instance", "issue_type": "service_down"}
    answer = await browser.http.post("/api/policies/promote", json=pair, headers={"x-csrf-token": browser.csrf})
    assert answer.status_code not in (401, 403)
    assert (await by_token(app, token))[1] == 401
    [signed_in] = await log_of(starts.services, "sign_in")
    assert (signed_in["who"], signed_in["detail"]["role"]) == ("first-admin", "admin")
    [failed] = await log_of(starts.services, "sign_in_failed")
    assert "one-time token" in failed["detail"]["reason"]


async def test_only_its_hash_is_stored(starts: Starts, tmp_path: Path) -> None:
    _, token = await starts.start()
    await starts.services.store.close()
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("selfheal.db*"))  # noqa: ASYNC240
    assert token is not None and token.encode() not in kept


async def test_it_is_made_anew_until_somebody_is_signed_in_and_again_when_nobody_is_any_more(starts: Starts) -> None:
    _, first = await starts.start()
    app, second = await starts.start()
    assert first is not None and second is not None and first != second
    assert (await by_token(app, first))[1] == 401
    assert (await by_token(app, second))[1] == 303
    _, third = await starts.start()
    assert third is None
    starts.at += timedelta(hours=13)
    _, fourth = await starts.start()
    assert fourth is not None


async def test_it_is_good_for_a_day(starts: Starts) -> None:
    app, token = await starts.start()
    starts.at += timedelta(hours=24, seconds=1)
    assert token is not None and (await by_token(app, token))[1] == 401


async def test_with_somebody_configured_none_is_made_and_what_an_old_one_opened_is_shut(starts: Starts) -> None:
    app, token = await starts.start()
    assert token is not None
    browser, _ = await by_token(app, token)
    _, unused = await starts.start()
    assert unused is None
    app, none = await starts.start(access={"users": USERS})
    assert none is None
    again = Browser(app)
    again.http.cookies = browser.http.cookies
    assert (await again.http.get("/api/fleet")).status_code == 303
    assert (await by_token(app, token))[1] == 401


async def test_guessed_tokens_are_limited_by_address(starts: Starts) -> None:
    app, token = await starts.start()
    for number in range(20):
        assert (await by_token(app, f"guess{number}"))[1] == 401
    assert token is not None and (await by_token(app, token))[1] == 429

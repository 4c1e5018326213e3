"""Sessions: signing in and out, what a session may, and what ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from server.services import Services
from server.store import Store
from tests.server.people import APPROVER, CHEAP, PASSWORD, USERS, VIEWER, Browser, fields, log_of, with_people
from tests.server.web import TOKENS, make_services


@pytest_asyncio.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    made = with_people(tmp_path)
    yield made
    await made.store.close()


async def test_one_signs_in_by_password_and_out_again_and_both_are_on_record(services: Services) -> None:
    browser = Browser.of(services)
    page = await browser.http.get("/login?next=/api/fleet")
    assert page.status_code == 200 and fields(page.text) == {"name", "password", "next"}
    answer = await browser.sign_in(next="/api/fleet")
    assert (answer.status_code, answer.headers["location"]) == (303, "/api/fleet")
    assert (await browser.http.get("/api/fleet")).status_code == 200
    assert (await browser.post("/logout")).status_code == 303
    assert (await browser.http.get("/api/fleet", headers={"accept": "*/*"})).status_code == 401
    [entry] = await log_of(services, "sign_in")
    assert entry["who"] == "ann"
    assert entry["detail"] == {"role": "approver", "via": "password", "address": "192.0.2.7"}
    [entry] = await log_of(services, "sign_out")
    assert (entry["who"], entry["detail"]["address"]) == ("ann", "192.0.2.7")


async def test_what_a_session_decides_is_on_record_with_its_name_and_address(services: Services) -> None:
    browser = Browser.of(services)
    await browser.sign_in()
    asked = {"reason": "deploy"}
    answer = await browser.http.post("/api/pause", json=asked, headers={"x-csrf-token": browser.csrf})
    assert answer.status_code == 200
    [entry] = await log_of(services, "pause")
    assert (entry["who"], entry["detail"]["via"], entry["detail"]["address"]) == ("ann", "password", "192.0.2.7")


async def test_the_cookie_is_kept_from_scripts_and_other_sites_and_to_https_where_there_is_any(
    services: Services, tmp_path: Path
) -> None:
    plain = (await Browser.of(services).sign_in()).headers["set-cookie"]
    assert "HttpOnly" in plain and "SameSite=lax" in plain and "Path=/" in plain and "Secure" not in plain
    over = Browser.of(services)
    over.http.base_url = "https://selfheal"  # type: ignore[assignment]
    assert "Secure" in (await over.sign_in()).headers["set-cookie"]


async def test_only_the_hash_of_a_session_is_stored(services: Services, tmp_path: Path) -> None:
    browser = Browser.of(services)
    await browser.sign_in()
    assert browser.session is not None and len(browser.session) >= 43
    await services.store.close()
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("selfheal.db*"))  # noqa: ASYNC240
    assert browser.session.encode() not in kept and PASSWORD.encode() not in kept


async def test_a_session_without_its_csrf_token_changes_nothing(services: Services) -> None:
    browser, other = Browser.of(services), Browser.of(services)
    await browser.sign_in()
    await other.sign_in("root")
    for headers, form in (
        ({}, {"reason": "x"}),
        ({}, {"csrf_token": "", "reason": "x"}),
        ({}, {"csrf_token": other.csrf}),
        ({"x-csrf-token": other.csrf}, {}),
        ({"x-csrf-token": ""}, {"csrf_token": browser.csrf}),
    ):
        answer = await browser.http.post("/api/pause", data=form, headers=headers)
        assert (answer.status_code, answer.json()["field"]) == (403, "csrf_token"), (headers, form)
    answer = await browser.http.post("/api/pause", json={"csrf_token": browser.csrf})
    assert answer.status_code == 403
    assert await services.store.pauses() == []


async def test_a_form_whose_token_was_read_still_reaches_its_route(services: Services) -> None:
    browser = Browser.of(services)
    await browser.sign_in()
    answer = await browser.post("/api/pause", reason="x" * 5_000)
    assert answer.status_code == 422 and "csrf_token" not in answer.json()["field"], answer.text


async def test_a_form_beyond_the_limit_is_refused_whoever_sends_it(tmp_path: Path) -> None:
    services = make_services(tmp_path, access={"users": USERS}, limits={"max_body_bytes": 2_000})
    browser = Browser.of(services)
    await browser.sign_in()
    assert (await browser.post("/api/pause", reason="x" * 3_000)).status_code == 413
    assert (await Browser.of(services).sign_in(password="x" * 3_000)).status_code == 413
    await services.store.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://selfheal.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://selfheal"},
    ],
)
async def test_a_page_of_another_site_can_neither_act_nor_sign_anybody_in(
    services: Services, headers: dict[str, str]
) -> None:
    browser = Browser.of(services)
    assert (await browser.http.post("/login", data={"name": "ann"}, headers=headers)).status_code == 403
    await browser.sign_in()
    asked = {"csrf_token": browser.csrf}
    assert (await browser.http.post("/logout", data=asked, headers=headers)).status_code == 403
    own = {"origin": "http://selfheal", "sec-fetch-site": "same-origin"}
    assert (await browser.http.post("/logout", data=asked, headers=own)).status_code == 303


async def test_a_new_sign_in_ends_the_session_the_browser_had(services: Services) -> None:
    browser = Browser.of(services)
    await browser.sign_in("ann")
    first = browser.session
    await browser.sign_in("vera")
    assert browser.session != first
    stale = Browser.of(services)
    stale.http.cookies.set("selfheal_session", first or "")
    assert (await stale.http.get("/api/fleet")).headers["location"] == "/login?next=/api/fleet"


async def test_a_session_chosen_by_somebody_else_is_none(services: Services) -> None:
    browser = Browser.of(services)
    chosen = {"cookie": f"selfheal_session={'a' * 43}"}
    assert (await browser.http.get("/api/fleet", headers=chosen)).status_code == 303
    answer = await browser.http.post("/login", data={"name": "ann", "password": PASSWORD}, headers=chosen)
    assert answer.status_code == 303 and "a" * 43 not in answer.headers["set-cookie"]
    assert (await Browser.of(services).http.get("/api/fleet", headers=chosen)).status_code == 303


async def test_a_token_in_the_header_counts_and_not_the_session_beside_it(services: Services) -> None:
    browser = Browser.of(services)
    await browser.sign_in("root")
    for token, status in ((VIEWER, 403), (APPROVER, 200), ("wrong", 401)):
        answer = await browser.http.post("/api/pause", json={}, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == status, token


async def test_a_session_ends_by_its_time_and_by_idleness(tmp_path: Path) -> None:
    services = with_people(tmp_path, session_hours=8, idle_hours=1)
    at = [services.store._now()]
    await services.store.close()
    services.store = Store.open(services.settings.database_url, now=lambda: at[0])
    used, idle = Browser.of(services), Browser.of(services)
    await used.sign_in()
    await idle.sign_in()
    for _ in range(8):
        assert (await used.http.get("/api/fleet")).status_code == 200
        at[0] += timedelta(minutes=59)
    assert (await idle.http.get("/api/fleet")).status_code == 303
    assert (await used.http.get("/api/fleet")).status_code == 200
    at[0] += timedelta(minutes=30)
    assert (await used.http.get("/api/fleet")).status_code == 303
    await services.store.close()


@pytest.mark.parametrize(
    ("ann", "read", "write"),
    [
        ({**USERS[1], "role": "viewer"}, 200, 403),
        ({**USERS[1], "role": "admin"}, 200, 200),
        ({**USERS[1], "name": "anna"}, 401, 401),
        ({**USERS[1], "password_hash": CHEAP.hash("another password")}, 401, 401),
    ],
)
async def test_who_is_demoted_removed_or_given_another_password_loses_at_the_next_start(
    services: Services, tmp_path: Path, ann: dict[str, str], read: int, write: int
) -> None:
    browser = Browser.of(services)
    await browser.sign_in()
    await services.store.close()
    after = make_services(tmp_path, access={"users": [USERS[0], ann]})
    again = Browser.of(after)
    again.http.cookies, again.http.headers["accept"] = browser.http.cookies, "*/*"
    assert (await again.http.get("/api/fleet")).status_code == read
    answer = await again.http.post("/api/pause", json={}, headers={"x-csrf-token": browser.csrf})
    assert answer.status_code == write
    await after.store.close()


async def test_where_the_store_does_not_answer_no_session_lets_anybody_in(services: Services) -> None:
    browser = Browser.of(services)
    await browser.sign_in()
    await services.store.close()
    assert (await browser.http.get("/metrics")).status_code == 503
    operator = {"authorization": f"Bearer {TOKENS.operator}"}
    assert (await browser.http.get("/healthz", headers=operator)).status_code == 200

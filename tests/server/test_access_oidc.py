"""Single sign-on against a real provider on loopback, and against what broken and hostile ones send."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from server.services import Services
from tests.server.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider, openid_provider
from tests.server.people import USERS, Browser, log_of
from tests.server.web import make_services


@pytest.fixture
def provider() -> Iterator[OpenIdProvider]:
    with openid_provider() as made:
        yield made


def declared(provider: OpenIdProvider, **more: Any) -> dict[str, Any]:
    roles = {"ops": "approver", "bosses": "admin"}
    secret = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return {"issuer": provider.url, **secret, "roles": roles, **more}


@pytest_asyncio.fixture
async def services(tmp_path: Path, provider: OpenIdProvider) -> AsyncIterator[Services]:
    made = make_services(tmp_path, access={"users": USERS, "oidc": declared(provider)})
    yield made
    await made.store.close()


async def there(browser: Browser, next_path: str = "/api/fleet") -> httpx.Response:
    """Leave for the provider; its answer, which leads back."""
    left = await browser.http.get("/login/oidc", params={"next": next_path})
    assert left.status_code == 302, left.text
    async with httpx.AsyncClient() as outside:
        return await outside.get(left.headers["location"])


async def and_back(browser: Browser, next_path: str = "/api/fleet") -> httpx.Response:
    answer = await there(browser, next_path)
    return await browser.http.get(answer.headers["location"])


async def why_failed(services: Services) -> str:
    [entry] = await log_of(services, "sign_in_failed")
    assert entry["detail"]["address"] == "192.0.2.7"
    return str(entry["detail"]["reason"])


async def test_one_signs_in_at_the_provider_and_has_the_role_its_claims_give(
    services: Services, provider: OpenIdProvider
) -> None:
    browser = Browser.of(services)
    answer = await and_back(browser, "/api/fleet?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/api/fleet?x=1")
    paused = await browser.http.post("/api/pause", json={}, headers={"x-csrf-token": browser.csrf})
    assert paused.status_code == 200
    pair = {"resource_kind": "Instance", "issue_type": "service_down"}
    promote = await browser.http.post("/api/policies/promote", json=pair, headers={"x-csrf-token": browser.csrf})
    assert promote.status_code == 403
    [entry] = await log_of(services, "sign_in")
    assert entry["who"] == "otto"
    assert entry["detail"] == {"role": "approver", "subject": "user-1", "via": "oidc", "address": "192.0.2.7"}
    [asked] = provider.asked
    assert asked["redirect_uri"] == "http://selfheal/login/oidc/callback" and asked["scope"] == "openid profile email"


async def test_of_several_claims_the_highest_role_counts(services: Services, provider: OpenIdProvider) -> None:
    provider.claims["groups"] = ["everybody", "ops", "bosses"]
    await and_back(Browser.of(services))
    [entry] = await log_of(services, "sign_in")
    assert entry["detail"]["role"] == "admin"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"aud": "another-client"}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "azp"),
        ({"exp": 1_000_000_000}, "expired"),
        ({"exp": None}, "exp"),
        ({"iss": "http://127.0.0.1:1"}, "iss"),
        ({"iss": None}, "iss"),
        ({"iat": 4_000_000_000}, "in the future"),
    ],
)
async def test_an_id_token_with_a_wrong_claim_signs_nobody_in(
    services: Services, provider: OpenIdProvider, wrong: dict[str, Any], said: str
) -> None:
    provider.wrong = wrong
    browser = Browser.of(services)
    answer = await and_back(browser)
    assert answer.status_code == 401 and browser.session is None
    assert "did not prove who you are" in answer.text
    assert said in (await why_failed(services)).lower()


@pytest.mark.parametrize("forged", ["key", "none", "secret"])
@pytest.mark.parametrize("offered", [["RS256"], ["RS256", "HS256", "none"]])
async def test_an_id_token_signed_by_anybody_else_signs_nobody_in(
    services: Services, provider: OpenIdProvider, forged: str, offered: list[str]
) -> None:
    provider.forged, provider.discovery = forged, {"id_token_signing_alg_values_supported": offered}
    browser = Browser.of(services)
    assert (await and_back(browser)).status_code == 401
    assert browser.session is None
    await why_failed(services)


async def test_an_answer_without_an_id_token_signs_nobody_in(services: Services, provider: OpenIdProvider) -> None:
    provider.no_id_token = True
    browser = Browser.of(services)
    assert (await and_back(browser)).status_code == 401
    assert "no ID token" in await why_failed(services)


async def test_who_has_no_role_is_told_so(services: Services, provider: OpenIdProvider) -> None:
    browser = Browser.of(services)
    groups: tuple[Any, ...] = (["everybody"], [], None, {"ops": True}, "opsx", 7)
    for claim in groups:
        provider.claims["groups"] = claim
        answer = await and_back(browser)
        assert answer.status_code == 403 and "gives a role" in answer.text, claim
    assert browser.session is None
    assert len(await log_of(services, "sign_in_failed")) == len(groups)


@pytest.mark.parametrize("name", ["operator", "Operator", "ann", "ANN", "first-admin", "self-heal"])
async def test_a_providers_user_cannot_take_the_name_of_somebody_of_ours(
    services: Services, provider: OpenIdProvider, name: str
) -> None:
    provider.claims["preferred_username"] = name
    browser = Browser.of(services)
    answer = await and_back(browser)
    assert answer.status_code == 403 and "belongs to somebody else" in answer.text and browser.session is None


@pytest.mark.parametrize("name", [None, "", "  ", 7, "a\nb"])
async def test_a_providers_user_without_a_usable_name_is_turned_away(
    services: Services, provider: OpenIdProvider, name: Any
) -> None:
    provider.claims["preferred_username"] = name
    assert (await and_back(Browser.of(services))).status_code == 403


async def test_the_way_back_is_only_for_the_browser_that_left_and_only_once(
    services: Services, provider: OpenIdProvider
) -> None:
    browser, victim = Browser.of(services), Browser.of(services, "192.0.2.8")
    back = (await there(browser)).headers["location"]
    assert (await victim.http.get(back)).status_code == 401
    assert victim.session is None
    assert (await browser.http.get(back.replace("state=", "state=x"))).status_code == 401
    back = (await there(browser)).headers["location"]
    assert (await browser.http.get(back)).status_code == 303
    assert (await browser.http.get(back)).status_code == 401


async def test_a_cancelled_sign_on_is_told_without_repeating_what_was_sent(services: Services) -> None:
    browser = Browser.of(services)
    await there(browser)
    back = "/login/oidc/callback?error=access_denied&error_description=<script>alert(1)</script>&state=x"
    answer = await browser.http.get(back)
    assert answer.status_code == 401 and "<script>alert" not in answer.text


@pytest.mark.parametrize("next_path", ["https://evil.example/", "//evil.example", "/\\evil.example"])
async def test_single_sign_on_leads_to_no_other_site(services: Services, next_path: str) -> None:
    answer = await and_back(Browser.of(services), next_path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_a_provider_that_is_down_is_told_and_asked_again_the_next_time(tmp_path: Path) -> None:
    with openid_provider() as provider:
        services = make_services(tmp_path, access={"users": USERS, "oidc": declared(provider)})
        browser = Browser.of(services)
        back = (await there(browser)).headers["location"]
    assert (await browser.http.get(back)).status_code == 503
    other = Browser.of(services)
    answer = await other.http.get("/login/oidc")
    assert answer.status_code == 503 and "sign in with a name" in answer.text
    assert (await other.sign_in()).status_code == 303
    assert await log_of(services, "sign_in_failed") == []
    await services.store.close()


async def test_a_provider_that_is_another_than_declared_is_not_used(
    services: Services, provider: OpenIdProvider
) -> None:
    provider.discovery = {"issuer": "https://accounts.example.com"}
    assert (await Browser.of(services).http.get("/login/oidc")).status_code == 503
    assert provider.asked == []


async def test_a_key_that_was_exchanged_is_asked_for(services: Services, provider: OpenIdProvider) -> None:
    from joserfc.jwk import RSAKey

    browser = Browser.of(services)
    await and_back(browser)
    provider.key = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})
    provider.kid = "two"
    assert (await and_back(browser)).status_code == 303


async def test_a_role_taken_from_the_mapping_is_lost_at_the_next_start(
    services: Services, provider: OpenIdProvider, tmp_path: Path
) -> None:
    browser = Browser.of(services)
    await and_back(browser)
    await services.store.close()
    for oidc, status in (
        (declared(provider, roles={"ops": "viewer"}), 403),
        (declared(provider, roles={"bosses": "admin"}), 401),
        (None, 401),
    ):
        after = make_services(tmp_path, access={"users": USERS, "oidc": oidc})
        again = Browser.of(after)
        again.http.cookies, again.http.headers["accept"] = browser.http.cookies, "*/*"
        answer = await again.http.post("/api/pause", json={}, headers={"x-csrf-token": browser.csrf})
        assert answer.status_code == status, oidc
        await after.store.close()


async def test_without_a_provider_there_is_no_single_sign_on(tmp_path: Path) -> None:
    services = make_services(tmp_path, access={"users": USERS})
    browser = Browser.of(services)
    assert (await browser.http.get("/login/oidc")).status_code == 404
    assert (await browser.http.get("/login/oidc/callback?code=x&state=y")).status_code == 404
    assert "single sign-on" not in (await browser.http.get("/login")).text
    await services.store.close()


async def test_the_public_url_is_where_the_provider_leads_back_to(tmp_path: Path, provider: OpenIdProvider) -> None:
    access = {"oidc": declared(provider), "public_url": "https://heal.example.com/"}
    services = make_services(tmp_path, access=access)
    left = await Browser.of(services).http.get("/login/oidc")
    assert "redirect_uri=https%3A%2F%2Fheal.example.com%2Flogin%2Foidc%2Fcallback" in left.headers["location"]
    assert "Secure" in left.headers["set-cookie"] and "HttpOnly" in left.headers["set-cookie"]
    assert CLIENT_SECRET not in json.dumps(dict(left.headers))
    await services.store.close()

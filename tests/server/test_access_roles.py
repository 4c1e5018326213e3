"""Who may ask for what: every route of the application, by every sort of actor; and the tokens they bring."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.routing import BaseRoute, Mount, WebSocketRoute

from server.access.directory import Directory
from server.access.rules import PROBES, is_open
from server.access.secrets import new_token, token_hash
from server.access.settings import AccessSettings
from server.app import create_app
from server.services import Services
from tests.server.people import APPROVER, USERS, VIEWER, Browser, with_people
from tests.server.web import TOKENS, alert_body, load_fakes

OPEN = {
    ("/healthz", "GET"),
    ("/readyz", "GET"),
    ("/login", "GET"),
    ("/login", "POST"),
    ("/login/oidc", "GET"),
    ("/login/oidc/callback", "GET"),
    ("/static/x", "GET"),
}


FORMS = {"/incidents/1/edit"}
"""Pages that are only of use to whom may send them."""


@pytest_asyncio.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    made = with_people(tmp_path)
    yield made
    await made.store.close()


def flat(routes: list[BaseRoute]) -> Iterator[BaseRoute]:
    """All routes, those inside of included routers too, however the framework keeps them."""
    for route in routes:
        inner: Any = getattr(route, "original_router", None)
        if inner is not None:
            yield from flat(inner.routes)
        else:
            yield route


def asked_for(app: Any) -> set[tuple[str, str]]:
    """A path and method of every route, with something in the places of parameters."""
    found: set[tuple[str, str]] = set()
    for route in flat(app.routes):
        assert not isinstance(route, WebSocketRoute)
        if isinstance(route, Mount):
            found |= {(f"{route.path}/x", method) for method in ("GET", "POST")}
            continue
        path = "/".join("1" if part.startswith("{") else part for part in route.path.split("/"))  # type: ignore[attr-defined]
        found |= {(path, method) for method in (route.methods or ()) if method != "HEAD"}  # type: ignore[attr-defined]
    return found


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_every_route_but_those_that_lead_in_is_closed_to_whom_nobody_knows(services: Services) -> None:
    app = create_app(services, load_fakes)
    routes = asked_for(app)
    assert len(routes) > 25 and ("/api/incidents/1/decision", "POST") in routes and ("/docs", "GET") in routes
    assert {pair for pair in routes if is_open(*pair)} <= OPEN
    for path, method in sorted(routes - OPEN):
        for headers in ({}, bearer("wrong"), {"cookie": "selfheal_session=" + "a" * 43}):
            http = Browser(app).http
            answer = await http.request(method, path, headers={"accept": "application/json", **headers})
            assert (answer.status_code, answer.json()["field"]) == (401, "Authorization"), (path, method, headers)
        answer = await Browser(app).http.request(method, path)
        assert answer.status_code == 303 and answer.headers["location"].startswith("/login"), (path, method)


async def test_a_viewer_changes_nothing_at_any_route_and_looks_at_all(services: Services) -> None:
    app = create_app(services, load_fakes)
    browser = Browser(app)
    await browser.sign_in("vera")
    for path, method in sorted(asked_for(app) - OPEN):
        ways: list[dict[str, str]] = [bearer(VIEWER), {"x-csrf-token": browser.csrf}]
        for headers in ways:
            if path == "/logout" or "/events" in path:
                continue
            answer = await browser.http.request(method, path, headers=headers)
            if method != "GET" or path in FORMS:
                assert answer.status_code == 403, (path, method)
            else:
                assert answer.status_code not in (401, 403), (path, method)
    for verb in ("PUT", "DELETE", "PATCH", "TRACE", "MOVE"):
        assert (await browser.http.request(verb, "/api/fleet", headers=bearer(VIEWER))).status_code == 403
    assert (await browser.post("/logout")).status_code == 303


async def test_an_approver_decides_and_only_an_admin_changes_what_holds_for_all(services: Services) -> None:
    http = Browser.of(services).http
    pair = {"resource_kind": "Instance", "issue_type": "service_down"}
    asked = (("/api/pause", {}, 200), ("/api/resume", {}, 200), ("/api/policies/promote", pair, 403))
    for path, body, status in asked:
        assert (await http.post(path, json=body, headers=bearer(APPROVER))).status_code == status, path
    answer = await http.post("/api/policies/promote", json=pair, headers=bearer(TOKENS.operator))
    assert answer.status_code not in (401, 403)


async def test_the_webhook_is_for_its_own_token_and_admins(services: Services) -> None:
    http = Browser.of(services).http
    for token, status in ((TOKENS.webhook, 202), (TOKENS.operator, 202), (VIEWER, 403), (APPROVER, 403), ("no", 401)):
        answer = await http.post("/webhooks/alertmanager", json=alert_body(), headers=bearer(token))
        assert answer.status_code == status, token
    for path in ("/api/fleet", "/metrics", "/", "/webhooks", "/webhooks/../api/fleet"):
        answer = await http.get(path, headers=bearer(TOKENS.webhook))
        assert answer.status_code == 401 and answer.json()["error"] == "the token sent does not open this path", path


async def test_nobody_decides_under_the_name_of_another(services: Services) -> None:
    http = Browser.of(services).http
    answer = await http.post("/api/pause", json={"by": "root"}, headers=bearer(APPROVER))
    assert (answer.status_code, answer.json()["field"]) == (422, "by")


async def test_a_websocket_is_closed_before_anybody_is_asked(services: Services) -> None:
    app = create_app(services, load_fakes)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.sleep(0)
        return {"type": "websocket.connect"}

    headers = [(b"authorization", f"Bearer {TOKENS.operator}".encode())]
    await app({"type": "websocket", "path": "/static/x", "headers": headers, "query_string": b""}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_a_browser_is_not_asked_for_a_password_by_its_own_box(services: Services) -> None:
    http = Browser.of(services).http
    challenges = (await http.get("/api/fleet", headers={"accept": "*/*"})).headers.get_list("www-authenticate")
    assert "Bearer" in challenges and any(item.startswith("Basic") for item in challenges)
    fetched: httpx.Response = await http.get("/api/fleet", headers={"accept": "*/*", "sec-fetch-mode": "cors"})
    assert fetched.headers.get_list("www-authenticate") == ["Bearer"]
    from_page = await http.get("/api/fleet", headers={"accept": "*/*", "hx-request": "true", "sec-fetch-mode": "cors"})
    assert from_page.headers["hx-redirect"] == "/login"


def test_a_personal_token_is_known_by_its_hash_and_only_in_the_shape_we_make() -> None:
    weak = {"name": "weak", "role": "admin", "token_hash": token_hash("hunter2")}
    directory = Directory(AccessSettings.model_validate({"users": [*USERS, weak]}), TOKENS)
    found = directory.by_token(VIEWER, "192.0.2.1")
    assert found is not None and (found.name, found.role, found.address) == ("vera", "viewer", "192.0.2.1")
    wrong = (new_token("vera"), "hunter2", "", token_hash(VIEWER), VIEWER[:-1], VIEWER + "x", "sh_vera_", "\udcff")
    for token in wrong:
        assert directory.by_token(token, "") is None, token
    operator = directory.by_token(TOKENS.operator, "")
    assert operator is not None and (operator.name, operator.role) == ("operator", "admin")


@pytest.mark.parametrize("path", ["/login/", "/LOGIN", "//login", "/login/../api", "/healthz/", "/staticx", "/static"])
def test_only_the_very_paths_are_open(path: str) -> None:
    assert not is_open(path, "GET")


def test_what_is_open_is_open_for_reading_only() -> None:
    for path in ("/static/app.js", "/login/oidc", "/login/oidc/callback"):
        assert is_open(path, "GET") and not is_open(path, "POST")
    assert frozenset({"/healthz", "/readyz"}) == PROBES

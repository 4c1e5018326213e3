"""Tokens: how they are made, how they are sent, and which opens what."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from server.access.middleware import RequireActor
from server.access.settings import AccessSettings
from server.auth import Tokens, load_tokens, read_token, token_warning
from server.settings_errors import ConfigError
from tests.server.world import World

TOKENS = Tokens(webhook="webhook-token", operator="operator-token")


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"alertmanager:{password}".encode()).decode()


async def status_of(world: World, path: str, authorization: str | None) -> int:
    async def fine(request: Request) -> PlainTextResponse:
        return PlainTextResponse("fine")

    inner = Starlette(routes=[Route("/{rest:path}", fine, methods=["GET", "POST"])])
    app = RequireActor(inner, AccessSettings(), TOKENS, world.store.signing_in, 1024)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        headers = {"authorization": authorization} if authorization is not None else {}
        return (await client.get(path, headers=headers)).status_code


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_probes_need_no_token(world: World, path: str) -> None:
    assert await status_of(world, path, None) == 200


@pytest.mark.parametrize("path", ["/", "/metrics", "/docs", "/openapi.json", "/api/incidents", "/healthz/", "/nowhere"])
async def test_everything_else_is_closed_to_all_but_the_operator(world: World, path: str) -> None:
    for authorization in (
        None,
        "",
        "Bearer",
        "Bearer wrong",
        "Bearer webhook-token",
        basic("webhook-token"),
        "Basic %%%",
    ):
        assert await status_of(world, path, authorization) == 401, authorization
    for authorization in ("Bearer operator-token", "bearer operator-token", basic("operator-token")):
        assert await status_of(world, path, authorization) == 200, authorization


async def test_the_webhook_opens_with_its_own_token_as_alertmanager_sends_it(world: World) -> None:
    for authorization in ("Bearer webhook-token", basic("webhook-token"), "Bearer operator-token"):
        assert await status_of(world, "/webhooks/alertmanager", authorization) == 200, authorization
    refused: tuple[str | None, ...] = (None, "Bearer wrong", basic(""), "Digest webhook-token")
    for wrong in refused:
        assert await status_of(world, "/webhooks/alertmanager", wrong) == 401, wrong


def test_tokens_are_made_on_first_start_readable_by_their_owner_only(tmp_path: Path) -> None:
    made = load_tokens(tmp_path / "new" / "webhook.token", tmp_path / "new" / "operator.token")
    for file in (tmp_path / "new").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert token_warning(file) is None
    assert len(list((tmp_path / "new").iterdir())) == 2
    assert made.webhook != made.operator
    assert load_tokens(tmp_path / "new" / "webhook.token", tmp_path / "new" / "operator.token") == made
    assert made.operator not in repr(made)


def test_one_token_for_both_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("same-token-here\n")
    (tmp_path / "b").write_text("same-token-here")
    with pytest.raises(ConfigError, match="holds the same token"):
        load_tokens(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("content", ["", "\n", "short", "two tokens here", "schlüssel-lang"])
def test_a_file_without_a_usable_token_is_refused_with_the_remedy(tmp_path: Path, content: str) -> None:
    (tmp_path / "t").write_text(content)
    with pytest.raises(ConfigError, match="openssl rand"):
        read_token(tmp_path / "t")


def test_a_token_file_that_all_may_read_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("long-enough-token")
    (tmp_path / "t").chmod(0o644)
    assert "chmod 600" in str(token_warning(tmp_path / "t"))

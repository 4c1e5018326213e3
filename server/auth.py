"""Closed by default: every path but the health probes wants a token, checked before anything else looks at a request.

Two tokens, because Alertmanager's configuration is read by more people than may approve a repair: the webhook's
opens the webhook alone, the operator's opens everything.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from server.access.actor import SHARED, Actor
from server.settings_errors import ConfigError

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
WEBHOOKS = "/webhooks/"


@dataclass(frozen=True)
class Tokens:
    """The secrets of this server."""

    webhook: str
    operator: str

    def __repr__(self) -> str:
        return "Tokens(…)"

    def opens(self, path: str, token: str) -> bool:
        """Whether the token opens the path. Takes the same time for any wrong token."""
        operator = secrets.compare_digest(token.encode("utf-8", "replace"), self.operator.encode())
        webhook = secrets.compare_digest(token.encode("utf-8", "replace"), self.webhook.encode())
        return operator or (webhook and path.startswith(WEBHOOKS))


def load_tokens(webhook_file: Path, operator_file: Path) -> Tokens:
    """Both tokens, made where their files are absent. Raises ConfigError naming file and remedy."""
    tokens = Tokens(webhook=_read_or_make(webhook_file), operator=_read_or_make(operator_file))
    if secrets.compare_digest(tokens.webhook, tokens.operator):
        remedy = "delete one of the files; a new token is made at the next start"
        raise ConfigError(str(webhook_file), [f"holds the same token as {operator_file}: {remedy}"])
    return tokens


def read_token(file: Path) -> str:
    """The token in a file. Raises ConfigError where it is absent, empty or unreadable."""
    try:
        token = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise ConfigError(str(file), ["no such token file: `selfheal serve` makes it on its first start"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(file), [f"the token cannot be read: {error}"]) from error
    if len(token) < 8 or not token.isascii() or any(char.isspace() for char in token):
        remedy = "delete the file to have one made, or write one with `openssl rand -hex 32`"
        raise ConfigError(str(file), [f"must hold one token of at least 8 visible ASCII characters: {remedy}"])
    return token


def read_password(file: Path) -> str:
    """The password in a file, without its line's end. Raises ConfigError where it is absent, empty or unreadable."""
    try:
        password = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(file), [f"the password cannot be read: {error}"]) from error
    if not password:
        raise ConfigError(str(file), ["it is empty: write the password into it"])
    return password


def token_warning(file: Path) -> str | None:
    """Why the file's mode is too open, or None. Not refused: mounted secrets often can't be 0600."""
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o007:
        return f"{file} may be read by every user of this machine (mode {mode:04o}): chmod 600 {file}"
    return None


def _read_or_make(file: Path) -> str:
    if not file.exists():
        try:
            _make(file)
        except OSError as error:
            raise ConfigError(str(file), [f"the token file cannot be made: {error}"]) from error
    return read_token(file)


def _make(file: Path) -> None:
    """Linked into place whole, so that two processes starting at once agree on one token and none reads half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
        with contextlib.suppress(FileExistsError):  # Another process was first: its token counts.
            os.link(draft, file)
    finally:
        draft.unlink()


class RequireToken:
    """ASGI middleware: answers 401 unless the request carries a token that opens its path."""

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self.app = app
        self.tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope.get("path") in OPEN_PATHS or _shipped(scope):
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # No websockets are served; a handshake must not slip past the check.
            await send({"type": "websocket.close", "code": 1008})
            return
        token = presented_token(scope["headers"])
        if token is not None and self.tokens.opens(scope["path"], token):
            scope.setdefault("state", {})["actor"] = Actor(SHARED, "admin", "token", _address(scope))
            await self.app(scope, receive, send)
            return
        await _refuse(scope["path"], token is None, send)


def _shipped(scope: Scope) -> bool:
    """What is in every copy of the package is no secret."""
    return scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and str(scope["path"]).startswith("/static/")


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def presented_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The token of an Authorization header: a bearer token, or the password of basic authentication."""
    for name, value in headers:
        if name.lower() != b"authorization":
            continue
        scheme, _, rest = value.decode("latin-1").strip().partition(" ")
        if scheme.lower() == "bearer" and rest.strip():
            return rest.strip()
        if scheme.lower() == "basic":
            try:
                decoded = base64.b64decode(rest.strip(), validate=True).decode("utf-8", "replace")
            except (binascii.Error, ValueError):
                return None
            return decoded.partition(":")[2] or None
    return None


async def _refuse(path: str, absent: bool, send: Send) -> None:
    which = "webhook's or the operator's" if path.startswith(WEBHOOKS) else "operator's"
    problem = "no token was sent" if absent else "the token sent does not open this path"
    remedy = f"send the {which} token as `Authorization: Bearer …`, or as the password of basic authentication"
    body = json.dumps({"error": problem, "field": "Authorization", "remedy": remedy}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"www-authenticate", b'Basic realm="Self-Heal", charset="UTF-8"'),
        (b"www-authenticate", b"Bearer"),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""The server's own two tokens: how they are made, kept and sent. Who else may come in is said in `server.access`.

Two, because Alertmanager's configuration is read by more people than may approve a repair: the webhook's
opens the webhook alone, the operator's opens everything.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from server.settings_errors import ConfigError


@dataclass(frozen=True)
class Tokens:
    """The secrets of this server."""

    webhook: str
    operator: str

    def __repr__(self) -> str:
        return "Tokens(…)"


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

"""The settings of who may do what: people and their roles, single sign-on, sessions, where the server is reached."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from server.access.roles import Role, highest, reserved
from server.section import Section, http_url

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
PASSWORD_HASH = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,3}),p=(\d{1,3})\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}"
)
TOKEN_HASH = re.compile(r"sha256:[0-9a-f]{64}")
LEAST_MEMORY_KIB, MOST_MEMORY_KIB, MOST_ROUNDS, MOST_LANES = 8_192, 1_048_576, 32, 32


class User(Section):
    """One person, or one program. A password signs in at the page, a token goes with each request."""

    name: str
    role: Role
    password_hash: SecretStr | None = None
    token_hash: SecretStr | None = None

    @field_validator("name")
    @classmethod
    def _usable_name(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError("must be 1 to 64 letters, digits and . _ @ + -, beginning with a letter or digit")
        if reserved(name):
            raise ValueError("is a name the audit log uses for what is no single person: choose another")
        return name

    @field_validator("password_hash")
    @classmethod
    def _argon2id(cls, given: SecretStr | None) -> SecretStr | None:
        if given is None:
            return None
        found = PASSWORD_HASH.fullmatch(given.get_secret_value())
        if found is None:
            raise ValueError("is no argon2id hash: make one with `selfheal users hash`")
        memory, rounds, lanes = (int(number) for number in found.groups())
        if memory < LEAST_MEMORY_KIB:
            raise ValueError("is too cheap to guess (below m=8192): make another with `selfheal users hash`")
        if memory > MOST_MEMORY_KIB or not 1 <= rounds <= MOST_ROUNDS or not 1 <= lanes <= MOST_LANES:
            raise ValueError("takes too much to verify: make another with `selfheal users hash`")
        return given

    @field_validator("token_hash")
    @classmethod
    def _sha256(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and not TOKEN_HASH.fullmatch(given.get_secret_value()):
            raise ValueError("must be sha256: and 64 hex digits: make one with `selfheal users token NAME`")
        return given

    @model_validator(mode="after")
    def _can_come_in(self) -> Self:
        if self.password_hash is None and self.token_hash is None:
            raise ValueError(
                f"{self.name} could never sign in: add a password_hash (`selfheal users hash`) "
                f"or a token_hash (`selfheal users token {self.name}`)"
            )
        return self


class OidcSettings(Section):
    """Single sign-on by an OpenID provider. Whom no claim gives a role is turned away, unless `default_role` is set."""

    issuer: str
    client_id: str = Field(min_length=1)
    client_secret: SecretStr | None = None
    client_secret_file: Path | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    roles_claim: str = Field(default="groups", min_length=1)
    roles: dict[str, Role] = Field(default_factory=dict)
    """From a value of that claim to the role it gives; of several, the highest counts."""
    default_role: Role | None = None
    name_claim: str = Field(default="preferred_username", min_length=1)

    @field_validator("issuer")
    @classmethod
    def _is_safe(cls, url: str) -> str:
        if urlsplit(http_url(url)).scheme != "https" and not _loopback(urlsplit(url).hostname or ""):
            raise ValueError("must be https: whoever stands between could sign in as anybody")
        return url

    @field_validator("scopes")
    @classmethod
    def _openid(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in scopes:
            raise ValueError("must contain openid, or the provider sends no ID token")
        return scopes

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.client_secret is not None and self.client_secret_file is not None:
            raise ValueError("client_secret and client_secret_file are both given: keep one")
        if not self.roles and self.default_role is None:
            raise ValueError("nobody could sign in: map values of roles_claim in `roles`, or set default_role")
        return self

    def role_for(self, values: list[str]) -> Role | None:
        """What these values of the roles claim give."""
        return highest([self.roles[value] for value in values if value in self.roles]) or self.default_role


class AccessSettings(Section):
    """Who may do what."""

    users: tuple[User, ...] = ()
    oidc: OidcSettings | None = None
    session_hours: float = Field(default=12.0, gt=0, le=24 * 30)
    idle_hours: float = Field(default=4.0, gt=0, le=24 * 30)
    """A session nobody has used for that long is over."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    public_url: str | None = None
    """Where people reach the server, for links and for single sign-on."""

    @field_validator("users")
    @classmethod
    def _unique(cls, users: tuple[User, ...]) -> tuple[User, ...]:
        names = [user.name.casefold() for user in users]
        if twice := next((user.name for user in users if names.count(user.name.casefold()) > 1), None):
            raise ValueError(f"two users are named {twice!r}: give each a name of its own")
        hashes = [user.token_hash.get_secret_value() for user in users if user.token_hash]
        if len(set(hashes)) < len(hashes):
            raise ValueError("two users have the same token_hash: make each one with `selfheal users token NAME`")
        return users

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                ipaddress.ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError(f"{proxy!r} is no address or network, such as 10.0.0.1 or 10.0.0.0/24") from None
        return proxies

    @field_validator("public_url")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        return None if url is None else http_url(url).rstrip("/")

    @property
    def configured(self) -> bool:
        """Whether anybody but the holder of the operator's token can come in."""
        return bool(self.users) or self.oidc is not None

    def located(self, absolute: Callable[[str | Path], Path]) -> AccessSettings:
        """With the paths in it made absolute."""
        if self.oidc is None or self.oidc.client_secret_file is None:
            return self
        file = absolute(self.oidc.client_secret_file)
        return self.model_copy(update={"oidc": self.oidc.model_copy(update={"client_secret_file": file})})

    def user(self, name: str) -> User | None:
        return next((user for user in self.users if user.name == name), None)


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""People with passwords and tokens, and a browser for the application, for tests of who may do what."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher

from server.access.secrets import new_token, token_hash
from server.app import create_app
from server.services import Services
from tests.server.web import load_fakes, make_services

CHEAP = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1)
PASSWORD = "correct horse battery"
VIEWER, APPROVER = new_token("vera"), new_token("ann")
USERS: list[dict[str, Any]] = [
    {"name": "vera", "role": "viewer", "password_hash": CHEAP.hash(PASSWORD), "token_hash": token_hash(VIEWER)},
    {"name": "ann", "role": "approver", "password_hash": CHEAP.hash(PASSWORD), "token_hash": token_hash(APPROVER)},
    {"name": "root", "role": "admin", "password_hash": CHEAP.hash(PASSWORD)},
]
BASE = "http://selfheal"


def with_people(folder: Path, **access: Any) -> Services:
    """A server's parts, with a viewer, an approver and an admin."""
    return make_services(folder, access={"users": USERS, **access})


class Browser:
    """Keeps cookies and follows nothing; `csrf` is the token its session's forms bring."""

    def __init__(self, app: Any, address: str = "192.0.2.7") -> None:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=(address, 4711))
        self.http = httpx.AsyncClient(transport=transport, base_url=BASE, headers={"accept": "text/html"})

    @classmethod
    def of(cls, services: Services, address: str = "192.0.2.7") -> Browser:
        return cls(create_app(services, load_fakes), address)

    @property
    def session(self) -> str | None:
        return self.http.cookies.get("selfheal_session")

    @property
    def csrf(self) -> str:
        from server.access.secrets import csrf_token

        assert self.session is not None
        return csrf_token(self.session)

    async def sign_in(self, name: str = "ann", password: str = PASSWORD, **more: str) -> httpx.Response:
        return await self.http.post("/login", data={"name": name, "password": password, **more})

    async def post(self, path: str, **form: str) -> httpx.Response:
        return await self.http.post(path, data={"csrf_token": self.csrf, **form})


async def log_of(services: Services, what: str) -> list[dict[str, Any]]:
    """The audit log's entries of one sort, newest first."""
    entries, _ = await services.store.audit(500, what=what)
    return entries


def fields(page: str) -> set[str]:
    """The names of a page's form fields."""
    return set(re.findall(r'name="([a-z_]+)"', page)) - {"viewport"}

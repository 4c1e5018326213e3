"""Patroni's REST API: what manages a PostgreSQL cluster is asked and told, never gone around.

Written to the documented API of Patroni 3 (GET /cluster, POST /restart, /reinitialize, /failover).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from graph.ports import PermanentError
from graph.records import Resource
from tools.clients.databases.database import DatabaseUnreachable, StatementFailed, database_of
from tools.clients.recording import Recorder
from tools.redaction import redact

_SECONDS = 5.0
_LEADERS = ("leader", "master", "primary", "standby_leader")
_RUNS = ("running", "streaming", "in archive recovery")


@dataclass(frozen=True)
class PatroniMember:
    """One member as Patroni tells it. `lag` is in bytes; None where it is unknown."""

    name: str
    leads: bool
    state: str
    host: str
    port: int
    lag: int | None

    @property
    def runs(self) -> bool:
        return self.state in _RUNS


@dataclass(frozen=True)
class PatroniCluster:
    """The whole cluster; `paused`: Patroni was told to leave it alone."""

    members: tuple[PatroniMember, ...]
    paused: bool

    @property
    def leader(self) -> PatroniMember | None:
        return next((member for member in self.members if member.leads and member.runs), None)

    def of(self, resource: Resource) -> PatroniMember | None:
        """The member at the resource's address and port, or of its name."""
        at = (resource.address, database_of(resource).port)
        found = next((member for member in self.members if (member.host, member.port) == at), None)
        return found or next((member for member in self.members if member.name == resource.id), None)


class PatroniClient:
    """Asks the API of the resource's own `database.patroni_url`."""

    def __init__(self, recorder: Recorder | None = None) -> None:
        self._recorder = recorder or Recorder()

    async def cluster(self, resource: Resource) -> PatroniCluster:
        """Raises DatabaseUnreachable, StatementFailed."""
        answer = await self._ask(resource, "GET", "/cluster")
        try:
            return parse_cluster(json.loads(answer))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StatementFailed(f"Patroni at {url_of(resource)} told no cluster: {error}") from error

    async def tell(self, resource: Resource, path: str, body: Mapping[str, Any], timeout: float = 30.0) -> str:
        """POST; what it answered. Raises DatabaseUnreachable, StatementFailed."""
        return await self._ask(resource, "POST", path, body, timeout)

    async def _ask(
        self,
        resource: Resource,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        timeout: float = _SECONDS,
    ) -> str:
        url = url_of(resource)
        await self._recorder.sent(url, call_of(method, path, body))
        try:
            async with httpx.AsyncClient(timeout=timeout, trust_env=False) as http:
                answer = await http.request(method, url + path, json=body)
        except httpx.ConnectError as error:
            raise DatabaseUnreachable(f"Patroni at {url}: {error}", "refused") from error
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise DatabaseUnreachable(f"Patroni at {url}: {said}", "timeout", sent=method == "POST") from error
        said = redact(answer.text[:65536])
        if answer.status_code >= 400:
            raise StatementFailed(f"Patroni answered {answer.status_code}: {said[:300]}", str(answer.status_code))
        return said


def url_of(resource: Resource) -> str:
    """Where Patroni of this member is asked. Raises PermanentError."""
    url = database_of(resource).patroni_url
    if not url:
        raise PermanentError(f"{resource.key} declares no database.patroni_url")
    return url.rstrip("/")


def call_of(method: str, path: str, body: Mapping[str, Any] | None = None) -> str:
    """`POST /failover {"candidate": "db-2"}`."""
    return f"{method} {path}" + (f" {json.dumps(body, sort_keys=True)}" if body is not None else "")


def parse_cluster(raw: Mapping[str, Any]) -> PatroniCluster:
    """From what GET /cluster gives. Raises KeyError, ValueError, TypeError."""
    members = tuple(
        PatroniMember(
            name=str(item["name"]),
            leads=item.get("role") in _LEADERS,
            state=str(item.get("state", "")),
            host=str(item.get("host", "")),
            port=int(item.get("port") or 0),
            lag=item["lag"] if isinstance(item.get("lag"), int) else None,
        )
        for item in raw["members"]
    )
    return PatroniCluster(members, bool(raw.get("pause", False)))

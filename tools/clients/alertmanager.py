"""What Alertmanager knows and does: its alerts, why some of them ring for nobody, and silences, over its API v2."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from graph.ports import PermanentError, TemporaryError
from graph.records import Alert
from tools.clients.circuit import Circuits, Verdict
from tools.redaction import condense, redact

T = TypeVar("T")
MAX_ANSWER_BYTES = 16 * 1024 * 1024
RETRIED_STATUSES = frozenset({408, 425, 429})
_SHOWN_CHARS = 200


@dataclass(frozen=True)
class ActiveAlert:
    """One alert that fires, as Alertmanager sees it. `inhibited_by` are fingerprints of alerts."""

    fingerprint: str
    labels: Mapping[str, str]
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "unnamed")

    def is_of(self, alert: Alert) -> bool:
        """Whether it is this alert: by the fingerprint that Alertmanager gave it, or by all its labels."""
        return self.fingerprint == alert.fingerprint or self.labels == alert.labels


@dataclass(frozen=True)
class Silence:
    """One silence. `exact` are the labels it wants equal; None where it says more than that."""

    id: str
    exact: Mapping[str, str] | None
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str
    active: bool


class AlertmanagerClient:
    """One Alertmanager. `close` it.

    All calls raise TemporaryError and PermanentError that say what was asked, of whom, and what came back.
    """

    def __init__(
        self,
        url: str,
        timeout: float = 5.0,
        basic: tuple[str, str] | None = None,
        token: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        circuits: Circuits | None = None,
    ) -> None:
        self._circuits = circuits or Circuits()
        parts = urlsplit(url.rstrip("/"))
        self._url = f"{url.rstrip('/')}/api/v2"
        self._timeout = timeout
        self.url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        self._client = httpx.AsyncClient(
            timeout=timeout,
            auth=basic,
            headers={"Authorization": f"Bearer {token}"} if token else None,
            transport=transport,
        )

    async def alerts(self, **labels: str) -> tuple[ActiveAlert, ...]:
        """The alerts that fire and have these labels, silenced and inhibited ones too."""
        wanted = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items()]
        asked = "GET /alerts"
        return _read(self._said(asked), await self._ask("GET", "/alerts", params={"filter": wanted}), _alerts)

    async def silences(self) -> tuple[Silence, ...]:
        """All silences it remembers, those that are over too."""
        return _read(self._said("GET /silences"), await self._ask("GET", "/silences"), _silences)

    async def silence(self, silence_id: str) -> Silence | None:
        """One silence, or None where it knows it no more."""
        path = f"/silence/{quote(silence_id, safe='')}"
        answer = await self._ask("GET", path, absent=True)
        return None if answer is None else _read(self._said(f"GET {path}"), answer, _silence)

    async def put(
        self,
        labels: Mapping[str, str],
        starts_at: datetime,
        ends_at: datetime,
        created_by: str,
        comment: str,
        silence_id: str = "",
    ) -> str:
        """Silence the alerts with exactly these values of these labels; returns the silence's id.

        With the id of an active one of the same labels and start only its end is changed, and it keeps its id.
        """
        body = {
            "matchers": [
                {"name": name, "value": value, "isRegex": False, "isEqual": True}
                for name, value in sorted(labels.items())
            ],
            "startsAt": _iso(starts_at),
            "endsAt": _iso(ends_at),
            "createdBy": created_by,
            "comment": comment,
        }
        if silence_id:
            body["id"] = silence_id
        answer = await self._ask("POST", "/silences", content=body)
        return _read(self._said("POST /silences"), answer, lambda raw: str(raw["silenceID"]))

    async def expire(self, silence_id: str) -> None:
        """End a silence now. One that is over, or not known, is ended already."""
        await self._ask("DELETE", f"/silence/{quote(silence_id, safe='')}", absent=True)

    async def close(self) -> None:
        await self._client.aclose()

    def _said(self, asked: str) -> str:
        return f"Alertmanager at {self.url}, asked {asked},"

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        content: Mapping[str, Any] | None = None,
        absent: bool = False,
    ) -> Any:
        """The answer's JSON; None for an empty one, and where `absent` is allowed and it knows no such thing."""
        return await self._circuits.ask(
            "alertmanager",
            self.url,
            lambda: self._called(method, path, params, content, absent),
            _verdict,
        )

    async def _called(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        content: Mapping[str, Any] | None,
        absent: bool,
    ) -> Any:
        said = self._said(f"{method} {path}")
        try:
            async with self._client.stream(method, self._url + path, params=params, json=content) as answer:
                body = await _bounded(answer, said)
        except httpx.InvalidURL as error:
            raise PermanentError(f"{said} failed: {error}: correct alertmanager.url") from error
        except httpx.TimeoutException as error:
            raise TemporaryError(f"{said} did not answer within {self._timeout:g} s") from error
        except httpx.HTTPError as error:
            raise TemporaryError(f"{said} can't be reached: {str(error) or type(error).__name__}") from error
        if answer.is_success:
            return _json(body, said) if body.strip() else None
        # Older releases say 500 of a silence they don't know.
        if absent and (answer.status_code == 404 or b"not found" in body):
            return None
        raise _refused(said, answer.status_code, body)


def _verdict(error: Exception) -> Verdict:
    if isinstance(error, TemporaryError):
        return "failed"
    return "answered" if isinstance(error, PermanentError) else "unknown"


async def _bounded(answer: httpx.Response, said: str) -> bytes:
    body = b""
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise PermanentError(f"{said} answered with more than {MAX_ANSWER_BYTES // 2**20} MiB")
    return body


def _refused(said: str, status: int, body: bytes) -> Exception:
    message = f"{said} answered HTTP {status}: {condense(redact(body.decode(errors='replace')), _SHOWN_CHARS)}"
    if status in RETRIED_STATUSES or status >= 500:
        return TemporaryError(message)
    if 300 <= status < 400:
        return PermanentError(f"{message}: set alertmanager.url to where it really is, redirects are not followed")
    if status in (401, 403):
        return PermanentError(f"{message}: check alertmanager.user and password_file, or token_file")
    if status == 404:
        return PermanentError(f"{message}: is alertmanager.url right?")
    return PermanentError(message)


def _json(body: bytes, said: str) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise PermanentError(f"{said} gave no JSON: is alertmanager.url right?") from error


def _read(said: str, answer: Any, read: Callable[[Any], T]) -> T:
    try:
        return read(answer)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PermanentError(
            f"{said} gave an answer we can't read ({type(error).__name__}: {error}): is alertmanager.url right?"
        ) from error


def _alerts(raw: Any) -> tuple[ActiveAlert, ...]:
    return tuple(
        ActiveAlert(
            str(item["fingerprint"]),
            dict(item["labels"]),
            tuple(item["status"]["silencedBy"]),
            tuple(item["status"]["inhibitedBy"]),
        )
        for item in raw
    )


def _silences(raw: Any) -> tuple[Silence, ...]:
    return tuple(_silence(item) for item in raw)


def _silence(raw: Any) -> Silence:
    matchers = raw["matchers"]
    plain = all(not item["isRegex"] and item.get("isEqual", True) for item in matchers)
    return Silence(
        id=str(raw["id"]),
        exact={item["name"]: item["value"] for item in matchers} if plain else None,
        starts_at=_moment(raw["startsAt"]),
        ends_at=_moment(raw["endsAt"]),
        created_by=str(raw["createdBy"]),
        comment=str(raw["comment"]),
        active=raw["status"]["state"] == "active",
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""What Prometheus knows: queries, and whether an alert's own condition still holds.

Stands on prometheus-api-client, whose calls block and whose failures are raw; here they are awaited in a pool of their
own, bounded in time, and fail in two words: TemporaryError or PermanentError.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests
from prometheus_api_client import PrometheusConnect
from urllib3.exceptions import HTTPError

from graph.ports import PermanentError, TemporaryError
from graph.records import Alert
from tools.clients.alert_rules import (
    AlertState,
    expression_of,
    rule_expression,
    state_by_expression,
    state_by_rules,
)
from tools.clients.circuit import Circuits, Verdict
from tools.clients.pools import BoundedPool, PoolTimeout
from tools.clients.prometheus_session import CONNECTIONS, NO_RETRIES, AnswerTooLarge, BoundedSession, ErrorAnswer
from tools.redaction import condense, redact

T = TypeVar("T")
_TEMPORARY_STATUSES = frozenset({408, 425, 429})
_SHOWN_CHARS = 200


@dataclass(frozen=True)
class Sample:
    """One series at one time."""

    labels: Mapping[str, str]
    at: datetime
    value: float


@dataclass(frozen=True)
class Series:
    """One series over time, oldest first. Values may be NaN."""

    labels: Mapping[str, str]
    points: tuple[tuple[datetime, float], ...]

    @property
    def last(self) -> float:
        return self.points[-1][1]


class PrometheusClient:
    """One Prometheus server. Belongs to the event loop it is first used in; `close` it.

    All calls raise TemporaryError and PermanentError that name the server, the query, and what came back.
    """

    def __init__(self, url: str, timeout: float = 5.0, circuits: Circuits | None = None) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._circuits = circuits or Circuits()
        self._shown = _without_user(self._url)
        self._session = BoundedSession(self._url, timeout)
        self._connect = PrometheusConnect(self._url, session=self._session, retry=NO_RETRIES)
        self._pool = BoundedPool("prometheus", threads=CONNECTIONS, per_target=CONNECTIONS)

    @property
    def url(self) -> str:
        """The server's URL, without credentials."""
        return self._shown

    async def instant(self, query: str, at: datetime | None = None) -> tuple[Sample, ...]:
        """The query's value now or `at`. A scalar is one sample without labels."""
        params = {"timeout": f"{self._timeout:g}s"}
        if at is not None:
            params["time"] = f"{at.timestamp():.3f}"
        found = await self._ask(query, lambda: self._connect.custom_query(query, params=params))
        return self._read(query, found, _samples)

    async def range(self, query: str, start: datetime, end: datetime, step: float) -> tuple[Series, ...]:
        """The query's values from `start` to `end` (aware), one every `step` seconds."""
        # Given as params, the times keep the fractions that the library would round away.
        params = {
            "start": f"{start.timestamp():.3f}",
            "end": f"{end.timestamp():.3f}",
            "timeout": f"{self._timeout:g}s",
        }

        def call() -> Any:
            return self._connect.custom_query_range(query, start, end, f"{step:g}", params=params)

        return self._read(query, await self._ask(query, call), _series)

    async def alert_state(self, alert: Alert) -> AlertState:
        """Whether the alert's condition holds now: by the rules API, else by the expression in its generatorURL,
        evaluated here (the URL itself is never visited), else `unknown`, which says why it can't be asked."""
        rules = await self._ask("/api/v1/rules?type=alert", self._alert_rules)
        if found := self._read("/api/v1/rules?type=alert", rules, lambda raw: state_by_rules(alert, raw)):
            return found
        expression = expression_of(alert)
        if expression is None:
            why = f"{self._shown} has no alerting rule {alert.name!r}, and the alert names no expression to ask for"
            return AlertState("unknown", why, by="nothing")
        samples = await self.instant(expression)
        return state_by_expression(alert, expression, [sample.labels for sample in samples])

    async def expression(self, alert: Alert) -> str | None:
        """What the alert's rule asks, by the rules API, else by its generatorURL; None where neither tells."""
        rules = await self._ask("/api/v1/rules?type=alert", self._alert_rules)
        found = self._read("/api/v1/rules?type=alert", rules, lambda raw: rule_expression(alert, raw))
        return found or expression_of(alert)

    async def close(self) -> None:
        """Drop the connections. Calls under way end by their own deadline."""
        self._pool.close()
        self._session.close()

    # -- asking ----------------------------------------------------------------------------------------

    def _alert_rules(self) -> Any:
        # prometheus-api-client has no call for rules.
        answer = self._session.get(f"{self._url}/api/v1/rules", params={"type": "alert"})
        return answer.json()["data"]["groups"]

    async def _ask(self, query: str, call: Callable[[], Any]) -> Any:
        return await self._circuits.ask("prometheus", self._shown, lambda: self._called(query, call), _verdict)

    async def _called(self, query: str, call: Callable[[], Any]) -> Any:
        asked = f"Prometheus at {self._shown}, asked {condense(query, _SHOWN_CHARS)!r},"
        try:
            return await self._pool.call(self._url, call, self._timeout + 0.5)
        except (PoolTimeout, requests.Timeout) as error:
            raise TemporaryError(f"{asked} did not answer within {self._timeout:g} s") from error
        except ErrorAnswer as error:
            raise _of_status(asked, error) from error
        except requests.exceptions.SSLError as error:
            raise PermanentError(f"{asked} shows a certificate we don't trust: {_words(error)}") from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, AnswerTooLarge) as error:
            raise PermanentError(f"{asked} failed: {_words(error)}: correct prometheus.url or the query") from error
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise PermanentError(
                f"{asked} gave no answer of Prometheus' API ({_words(error)}): is prometheus.url right?"
            ) from error
        except (requests.RequestException, HTTPError, OSError) as error:
            raise TemporaryError(f"{asked} can't be reached: {_words(error)}") from error

    def _read(self, query: str, answer: Any, read: Callable[[Any], T]) -> T:
        try:
            return read(answer)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise PermanentError(
                f"Prometheus at {self._shown}, asked {condense(query, _SHOWN_CHARS)!r}, gave an answer we can't read "
                f"({_words(error)}): is prometheus.url right?"
            ) from error


# -- writing queries -------------------------------------------------------------------------------------


def selector(metric: str, /, **labels: str) -> str:
    """`selector("up", job="node")` → `up{job="node"}`, whatever the value holds."""
    return f"{metric}{{{matchers(labels)}}}" if labels else metric


def matchers(labels: Mapping[str, str]) -> str:
    """`job="node",instance="10.0.0.5:9100"`, values escaped."""
    return ",".join(f"{name}={quoted(value)}" for name, value in labels.items())


def quoted(value: str) -> str:
    """A PromQL string literal: Go's escapes, which JSON's are a part of but for surrogates and slashes."""
    # NUL and lone surrogates have no meaning in a label; what can't be UTF-8 would be refused by the server.
    clean = value.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(clean, ensure_ascii=False)


# -- reading answers -------------------------------------------------------------------------------------


def _samples(raw: Any) -> tuple[Sample, ...]:
    if len(raw) == 2 and isinstance(raw[1], str):  # a scalar: [time, "value"]
        return (Sample({}, *_point(raw)),)
    return tuple(Sample(dict(item["metric"]), *_point(item["value"])) for item in raw)


def _series(raw: Any) -> tuple[Series, ...]:
    found = (Series(dict(item["metric"]), tuple(_point(point) for point in item["values"])) for item in raw)
    return tuple(series for series in found if series.points)


def _point(raw: Sequence[Any]) -> tuple[datetime, float]:
    return datetime.fromtimestamp(float(raw[0]), UTC), float(raw[1])


def finite(value: float) -> bool:
    """Whether a sample's value is a number at all."""
    return math.isfinite(value)


def _verdict(error: Exception) -> Verdict:
    if not isinstance(error, TemporaryError):
        return "answered" if isinstance(error, PermanentError) else "unknown"
    cause = error.__cause__
    return "unknown" if isinstance(cause, PoolTimeout) and not cause.started else "failed"


def _of_status(asked: str, error: ErrorAnswer) -> Exception:
    said = condense(redact(_reason(error.text)), _SHOWN_CHARS)
    message = f"{asked} answered HTTP {error.status}: {said}"
    if error.status in _TEMPORARY_STATUSES or error.status >= 500:
        return TemporaryError(message)
    if 300 <= error.status < 400:
        return PermanentError(f"{message}: set prometheus.url to where it really is, redirects are not followed")
    if error.status in (401, 403):
        return PermanentError(f"{message}: give prometheus.url the credentials it wants")
    return PermanentError(message)


def _reason(body: str) -> str:
    """Prometheus' own words where it is Prometheus that answers."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.strip() or "without a word"


def _words(error: BaseException) -> str:
    return condense(redact(str(error) or type(error).__name__), _SHOWN_CHARS)


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

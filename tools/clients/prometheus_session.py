"""A `requests` session that bounds what prometheus-api-client leaves open: time, size, retries, redirects.

That library sets no timeout, retries in hiding, and reads answers of any size; all of it goes through the session it is
given, so the bounds live here.
"""

from __future__ import annotations

import ipaddress
import time
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

MAX_ANSWER_BYTES = 16 * 1024 * 1024
CONNECTIONS = 8
_CHUNK_BYTES = 64 * 1024

# `read=False`: else an answer that does not come would be told as a connection that can't be made.
NO_RETRIES = Retry(total=0, redirect=0, read=False, respect_retry_after_header=False)


class AnswerTooLarge(requests.RequestException):
    """The answer was cut at MAX_ANSWER_BYTES."""


class ErrorAnswer(requests.RequestException):
    """Answered, but not with 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.text = text


class BoundedSession(requests.Session):
    """Every request ends within `timeout` seconds, connecting within a third of it, and follows no redirect."""

    def __init__(self, url: str, timeout: float) -> None:
        super().__init__()
        self._seconds = timeout
        # A proxy of the environment is for the way out, never for our own machine.
        self.trust_env = not _is_loopback(url)
        adapter = HTTPAdapter(max_retries=NO_RETRIES, pool_connections=1, pool_maxsize=CONNECTIONS)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def request(self, method: str, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        """As requests does it, whole answer read. Raises RequestException, also for a status other than 200."""
        deadline = time.monotonic() + self._seconds
        options.update(timeout=(self._seconds / 3, self._seconds), stream=True, allow_redirects=False)
        response = super().request(method, url, *args, **options)
        try:
            response._content = _read(response, deadline)
        finally:
            response.close()
        if response.status_code != 200:
            raise ErrorAnswer(response.status_code, response.text)
        return response


def _read(response: requests.Response, deadline: float) -> bytes:
    """The whole body. A socket timeout alone would let a server drip for ever."""
    body = bytearray()
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise AnswerTooLarge(f"more than {MAX_ANSWER_BYTES} bytes")
        if time.monotonic() > deadline:
            raise requests.ReadTimeout("the answer came too slowly")
    return bytes(body)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

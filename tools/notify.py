"""Posts notices to the operator's own URL, as JSON: escalations and approvals wanted must reach someone awake.

Only one delivery at a time and no retries here: the store does these, as it survives a restart. Other services are
`tools/notify_apprise.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx  # loaded by who has such a target: the server's port opens the sooner

from graph.ports import PermanentError, TemporaryError

MAX_ANSWER_CHARS = 200
RETRIED_STATUSES = frozenset({408, 425, 429})


class Notifier(Protocol):
    """Delivers one notice. Raises TemporaryError where a later try may work, else PermanentError."""

    async def send(self, notice: Mapping[str, Any]) -> None: ...

    async def close(self) -> None: ...


class HttpNotifier:
    """POSTs a notice to a URL and takes any 2xx as delivered. Every text in it goes through `redact` first."""

    def __init__(
        self,
        url: str,
        redact: Callable[[str], str],
        token: str | None = None,
        timeout_seconds: float = 5.0,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        import httpx

        self._url = url
        self._redact = redact
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = client or httpx.AsyncClient(timeout=timeout_seconds)
        # The path is left out of what is said: with chat services it is the secret.
        self._whom = f"{urlsplit(url).scheme}://{urlsplit(url).netloc.rpartition('@')[2]}/…"

    async def send(self, notice: Mapping[str, Any]) -> None:
        """Deliver once. `notice` must be JSON."""
        import httpx

        try:
            answer = await self._client.post(self._url, json=self._redacted(notice), headers=self._headers)
        except httpx.InvalidURL as error:
            raise PermanentError(f"notify.url is no valid URL ({error}): correct it in selfheal.yaml") from error
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise TemporaryError(f"posting a notice to {self._whom} failed: {said}") from error
        if answer.is_success:
            return
        said = f"posting a notice to {self._whom} was answered {answer.status_code}: {answer.text[:MAX_ANSWER_CHARS]}"
        if answer.status_code in RETRIED_STATUSES or answer.is_server_error:
            raise TemporaryError(said)
        raise PermanentError(f"{said}: check notify.url and notify.token_file")

    async def close(self) -> None:
        await self._client.aclose()

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redact(value)
        if isinstance(value, Mapping):
            return {key: self._redacted(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._redacted(item) for item in value]
        return value

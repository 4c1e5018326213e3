"""Notices by apprise: Slack, Teams, PagerDuty, e-mail and the other services that one URL names.

apprise blocks while it sends, so each notice goes in a thread of its own, one at a time for a target, and is waited for
so long only. Such a thread is let go of rather than joined: a service that never answers must not keep a process alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Mapping
from typing import Any

from graph.ports import TemporaryError
from tools.redaction import redact

MAX_SAID_CHARS = 200
MIN_SECRET_CHARS = 4
TYPES = {
    "mitigated": "success",
    "self_resolved": "success",
    "escalated": "failure",
    "approval_wanted": "warning",
    "declined": "warning",
    "demoted": "warning",
}


class UnknownService(Exception):
    """apprise knows no such service, or misses something in its URL. The message holds nothing of the URL but its
    scheme."""


class AppriseNotifier:
    """Sends a notice's `title` and `text` to the one service of an apprise URL. Raises UnknownService."""

    def __init__(self, name: str, url: str, timeout_seconds: float = 20.0) -> None:
        import apprise

        # Their log names hosts and paths, which may be secrets: it is read from results, and goes nowhere else.
        logging.getLogger("apprise").propagate = False
        self._name = name
        self._scheme = scheme_of(url)
        self._timeout = timeout_seconds
        self._secrets = _parts(url)
        asset = apprise.AppriseAsset(
            app_id="Self-Heal",
            app_desc="Self-Heal",
            async_mode=False,
            storage_mode=apprise.PersistentStoreMode.MEMORY,
            service_timeout=0,
            http_redirects=False,
        )
        service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if service is None:
            raise UnknownService(
                f"{self._scheme}://… is no URL that apprise understands: see `apprise --details` for what there "
                "is and what its URLs hold"
            )
        self._apprise = apprise.Apprise(asset=asset)
        self._apprise.add(service)
        self._busy = threading.Lock()

    async def send(self, notice: Mapping[str, Any]) -> None:
        """Deliver once. Raises TemporaryError: apprise does not tell a refusal from a failure."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        failures: list[str] = []

        def work() -> None:
            try:
                failures.extend(self._notify(notice))
            except Exception as error:  # a plugin's own; whatever it is, it was not delivered
                failures.append(f"{type(error).__name__}: {error}")
            finally:
                self._busy.release()
                with contextlib.suppress(RuntimeError):  # the loop has gone: nobody waits any more
                    loop.call_soon_threadsafe(done.set)

        if not self._busy.acquire(blocking=False):
            raise TemporaryError(f"{self._whom} has not answered the notice before")
        threading.Thread(target=work, name=f"notify-{self._name}", daemon=True).start()
        try:
            async with asyncio.timeout(self._timeout):
                await done.wait()
        except TimeoutError:
            raise TemporaryError(f"{self._whom} did not answer within {self._timeout:g} s") from None
        if failures:
            raise TemporaryError(f"{self._whom} took no notice: {self._clean('; '.join(failures))}")

    async def close(self) -> None:
        """Nothing is kept open."""

    @property
    def _whom(self) -> str:
        return f"{self._name} ({self._scheme}://…)"

    def _notify(self, notice: Mapping[str, Any]) -> list[str]:
        """What went wrong; nothing where it was taken."""
        from apprise import NotifyFormat, NotifyType

        kind = NotifyType(TYPES.get(str(notice.get("event")), "info"))
        title, text = str(notice["title"]), str(notice["text"])
        result = self._apprise.notify(body=text, title=title, notify_type=kind, body_format=NotifyFormat.TEXT)
        if result:
            return []
        return [entry.message for entry in result.logs()] or ["no reason given"]

    def _clean(self, said: str) -> str:
        for secret in self._secrets:
            said = said.replace(secret, "***")
        return " ".join(redact(said).split())[:MAX_SAID_CHARS]


def scheme_of(url: str) -> str:
    """`slack` of a slack:// URL; nothing else of it may be shown."""
    scheme = url.partition("://")[0].strip()
    return scheme.lower() if scheme.isascii() and scheme.replace("+", "").isalnum() and len(scheme) <= 20 else "?"


def _parts(url: str) -> list[str]:
    """Whatever in the URL may be a secret: all of it but the scheme, longest first."""
    rest = url.partition("://")[2]
    for separator in "/:@?&=#":
        rest = rest.replace(separator, "\n")
    return sorted({part for part in rest.split("\n") if len(part) >= MIN_SECRET_CHARS}, key=len, reverse=True)

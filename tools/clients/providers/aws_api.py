"""How requests reach AWS, and whatever speaks its API: boto3 blocks, so in a pool of its own, bounded in every wait.

Reading is tried again by botocore. What changes something is sent once, as botocore's own retries would reboot a host
twice; only one that AWS turned away at the door, for too many calls, is known not to have begun and is sent again. None
of these calls takes a client token.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any, cast

from graph.records import Resource
from tools.clients.circuit import Circuits, NotAsked, Verdict
from tools.clients.pools import BoundedPool, PoolTimeout
from tools.clients.providers.aws_requests import Request, rendered
from tools.clients.providers.provider import ProviderError, Throttled
from tools.clients.recording import Recorder

_POOL_MARGIN_SECONDS = 1.0
_THROTTLE_PAUSES = (0.5, 1.5)
"""Seconds to wait before a throttled write is sent again, as often as there are numbers here."""


class AwsApi:
    """Region and endpoint come from each resource, credentials from where boto3 finds them.

    Belongs to the event loop it is first used in. `connect_seconds` and `read_seconds` bound one try; reads are tried
    twice, all within `read_deadline_seconds`. With `dry_run` nothing that changes something is sent.
    """

    def __init__(
        self,
        recorder: Recorder | None = None,
        connect_seconds: float = 2.0,
        read_seconds: float = 5.0,
        read_deadline_seconds: float = 8.0,
        threads: int = 24,
        per_endpoint: int = 12,
        dry_run: bool = False,
        throttle_pauses: Sequence[float] = _THROTTLE_PAUSES,
        circuits: Circuits | None = None,
    ) -> None:
        self._circuits = circuits or Circuits()
        self._recorder = recorder or Recorder()
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._read_deadline = read_deadline_seconds
        self._dry_run = dry_run
        self._throttle_pauses = tuple(throttle_pauses)
        self._pool = BoundedPool("aws", threads, per_endpoint)
        self._clients: dict[tuple[str, str | None, str | None, bool], Any] = {}
        self._session: Any = None
        """One for all clients: it has read a service's model once, which takes the processor long."""
        self._making = threading.Lock()

    async def read(self, resource: Resource, request: Request) -> Mapping[str, Any]:
        """What the service answers. Raises ProviderError."""
        return await self._send(resource, request, False, self._read_deadline)

    async def try_read(self, resource: Resource, request: Request) -> Mapping[str, Any] | ProviderError:
        """The same, for what one can do without."""
        try:
            return await self.read(resource, request)
        except ProviderError as error:
            return error

    async def write(self, resource: Resource, request: Request) -> Mapping[str, Any] | None:
        """What the service answers, or None in a dry run, which sends nothing. Raises ProviderError."""
        if self._dry_run:
            return None
        seconds = self._connect_seconds + self._read_seconds + _POOL_MARGIN_SECONDS
        for pause in self._throttle_pauses:
            try:
                return await self._send(resource, request, True, seconds)
            except Throttled:
                await asyncio.sleep(pause)
        return await self._send(resource, request, True, seconds)

    def close(self) -> None:
        """Take no more calls. Those under way end by their own timeouts."""
        self._pool.close()
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        self._session = None

    async def _send(self, resource: Resource, request: Request, writes: bool, seconds: float) -> Mapping[str, Any]:
        where = resource.provider.endpoint_url or resource.provider.region or "default"
        try:
            return await self._circuits.ask(
                "provider",
                f"{request.service} {where}",
                lambda: self._called(resource, request, writes, seconds),
                _verdict,
            )
        except NotAsked as error:
            said = f"{rendered(resource, request)}: {error}"
            raise ProviderError(said, temporary=True, sent=False) from error

    async def _called(self, resource: Resource, request: Request, writes: bool, seconds: float) -> Mapping[str, Any]:
        access, asked = resource.provider, rendered(resource, request)
        await self._recorder.sent(f"{request.service} {access.endpoint_url or access.region or 'default'}", asked)

        def work() -> Any:
            # In the thread, as the first of these imports boto3 and reads its models.
            from botocore import xform_name

            from tools.clients.providers.ec2_errors import translated

            try:
                client = self._client(request.service, access.region, access.endpoint_url, writes)
                return getattr(client, xform_name(request.operation))(**request.params)
            except Exception as error:  # botocore's exceptions have no common meaning; each is told apart there
                raise translated(asked, error) from error

        try:
            answer = await self._pool.call(f"{access.region} {access.endpoint_url}", work, seconds)
        except PoolTimeout as error:
            # Whether a slow call reached AWS can't be known, so it may have.
            sent, away = writes and error.started, error.started
            raise ProviderError(f"{asked}: {error}", temporary=True, sent=sent, away=away) from error
        return cast(Mapping[str, Any], answer)

    def _client(self, service: str, region: str | None, endpoint: str | None, writes: bool) -> Any:
        """A client for reading or for writing, made once: making one takes a while and is not thread-safe."""
        key = (service, region, endpoint, writes)
        with self._making:
            if key not in self._clients:
                self._clients[key] = self._make_client(service, region, endpoint, tries=1 if writes else 2)
            return self._clients[key]

    def _make_client(self, service: str, region: str | None, endpoint: str | None, tries: int) -> Any:
        import boto3  # slow to import, and not needed where no resource has this provider
        from botocore.config import Config

        config = Config(
            connect_timeout=self._connect_seconds,
            read_timeout=self._read_seconds,
            retries={"mode": "standard", "total_max_attempts": tries},
            max_pool_connections=12,
        )
        self._session = self._session or boto3.session.Session()
        return self._session.client(service, region_name=region, endpoint_url=endpoint, config=config)


def _verdict(error: Exception) -> Verdict:
    if not isinstance(error, ProviderError):
        return "unknown"
    if error.away:
        return "failed"
    return "unknown" if isinstance(error.__cause__, PoolTimeout) else "answered"

"""EC2, and whatever speaks its API, through boto3: blocking, so in a pool of its own, and bounded in every wait.

A call that changes something is sent once: botocore's retries would reboot a host twice.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, cast

from graph.records import Resource
from tools.clients.pools import BoundedPool, PoolTimeout
from tools.clients.providers.provider import InstanceState, ProviderError, ProviderStatus, StatusCheck
from tools.redaction import redact

CONSOLE_TAIL_CHARS = 2048
_STATES = ("pending", "running", "stopping", "stopped", "shutting-down", "terminated")
_CHECKS = ("ok", "impaired", "initializing", "insufficient-data", "not-applicable")
_POOL_MARGIN_SECONDS = 1.0
_CALLS: Mapping[str, tuple[str, str]] = {
    "soft_reboot": ("RebootInstances", ""),
    "start": ("StartInstances", ""),
    "stop": ("StopInstances", ""),
    "force_stop": ("StopInstances", "Force=True, "),
}


class Ec2Provider:
    """Instances of EC2. Region and endpoint come from each resource, credentials from where boto3 finds them.

    Belongs to the event loop it is first used in. `connect_seconds` and `read_seconds` bound one try; reads are
    tried twice, all within `read_deadline_seconds`.
    """

    name = "ec2"

    def __init__(
        self,
        connect_seconds: float = 2.0,
        read_seconds: float = 5.0,
        read_deadline_seconds: float = 8.0,
        threads: int = 24,
        per_endpoint: int = 12,
    ) -> None:
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._read_deadline = read_deadline_seconds
        self._pool = BoundedPool("ec2", threads, per_endpoint)
        self._clients: dict[tuple[str | None, str | None, bool], Any] = {}
        self._making = threading.Lock()

    async def status(self, resource: Resource) -> ProviderStatus:
        """State, status checks, scheduled events and the console's end, asked at once. Only the state must answer."""
        ids = [_instance(resource)]
        told, checks, console = await asyncio.gather(
            self._read(resource, "DescribeInstances", lambda ec2: ec2.describe_instances(InstanceIds=ids)),
            self._best_effort(
                resource,
                "DescribeInstanceStatus",
                lambda ec2: ec2.describe_instance_status(InstanceIds=ids, IncludeAllInstances=True),
            ),
            self._best_effort(resource, "GetConsoleOutput", lambda ec2: ec2.get_console_output(InstanceId=ids[0])),
        )
        return _status(resource, told, checks, console)

    async def soft_reboot(self, resource: Resource) -> str:
        """RebootInstances: EC2 asks the guest, and forces it after some minutes."""
        ids = [_instance(resource)]
        await self._write(resource, "soft_reboot", lambda ec2: ec2.reboot_instances(InstanceIds=ids))
        return f"EC2 took the request to reboot {ids[0]}"

    async def start(self, resource: Resource) -> str:
        """StartInstances."""
        ids = [_instance(resource)]
        answer = await self._write(resource, "start", lambda ec2: ec2.start_instances(InstanceIds=ids))
        return _change(ids[0], answer.get("StartingInstances"))

    async def stop(self, resource: Resource, *, force: bool) -> str:
        """StopInstances; with force, the guest gets no time to flush."""
        ids = [_instance(resource)]
        call = "force_stop" if force else "stop"
        answer = await self._write(resource, call, lambda ec2: ec2.stop_instances(InstanceIds=ids, Force=force))
        return _change(ids[0], answer.get("StoppingInstances"))

    def render(self, resource: Resource, call: Literal["soft_reboot", "start", "stop", "force_stop"]) -> str:
        """`ec2.RebootInstances(InstanceIds=['i-0abc'], region=eu-west-1)`"""
        operation, options = _CALLS[call]
        return _rendered(resource, operation, options)

    async def close(self) -> None:
        """Take no more calls. Those under way end by their own timeouts."""
        self._pool.close()
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    # -- calling ---------------------------------------------------------------------------------------

    async def _read(self, resource: Resource, operation: str, call: Callable[[Any], Any]) -> Mapping[str, Any]:
        asked = _rendered(resource, operation)
        return await self._call(resource, asked, False, call, self._read_deadline)

    async def _best_effort(
        self, resource: Resource, operation: str, call: Callable[[Any], Any]
    ) -> Mapping[str, Any] | ProviderError:
        try:
            return await self._read(resource, operation, call)
        except ProviderError as error:
            return error

    async def _write(self, resource: Resource, name: str, call: Callable[[Any], Any]) -> Mapping[str, Any]:
        operation, options = _CALLS[name]
        asked = _rendered(resource, operation, options)
        seconds = self._connect_seconds + self._read_seconds + _POOL_MARGIN_SECONDS
        return await self._call(resource, asked, True, call, seconds)

    async def _call(
        self, resource: Resource, asked: str, writes: bool, call: Callable[[Any], Any], seconds: float
    ) -> Mapping[str, Any]:
        region, endpoint = resource.provider.region, resource.provider.endpoint_url

        def work() -> Any:
            # In the thread, as the first of these imports boto3 and reads its models.
            from tools.clients.providers.ec2_errors import translated

            try:
                return call(self._client(region, endpoint, writes))
            except Exception as error:  # botocore's exceptions have no common meaning; each is told apart there
                raise translated(asked, error) from error

        try:
            answer = await self._pool.call(f"{region} {endpoint}", work, seconds)
        except PoolTimeout as error:
            # Whether a slow call reached EC2 can't be known, so it may have.
            raise ProviderError(f"{asked}: {error}", temporary=True, sent=writes and error.started) from error
        return cast(Mapping[str, Any], answer)

    def _client(self, region: str | None, endpoint: str | None, writes: bool) -> Any:
        """A client for reading or for writing, made once: making one takes a while and is not thread-safe."""
        key = (region, endpoint, writes)
        with self._making:
            if key not in self._clients:
                self._clients[key] = self._make_client(region, endpoint, tries=1 if writes else 2)
            return self._clients[key]

    def _make_client(self, region: str | None, endpoint: str | None, tries: int) -> Any:
        import boto3  # slow to import, and not needed where no resource has this provider
        from botocore.config import Config

        config = Config(
            connect_timeout=self._connect_seconds,
            read_timeout=self._read_seconds,
            retries={"mode": "standard", "total_max_attempts": tries},
            max_pool_connections=12,
        )
        session = boto3.session.Session()
        return session.client("ec2", region_name=region, endpoint_url=endpoint, config=config)


# -- reading answers -------------------------------------------------------------------------------------


def _instance(resource: Resource) -> str:
    instance = resource.provider.instance_id
    if not instance:
        raise ProviderError(f"{resource.key} has no `instance_id` in its provider entry: add it", temporary=False)
    return instance


def _rendered(resource: Resource, operation: str, options: str = "") -> str:
    access = resource.provider
    where = f"region={access.region or 'default'}"
    if access.endpoint_url:
        where += f", endpoint={access.endpoint_url}"
    instance = repr(access.instance_id)
    ids = f"InstanceId={instance}" if operation == "GetConsoleOutput" else f"InstanceIds=[{instance}]"
    return f"ec2.{operation}({ids}, {options}{where})"


def _status(
    resource: Resource,
    told: Mapping[str, Any],
    checks: Mapping[str, Any] | ProviderError,
    console: Mapping[str, Any] | ProviderError,
) -> ProviderStatus:
    instances = [item for reservation in told.get("Reservations", ()) for item in reservation.get("Instances", ())]
    if not instances:
        raise ProviderError(
            f"{_rendered(resource, 'DescribeInstances')}: EC2 knows no such instance: check instance_id and region",
            temporary=False,
        )
    instance = instances[0]
    found = [] if isinstance(checks, ProviderError) else checks.get("InstanceStatuses", [])
    check: Mapping[str, Any] = found[0] if found else {}
    state = instance.get("State", {}).get("Name")
    return ProviderStatus(
        state=cast(InstanceState, state if state in _STATES else "unknown"),
        instance_check=_check(check, "InstanceStatus"),
        system_check=_check(check, "SystemStatus"),
        launched_at=_aware(instance.get("LaunchTime")),
        instance_type=str(instance.get("InstanceType", "")),
        state_reason=redact(_reason(instance)),
        events=tuple(redact(_event(event)) for event in check.get("Events", ())),
        console_tail="" if isinstance(console, ProviderError) else _tail(console.get("Output")),
    )


def _reason(instance: Mapping[str, Any]) -> str:
    """Why the state last changed, e.g. `Client.UserInitiatedShutdown …; User initiated (2026-11-24 12:00:00 GMT)`."""
    words = (instance.get("StateReason", {}).get("Message"), instance.get("StateTransitionReason"))
    return "; ".join(str(word) for word in words if word)[:300]


def _event(event: Mapping[str, Any]) -> str:
    begins = _aware(event.get("NotBefore"))
    when = f" not before {begins:%Y-%m-%d %H:%M} UTC" if begins else ""
    return f"{event.get('Code', 'event')}{when}: {event.get('Description', '')}"[:300]


def _check(status: Mapping[str, Any], which: str) -> StatusCheck:
    value = status.get(which, {}).get("Status")
    return cast(StatusCheck, value if value in _CHECKS else "unknown")


def _tail(output: Any) -> str:
    # Redacted before it is cut: half a secret is not recognised as one.
    return redact(str(output or "")[-8 * CONSOLE_TAIL_CHARS :])[-CONSOLE_TAIL_CHARS:]


def _aware(value: Any) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def _change(instance: str, changes: Any) -> str:
    for change in changes or ():
        if change.get("InstanceId") == instance:
            before, after = (change.get(key, {}).get("Name") for key in ("PreviousState", "CurrentState"))
            return f"EC2 says {instance} goes from {before} to {after}"
    return f"EC2 took the request for {instance}, without telling its state"

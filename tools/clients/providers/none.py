"""No provider: hosts that are reached by SSH only, so nobody can tell or reboot them from outside."""

from __future__ import annotations

from typing import Literal, NoReturn

from graph.records import Resource
from tools.clients.providers.provider import ProviderError, ProviderStatus


class NoProvider:
    """Knows nothing, and refuses to do anything."""

    name = "none"

    async def status(self, resource: Resource) -> ProviderStatus:
        """Always `unknown`."""
        return ProviderStatus(state="unknown", state_reason=f"{resource.key} has no provider to ask")

    async def soft_reboot(self, resource: Resource) -> str:
        """Refused."""
        self._refuse(resource, "rebooted")

    async def start(self, resource: Resource) -> str:
        """Refused."""
        self._refuse(resource, "started")

    async def stop(self, resource: Resource, *, force: bool) -> str:
        """Refused."""
        self._refuse(resource, "stopped")

    async def close(self) -> None:
        """Nothing is kept open."""

    def render(self, resource: Resource, call: Literal["soft_reboot", "start", "stop", "force_stop"]) -> str:
        """Says that there is nothing to call."""
        return f"(no provider for {resource.key}: {call} is not possible)"

    def _refuse(self, resource: Resource, done: str) -> NoReturn:
        raise ProviderError(
            f"{resource.key} has no provider and can't be {done} from outside: "
            "declare `provider` (name, instance_id) for this resource, or do it by hand",
            temporary=False,
            sent=False,
        )

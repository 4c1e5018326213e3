"""No provider: hosts that are reached by SSH only, so nobody can tell or reboot them from outside."""

from __future__ import annotations

from graph.records import Resource
from tools.clients.providers.provider import ProviderStatus
from tools.clients.providers.refusing import RefusingProvider


class NoProvider(RefusingProvider):
    """Knows nothing, and refuses to do anything."""

    name = "none"

    async def status(self, resource: Resource) -> ProviderStatus:
        """Always `unknown`."""
        return ProviderStatus(state="unknown", state_reason=f"{resource.key} has no provider to ask")

"""Ask a host to reboot: through its provider, which also reaches a host that hangs; else over SSH."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from graph.kind import ActionSpec
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, NotAllowed, place
from tools.actions.boots import boot_baseline, boot_of, probe_reboot
from tools.actions.claimed import claim_of, run_claimed
from tools.actions.on_provider import NoParams, must_be, provider_baseline, provider_of, too_early
from tools.clients.host import HostUnreachable
from tools.clients.providers.provider import Provider
from tools.services.units import sudo

_ON_HOST_SECONDS = 20


class SoftReboot(Action[NoParams]):
    """Returns as soon as the reboot is asked for; a `wait` step waits for the host."""

    spec = ActionSpec(
        name="soft_reboot",
        summary="reboot the host: through its provider, else over SSH",
        risk="disruptive",
        params=NoParams,
        deadline_seconds=45.0,
    )
    params = NoParams

    def admit(self, resource: Resource, params: NoParams) -> NoParams:
        """Needs a provider, or a host that is not the one we run on."""
        if self._provider(resource) is None and resource.transport == "local":
            raise NotAllowed("action", f"{resource.key} is the machine we run on: rebooting it would end this repair")
        return params

    def render(self, resource: Resource, params: NoParams) -> str:
        """The API call, or `selfheal@10.0.0.5:22$ systemctl reboot`."""
        provider = self._provider(resource)
        return provider.render(resource, "soft_reboot") if provider else f"{place(resource)}$ {_command(resource)}"

    async def precondition(self, resource: Resource, params: NoParams) -> str | None:
        """The provider says that it runs; without a provider, the host answers."""
        if provider := self._provider(resource):
            return must_be("running", await provider.status(resource), resource)
        try:
            await boot_of(self.context.hosts, resource)
        except HostUnreachable as error:
            return f"no provider to reboot it, and it does not answer over SSH: {error}"
        return None

    async def baseline(self, resource: Resource, params: NoParams) -> dict[str, Any]:
        """The host's boot, where it answers, and the provider's state."""
        found = await boot_baseline(self.context.hosts, resource, self.context.clock.now())
        return found | (await provider_baseline(self.context, resource) if self._provider(resource) else {})

    async def run(self, resource: Resource, params: NoParams, key: str, first_started_at: datetime) -> ActionOutput:
        """Ask for the reboot."""
        if provider := self._provider(resource):
            return ActionOutput("succeeded", await provider.soft_reboot(resource))
        return await run_claimed(self.context, resource, key, _command(resource), _ON_HOST_SECONDS)

    async def probe(self, resource: Resource, params: NoParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """The host's boot against the baseline's."""
        now = self.context.clock.now()
        found = too_early(
            await probe_reboot(self.context.hosts, resource, baseline, now), baseline, self.spec.deadline_seconds, now
        )
        if found.effect == "no_effect" and self._provider(resource) is None:
            claim = await claim_of(self.context, resource, key)
            if claim.status != "absent":
                # Claimed, so this key can never act again; and a shutdown may take longer than the deadline.
                return Probe("unknown", f"{found.observed}, though the reboot was asked for there")
        return found

    def _provider(self, resource: Resource) -> Provider | None:
        return None if resource.provider.name == "none" else provider_of(self.context, resource)


def _command(resource: Resource) -> str:
    does = "systemctl reboot" if resource.service_manager.name == "systemd" else "shutdown -r now"
    return f"{sudo(resource)}{does}"

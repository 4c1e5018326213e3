"""Grow a disk at the provider, then its partition and file system on the host, while both are in use.

One declared action, several steps, and a process may die between them. So `run` goes by what it finds: it asks for the
size only where the disk is smaller, waits for it, and tells the host to take what is there, which changes nothing where
it already has. Only a volume that the resource declares, only up to what it declares; and there is no way back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from graph.kind import ActionSpec
from graph.ports import ActionOutput, Probe
from graph.records import Resource
from tools.actions.action import Action, NotAllowed, Params, place
from tools.actions.claimed import claim_of, probe_of_claim, run_claimed
from tools.actions.grow_file_system import GROW_SECONDS, grow_command, size_command
from tools.actions.on_provider import named, provider_of
from tools.actions.volumes import NEAR, behind, volume_at
from tools.clients.host import HostUnreachable
from tools.clients.providers.provider import Provider, ProviderError

_DEADLINE_SECONDS = 420.0
_MARGIN_SECONDS = GROW_SECONDS + 20.0
_POLL_SECONDS = 2.0


class VolumeParams(Params):
    """Which declared volume, and the size it should have."""

    mount: str = Field(min_length=1, max_length=1024, description="the mount of one of the resource's volumes")
    size_gib: int = Field(ge=1, le=65536, description="the size it shall have, within what the resource allows")


class ExpandVolume(Action[VolumeParams]):
    """Costs money and can't be taken back: destructive."""

    spec = ActionSpec(
        name="expand_volume",
        summary="grow a declared volume at its provider, then its partition and file system, online",
        risk="destructive",
        params=VolumeParams,
        deadline_seconds=_DEADLINE_SECONDS,
    )
    params = VolumeParams

    def admit(self, resource: Resource, params: VolumeParams) -> VolumeParams:
        """A declared volume with its provider's name, up to its declared size."""
        provider_of(self.context, resource)
        volume = volume_at(resource, params.mount)
        if volume is None or volume.volume_id is None:
            known = ", ".join(item.mount for item in resource.volumes if item.volume_id) or "none"
            raise NotAllowed("mount", f"{params.mount!r} is no volume declared with a volume_id (declared: {known})")
        if params.size_gib > volume.max_gib:
            raise NotAllowed("size_gib", f"{params.mount} may have {volume.max_gib:g} GiB at most")
        return params

    def render(self, resource: Resource, params: VolumeParams) -> str:
        """The API call, then the command on the host."""
        grow = provider_of(self.context, resource).render(
            resource, "grow_volume", volume_id=_id_of(resource, params), size_gib=params.size_gib
        )
        return f"{grow}; once it has that size: {place(resource)}$ {self._command(resource, params)}"

    async def precondition(self, resource: Resource, params: VolumeParams) -> str | None:
        """It is this instance's, smaller, by no more than a step, and not being changed."""
        volume = volume_at(resource, params.mount)
        assert volume is not None, "admit has seen to it"
        status = await provider_of(self.context, resource).volume(resource, volume_id=_id_of(resource, params))
        what = f"{status.volume_id} ({params.mount})"
        if status.modifying:
            return f"{what} is still being changed ({status.state or 'modifying'})"
        if status.attached_to not in (None, resource.provider.instance_id):
            return f"{what} belongs to {status.attached_to}, not to {named(resource)}"
        kib = await self._file_system(resource, params)
        if kib is None:
            return f"no file system is seen at {params.mount}: nothing to grow"
        if status.size_gib >= params.size_gib and not behind(kib / 1024, status.size_gib):
            return f"{what} has {status.size_gib} GiB already, and so has its file system"
        if status.size_gib > params.size_gib:
            return f"{what} has {status.size_gib} GiB: more than was meant"
        if params.size_gib - status.size_gib > math.ceil(volume.step_gib):
            return (
                f"{what} has {status.size_gib} GiB: {params.size_gib} would be more than a step of {volume.step_gib:g}"
            )
        return None

    async def baseline(self, resource: Resource, params: VolumeParams) -> dict[str, Any]:
        """`size_gib` at the provider and `file_system_kib` on the host; None each where they do not tell."""
        size: int | None = None
        kib: int | None = None
        unknown = ""
        try:
            provider = provider_of(self.context, resource)
            size = (await provider.volume(resource, volume_id=_id_of(resource, params))).size_gib
            kib = await self._file_system(resource, params)
        except (ProviderError, HostUnreachable) as error:
            unknown = str(error)
        return {"size_gib": size, "file_system_kib": kib} | ({"unknown": unknown} if unknown else {})

    async def run(self, resource: Resource, params: VolumeParams, key: str, first_started_at: datetime) -> ActionOutput:
        """Grow what is smaller, wait for it, have the host take it."""
        provider = provider_of(self.context, resource)
        give_up = first_started_at + timedelta(seconds=_DEADLINE_SECONDS - _MARGIN_SECONDS)
        if self.context.clock.now() >= give_up:
            return ActionOutput("failed", "begun too late, after its deadline: nothing was asked for")
        status = await provider.volume(resource, volume_id=_id_of(resource, params))
        told = [f"found {status.volume_id} with {status.size_gib} GiB"]
        if status.size_gib < params.size_gib and not status.modifying:
            told.append(await provider.grow_volume(resource, volume_id=status.volume_id, size_gib=params.size_gib))
        if not await self._grown(provider, resource, params, give_up, told):
            return ActionOutput("unknown", "; ".join(told))
        try:
            output = await run_claimed(self.context, resource, key, self._command(resource, params), GROW_SECONDS)
        except HostUnreachable as error:
            return ActionOutput("unknown", "; ".join((*told, f"the host could not be told to take it: {error}")))
        return ActionOutput(output.status, "; ".join((*told, output.output)))

    async def _grown(
        self, provider: Provider, resource: Resource, params: VolumeParams, give_up: datetime, told: list[str]
    ) -> bool:
        """Whether the disk has got its size. Its provider may go on optimising it: it can be used meanwhile."""
        while True:
            try:
                status = await provider.volume(resource, volume_id=_id_of(resource, params))
                if status.size_gib >= params.size_gib:
                    told.append(f"it has {status.size_gib} GiB now")
                    return True
            except ProviderError as error:
                if not error.temporary:
                    told.append(str(error))
                    return False
            if self.context.clock.now() >= give_up:
                told.append("it did not get its size in time")
                return False
            await self.context.clock.sleep(_POLL_SECONDS)

    async def probe(self, resource: Resource, params: VolumeParams, key: str, baseline: Mapping[str, Any]) -> Probe:
        """Both sizes against the baseline's.

        A disk that has grown under a file system that has not is half done: `no_effect`, since running it again is safe
        and then only does the rest. So it is where nothing has been begun. A command on the host that was begun is not
        begun again under the same key.
        """
        status = await provider_of(self.context, resource).volume(resource, volume_id=_id_of(resource, params))
        said = f"the provider says {status.volume_id} has {status.size_gib} GiB"
        kib = await self._file_system(resource, params)
        before = baseline.get("file_system_kib")
        if kib and before and kib > before and kib >= status.size_gib * (1 << 20) * NEAR * _share(before, baseline):
            return Probe("took_effect", f"{said}, and the file system at {params.mount} has grown to {kib >> 10} MiB")
        claim = await claim_of(self.context, resource, key)
        if claim.status == "absent":
            return Probe("no_effect", f"{said}, and the host has not been told: running this again does what is left")
        proven = probe_of_claim(claim, resource)
        return proven or Probe("unknown", f"{said}; the host was told, but its file system has not grown")

    def _command(self, resource: Resource, params: VolumeParams) -> str:
        volume = volume_at(resource, params.mount)
        return grow_command(resource, params.mount, params.size_gib, volume.device if volume else None)

    async def _file_system(self, resource: Resource, params: VolumeParams) -> int | None:
        """KiB that the file system at that very mount has; None where there is none."""
        result = await self.context.hosts.run(resource, size_command(params.mount))
        size = result.stdout.strip()
        return int(size) if result.ok and size.isdigit() else None


def _id_of(resource: Resource, params: VolumeParams) -> str:
    volume = volume_at(resource, params.mount)
    if volume is None or volume.volume_id is None:
        raise NotAllowed("mount", f"{params.mount!r} is no volume declared with a volume_id")
    return volume.volume_id


def _share(before_kib: int, baseline: Mapping[str, Any]) -> float:
    """How much of the disk its file system had before: a partition table may leave it a part only."""
    size = baseline.get("size_gib")
    return min(1.0, before_kib / (size * (1 << 20))) if size else 1.0

"""What EC2 answers about a volume, in the words of the port. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.clients.providers.provider import ProviderError, VolumeStatus


def volume_of(
    volume_id: str, told: Mapping[str, Any], modifications: Mapping[str, Any] | ProviderError
) -> VolumeStatus:
    """From DescribeVolumes and DescribeVolumesModifications. Raises ProviderError where there is no such volume.

    A volume that is being optimised has its new size and can be used, but takes no other change until it is done, nor
    for six hours after (EC2 User Guide, "Modify an EBS volume").
    """
    volumes = told.get("Volumes", ())
    if not volumes:
        raise ProviderError(f"EC2 knows no volume {volume_id}: check volumes and region", temporary=False)
    volume = volumes[0]
    latest = _latest(modifications)
    state = str(latest.get("ModificationState", ""))
    attached = [item.get("InstanceId") for item in volume.get("Attachments", ()) if item.get("InstanceId")]
    progress = f" {latest['Progress']} %" if state in ("modifying", "optimizing") and "Progress" in latest else ""
    return VolumeStatus(
        volume_id=volume_id,
        size_gib=int(volume.get("Size", 0)),
        state=f"{state}{progress}" or str(volume.get("State", "")),
        modifying=state in ("modifying", "optimizing"),
        attached_to=str(attached[0]) if attached else None,
    )


def _latest(modifications: Mapping[str, Any] | ProviderError) -> Mapping[str, Any]:
    # a volume that was never changed has none, and EC2 answers so with an error
    if isinstance(modifications, ProviderError):
        return {}
    changes = [item for item in modifications.get("VolumesModifications", ()) if isinstance(item, Mapping)]
    return max(changes, key=lambda item: str(item.get("StartTime", "")), default={})

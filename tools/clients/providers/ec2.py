"""EC2 with its volumes, security groups, addresses, load balancers and Auto Scaling groups, through boto3.

What is sent and how is in `aws_requests` and `aws_api`, what answers mean in a file for each service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from graph.records import Resource
from graph.resources import Ingress
from tools.clients.providers.autoscaling import capacity_of
from tools.clients.providers.aws_api import AwsApi
from tools.clients.providers.aws_requests import Request, instance_of, rendered, request_of
from tools.clients.providers.ec2_network import address_of, groups_of
from tools.clients.providers.ec2_reading import CONSOLE_TAIL_CHARS, change_of, status_of
from tools.clients.providers.ec2_volumes import volume_of
from tools.clients.providers.elbv2 import targets_of
from tools.clients.providers.provider import (
    AddressStatus,
    Call,
    CapacityStatus,
    ProviderStatus,
    SecurityGroupStatus,
    TargetStatus,
    VolumeStatus,
)
from tools.clients.providers.refusing import RefusingProvider
from tools.clients.recording import Recorder

__all__ = ("CONSOLE_TAIL_CHARS", "Ec2Provider")


class AwsProvider(RefusingProvider):
    """What the providers of AWS's services have in common. Options are those of `AwsApi`."""

    def __init__(self, recorder: Recorder | None = None, **options: Any) -> None:
        self._api = AwsApi(recorder, **options)

    def render(self, resource: Resource, call: Call, **arguments: Any) -> str:
        """`ec2.RebootInstances(InstanceIds=['i-0abc'], region=eu-west-1)`"""
        return rendered(resource, request_of(resource, call, **arguments))

    async def close(self) -> None:
        """Take no more calls. Those under way end by their own timeouts."""
        self._api.close()

    async def _write(self, resource: Resource, call: Call, **arguments: Any) -> Mapping[str, Any] | None:
        return await self._api.write(resource, request_of(resource, call, **arguments))

    async def _done(self, words: str, resource: Resource, call: Call, **arguments: Any) -> str:
        """Make the call; `words` is what became of it."""
        answer = await self._write(resource, call, **arguments)
        return words if answer is not None else self._not_sent(resource, call, **arguments)

    def _not_sent(self, resource: Resource, call: Call, **arguments: Any) -> str:
        return f"dry run, not sent: {self.render(resource, call, **arguments)}"


class Ec2Provider(AwsProvider):
    """Instances of EC2, and what hangs on them."""

    name = "ec2"

    # -- instances ---------------------------------------------------------------------------------------

    async def status(self, resource: Resource) -> ProviderStatus:
        """State, status checks, scheduled events and the console's end, asked at once. Only the state must answer."""
        ids = [instance_of(resource)]
        asked = Request("ec2", "DescribeInstances", {"InstanceIds": ids})
        checks = Request("ec2", "DescribeInstanceStatus", {"InstanceIds": ids, "IncludeAllInstances": True})
        console = Request("ec2", "GetConsoleOutput", {"InstanceId": ids[0]})
        told = await asyncio.gather(
            self._api.read(resource, asked),
            self._api.try_read(resource, checks),
            self._api.try_read(resource, console),
        )
        return status_of(rendered(resource, asked), *told)

    async def soft_reboot(self, resource: Resource) -> str:
        """RebootInstances: EC2 asks the guest, and forces it after some minutes."""
        return await self._done(
            f"EC2 took the request to reboot {instance_of(resource)}", resource, "soft_reboot"
        )  # fmt: skip

    async def start(self, resource: Resource) -> str:
        """StartInstances."""
        answer = await self._write(resource, "start")
        if answer is None:
            return self._not_sent(resource, "start")
        return change_of(instance_of(resource), answer.get("StartingInstances"))

    async def stop(self, resource: Resource, *, force: bool) -> str:
        """StopInstances; with force, the guest gets no time to flush."""
        call: Call = "force_stop" if force else "stop"
        answer = await self._write(resource, call)
        if answer is None:
            return self._not_sent(resource, call)
        return change_of(instance_of(resource), answer.get("StoppingInstances"))

    async def set_instance_type(self, resource: Resource, *, instance_type: str) -> str:
        """ModifyInstanceAttribute: of a stopped instance only."""
        words = f"EC2 has {instance_of(resource)} as {instance_type} now"
        return await self._done(words, resource, "set_instance_type", instance_type=instance_type)

    # -- volumes -----------------------------------------------------------------------------------------

    async def volume(self, resource: Resource, *, volume_id: str) -> VolumeStatus:
        """Size, attachment, and whether a change of it is under way. Only the volume itself must be told."""
        ids = {"VolumeIds": [volume_id]}
        told, changes = await asyncio.gather(
            self._api.read(resource, Request("ec2", "DescribeVolumes", ids)),
            self._api.try_read(resource, Request("ec2", "DescribeVolumesModifications", ids)),
        )
        return volume_of(volume_id, told, changes)

    async def grow_volume(self, resource: Resource, *, volume_id: str, size_gib: int) -> str:
        """ModifyVolume, which refuses to shrink."""
        words = f"EC2 took the request to grow {volume_id} to {size_gib} GiB"
        return await self._done(words, resource, "grow_volume", volume_id=volume_id, size_gib=size_gib)

    # -- network -----------------------------------------------------------------------------------------

    async def security_groups(self, resource: Resource, *, ids: Sequence[str]) -> tuple[SecurityGroupStatus, ...]:
        """DescribeSecurityGroups."""
        return groups_of(await self._api.read(resource, Request("ec2", "DescribeSecurityGroups", {"GroupIds": [*ids]})))

    async def allow_ingress(self, resource: Resource, *, group_id: str, rule: Ingress) -> str:
        """AuthorizeSecurityGroupIngress."""
        return await self._done(
            f"{group_id} allows {rule} now", resource, "allow_ingress", group_id=group_id, rule=rule
        )

    async def revoke_ingress(self, resource: Resource, *, group_id: str, rule: Ingress) -> str:
        """RevokeSecurityGroupIngress."""
        words = f"{group_id} allows {rule} no more"
        return await self._done(words, resource, "revoke_ingress", group_id=group_id, rule=rule)

    async def address(self, resource: Resource, *, allocation_id: str) -> AddressStatus:
        """DescribeAddresses."""
        asked = Request("ec2", "DescribeAddresses", {"AllocationIds": [allocation_id]})
        return address_of(allocation_id, await self._api.read(resource, asked))

    async def move_address(self, resource: Resource, *, allocation_id: str, to_instance: str) -> str:
        """AssociateAddress, which takes the address from whoever has it."""
        words = f"{allocation_id} leads to {to_instance} now"
        return await self._done(
            words, resource, "move_address", allocation_id=allocation_id, to_instance=to_instance
        )  # fmt: skip

    async def targets(self, resource: Resource, *, target_group: str) -> tuple[TargetStatus, ...]:
        """DescribeTargetHealth."""
        asked = Request("elbv2", "DescribeTargetHealth", {"TargetGroupArn": target_group})
        return targets_of(await self._api.read(resource, asked))

    async def register_target(
        self, resource: Resource, *, target_group: str, instance_id: str, port: int | None
    ) -> str:
        """RegisterTargets."""
        arguments = {"target_group": target_group, "instance_id": instance_id, "port": port}
        return await self._done(f"{instance_id} is a target now", resource, "register_target", **arguments)

    async def deregister_target(
        self, resource: Resource, *, target_group: str, instance_id: str, port: int | None
    ) -> str:
        """DeregisterTargets."""
        arguments = {"target_group": target_group, "instance_id": instance_id, "port": port}
        return await self._done(f"{instance_id} is a target no more", resource, "deregister_target", **arguments)

    # -- groups ------------------------------------------------------------------------------------------

    async def capacity(self, resource: Resource, *, group: str) -> CapacityStatus:
        """DescribeAutoScalingGroups."""
        asked = Request("autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": [group]})
        return capacity_of(group, await self._api.read(resource, asked))

    async def set_capacity(self, resource: Resource, *, group: str, desired: int) -> str:
        """SetDesiredCapacity."""
        words = f"{group} shall have {desired} instances"
        return await self._done(words, resource, "set_capacity", group=group, desired=desired)

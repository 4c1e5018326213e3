"""Each call that changes something, as the one request that is shown in plans, put on record and sent.

Pure. What is rendered is made of the very params that boto3 gets, so the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from graph.records import Resource
from graph.resources import Ingress
from tools.clients.providers.provider import Call, ProviderError

Service = Literal["ec2", "elbv2", "autoscaling", "rds"]


@dataclass(frozen=True)
class Request:
    """One operation of one AWS service, named as AWS documents it."""

    service: Service
    operation: str
    params: Mapping[str, Any] = field(default_factory=dict)


def rendered(resource: Resource, request: Request) -> str:
    """`ec2.RebootInstances(InstanceIds=['i-0abc'], region=eu-west-1)`"""
    access = resource.provider
    words = [f"{name}={value!r}" for name, value in request.params.items()]
    words.append(f"region={access.region or 'default'}")
    if access.endpoint_url:
        words.append(f"endpoint={access.endpoint_url}")
    return f"{request.service}.{request.operation}({', '.join(words)})"


def request_of(resource: Resource, call: Call, **arguments: Any) -> Request:
    """The request of a call, by the arguments of the provider's method of that name."""
    return _REQUESTS[call](resource, **arguments)


def instance_of(resource: Resource) -> str:
    """The provider's name of the resource. Raises ProviderError where it is not declared."""
    instance = resource.provider.instance_id
    if not instance:
        raise ProviderError(f"{resource.key} has no `instance_id` in its provider entry: add it", temporary=False)
    return instance


def _on_instance(operation: str, **options: Any) -> Callable[[Resource], Request]:
    return lambda resource: Request("ec2", operation, {"InstanceIds": [instance_of(resource)], **options})


def _instance_type(resource: Resource, instance_type: str) -> Request:
    params = {"InstanceId": instance_of(resource), "InstanceType": {"Value": instance_type}}
    return Request("ec2", "ModifyInstanceAttribute", params)


def _grow(resource: Resource, volume_id: str, size_gib: int) -> Request:
    return Request("ec2", "ModifyVolume", {"VolumeId": volume_id, "Size": size_gib})


def _ingress(operation: str) -> Callable[..., Request]:
    def request(resource: Resource, group_id: str, rule: Ingress) -> Request:
        ranges = (
            {"Ipv6Ranges": [{"CidrIpv6": rule.cidr}]} if ":" in rule.cidr else {"IpRanges": [{"CidrIp": rule.cidr}]}
        )
        permission = {"IpProtocol": rule.protocol, "FromPort": rule.port, "ToPort": rule.port, **ranges}
        return Request("ec2", operation, {"GroupId": group_id, "IpPermissions": [permission]})

    return request


def _move_address(resource: Resource, allocation_id: str, to_instance: str) -> Request:
    params = {"AllocationId": allocation_id, "InstanceId": to_instance, "AllowReassociation": True}
    return Request("ec2", "AssociateAddress", params)


def _target(operation: str) -> Callable[..., Request]:
    def request(resource: Resource, target_group: str, instance_id: str, port: int | None) -> Request:
        target = {"Id": instance_id} | ({} if port is None else {"Port": port})
        return Request("elbv2", operation, {"TargetGroupArn": target_group, "Targets": [target]})

    return request


def _capacity(resource: Resource, group: str, desired: int) -> Request:
    params = {"AutoScalingGroupName": group, "DesiredCapacity": desired, "HonorCooldown": False}
    return Request("autoscaling", "SetDesiredCapacity", params)


def _reboot_database(resource: Resource, failover: bool = False) -> Request:
    options = {"ForceFailover": True} if failover else {}
    return Request("rds", "RebootDBInstance", {"DBInstanceIdentifier": instance_of(resource), **options})


def _promote_database(resource: Resource) -> Request:
    return Request("rds", "PromoteReadReplica", {"DBInstanceIdentifier": instance_of(resource)})


_REQUESTS: Mapping[Call, Callable[..., Request]] = {
    "soft_reboot": _on_instance("RebootInstances"),
    "start": _on_instance("StartInstances"),
    "stop": _on_instance("StopInstances"),
    "force_stop": _on_instance("StopInstances", Force=True),
    "set_instance_type": _instance_type,
    "grow_volume": _grow,
    "allow_ingress": _ingress("AuthorizeSecurityGroupIngress"),
    "revoke_ingress": _ingress("RevokeSecurityGroupIngress"),
    "move_address": _move_address,
    "register_target": _target("RegisterTargets"),
    "deregister_target": _target("DeregisterTargets"),
    "set_capacity": _capacity,
    "reboot_database": _reboot_database,
    "promote_database": _promote_database,
}

"""Actions through real boto3 against moto's server, reading back its state; and what is seen there as evidence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from agents.instance import INSTANCE
from graph.fakes import FakeClock
from graph.ports import ActionOutput
from graph.records import PlanStep, Resource
from graph.resources import Failover, Ingress, Scaling, SecurityGroup
from tests.tools.moto_cloud import CREDENTIALS, client, machine, moto_server, run_instance
from tools.actions.action import ActionContext
from tools.actions.catalogue import Catalogue
from tools.clients.memory import MemoryHosts
from tools.clients.providers.ec2 import Ec2Provider
from tools.evidence.provider_more import more_of

RULE = Ingress(port=8080, cidr="10.0.0.0/8")


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    with moto_server() as url, pytest.MonkeyPatch.context() as environment:
        for name, value in CREDENTIALS.items():
            environment.setenv(name, value)
        yield url


@pytest.fixture
async def ec2() -> AsyncIterator[Ec2Provider]:
    provider = Ec2Provider(read_seconds=6.0)
    yield provider
    await provider.close()


def declared(cloud: str, **more: Any) -> Resource:
    return machine(cloud, run_instance(cloud)).model_copy(update=more)


def standby(cloud: str) -> Resource:
    return machine(cloud, run_instance(cloud)).model_copy(update={"id": "inst-2"})


async def done(ec2: Ec2Provider, resource: Resource, step: PlanStep, *others: Resource) -> ActionOutput:
    """The step, as a heal does it: completed, its precondition asked, run."""
    inventory: Mapping[str, Resource] = {item.key: item for item in (resource, *others)}
    clock = FakeClock()
    catalogue = Catalogue(ActionContext(MemoryHosts(up=False), clock, {"ec2": ec2}, inventory=inventory))
    whole = await catalogue.complete(resource, INSTANCE, step)
    assert await catalogue.precondition(resource, whole) is None
    baseline = await catalogue.baseline(resource, whole)
    output = await catalogue.run(resource, whole, "0190:1:0", clock.now())
    clock.advance(3600)
    assert (await catalogue.probe(resource, whole, "0190:1:0", baseline)).effect == "took_effect"
    return output


async def test_a_running_instance_becomes_a_larger_one(ec2: Ec2Provider, cloud: str) -> None:
    here = declared(cloud, scaling=Scaling(instance_types=("t3.micro", "t3.small")))
    step = PlanStep(action="resize_instance", params={"instance_type": "t3.small"})
    assert (await done(ec2, here, step)).status == "succeeded"
    told = client("ec2", cloud).describe_instances(InstanceIds=[here.provider.instance_id])
    instance = told["Reservations"][0]["Instances"][0]
    assert (instance["InstanceType"], instance["State"]["Name"]) == ("t3.small", "running")


async def test_a_group_gets_one_more_instance(ec2: Ec2Provider, cloud: str) -> None:
    scaling, image = client("autoscaling", cloud), client("ec2", cloud).describe_images()["Images"][0]["ImageId"]
    scaling.create_launch_configuration(LaunchConfigurationName="api", ImageId=image, InstanceType="t3.micro")
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="api", LaunchConfigurationName="api", MinSize=1, MaxSize=3, DesiredCapacity=1,
        AvailabilityZones=["eu-west-1a"],
    )  # fmt: skip
    here = declared(cloud, scaling=Scaling(auto_scaling_group="api", max_capacity=2))
    step = PlanStep(action="add_instances", params={"present": 1, "desired": 2})
    assert (await done(ec2, here, step)).status == "succeeded"
    assert len(scaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]) == 2


async def test_a_missing_rule_is_seen_and_added(ec2: Ec2Provider, cloud: str) -> None:
    books = client("ec2", cloud)
    group = books.create_security_group(GroupName="shop", Description="shop")["GroupId"]
    here = declared(cloud, security_groups=(SecurityGroup(id=group, ingress=(RULE,)),))
    (seen,) = await more_of(ec2, here)
    key = f'provider.ingress_missing{{cidr="10.0.0.0/8",group="{group}",port="8080",protocol="tcp"}}'
    assert dict(seen.facts) == {key: True} and group in seen.words
    step = PlanStep(action="allow_ingress", params={"group_id": group, "port": 8080, "cidr": "10.0.0.0/8"})
    assert (await done(ec2, here, step)).status == "succeeded"
    assert books.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    assert dict((await more_of(ec2, here))[0].facts) == {"provider.ingress_ok": True}


async def test_a_group_that_is_not_there_is_told_in_words_and_yields_no_fact(ec2: Ec2Provider, cloud: str) -> None:
    here = declared(cloud, security_groups=(SecurityGroup(id="sg-00000000", ingress=(RULE,)),))
    (seen,) = await more_of(ec2, here)
    assert not seen.facts and "does not exist" in seen.words


async def test_the_floating_address_goes_to_the_standby(ec2: Ec2Provider, cloud: str) -> None:
    books = client("ec2", cloud)
    allocation = books.allocate_address(Domain="vpc")["AllocationId"]
    here, other = declared(cloud, failover=Failover(to="inst-2", allocation_id=allocation)), standby(cloud)
    books.associate_address(AllocationId=allocation, InstanceId=here.provider.instance_id)
    assert dict((await more_of(ec2, here))[0].facts) == {"provider.serves": True}
    assert (await done(ec2, here, PlanStep(action="fail_over"), other)).status == "succeeded"
    told = books.describe_addresses(AllocationIds=[allocation])["Addresses"][0]
    assert told["InstanceId"] == other.provider.instance_id
    assert dict((await more_of(ec2, here))[0].facts) == {"provider.serves": False}


async def test_the_load_balancer_sends_requests_to_the_standby(ec2: Ec2Provider, cloud: str) -> None:
    vpc, balancers = client("ec2", cloud).describe_vpcs()["Vpcs"][0]["VpcId"], client("elbv2", cloud)
    made = balancers.create_target_group(Name="shop", Protocol="HTTP", Port=80, VpcId=vpc)
    arn = made["TargetGroups"][0]["TargetGroupArn"]
    here, other = declared(cloud, failover=Failover(to="inst-2", target_group=arn, port=8080)), standby(cloud)
    balancers.register_targets(TargetGroupArn=arn, Targets=[{"Id": here.provider.instance_id, "Port": 8080}])
    assert (await done(ec2, here, PlanStep(action="fail_over"), other)).status == "succeeded"
    told = balancers.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    assert [item["Target"]["Id"] for item in told] == [other.provider.instance_id]

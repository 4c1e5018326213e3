"""What hangs on instances, and managed databases: through real boto3 against moto's server, reading back its state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from graph.records import Resource
from graph.resources import Ingress
from tests.tools.moto_cloud import CREDENTIALS, client, machine, moto_server, run_instance
from tools.clients.providers.ec2 import Ec2Provider
from tools.clients.providers.provider import ProviderError
from tools.clients.providers.rds import RdsProvider


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    with moto_server() as url, pytest.MonkeyPatch.context() as environment:
        for name, value in CREDENTIALS.items():
            environment.setenv(name, value)
        yield url


@pytest.fixture(scope="module")
def instance(cloud: str) -> Resource:
    return machine(cloud, run_instance(cloud))


@pytest.fixture
async def ec2() -> AsyncIterator[Ec2Provider]:
    provider = Ec2Provider(read_seconds=6.0)
    yield provider
    await provider.close()


@pytest.fixture
async def rds() -> AsyncIterator[RdsProvider]:
    provider = RdsProvider(read_seconds=6.0)
    yield provider
    await provider.close()


async def test_the_type_of_a_stopped_instance_is_changed(ec2: Ec2Provider, cloud: str) -> None:
    there = machine(cloud, run_instance(cloud))
    await ec2.stop(there, force=False)
    await ec2.set_instance_type(there, instance_type="t3.small")
    assert (await ec2.status(there)).instance_type == "t3.small"
    told = client("ec2", cloud).describe_instances(InstanceIds=[there.provider.instance_id])
    assert told["Reservations"][0]["Instances"][0]["InstanceType"] == "t3.small"


async def test_a_volume_is_told_and_grown_and_never_shrunk(ec2: Ec2Provider, cloud: str, instance: Resource) -> None:
    books = client("ec2", cloud)
    volume = books.create_volume(AvailabilityZone="eu-west-1a", Size=8)["VolumeId"]
    books.attach_volume(VolumeId=volume, InstanceId=instance.provider.instance_id, Device="/dev/sdf")
    before = await ec2.volume(instance, volume_id=volume)
    assert (before.size_gib, before.modifying, before.attached_to) == (8, False, instance.provider.instance_id)
    assert "grow" in await ec2.grow_volume(instance, volume_id=volume, size_gib=12)
    assert (await ec2.volume(instance, volume_id=volume)).size_gib == 12
    assert books.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Size"] == 12


async def test_a_volume_that_is_not_there_is_a_permanent_error(ec2: Ec2Provider, instance: Resource) -> None:
    with pytest.raises(ProviderError, match=r"InvalidVolume\.NotFound") as caught:
        await ec2.volume(instance, volume_id="vol-00000000")
    assert not caught.value.temporary


async def test_an_inbound_rule_is_allowed_seen_and_revoked(ec2: Ec2Provider, cloud: str, instance: Resource) -> None:
    books = client("ec2", cloud)
    group = books.create_security_group(GroupName="web", Description="web")["GroupId"]
    rule, other = Ingress(port=8080, cidr="10.0.0.0/8"), Ingress(port=9000)
    assert not (await ec2.security_groups(instance, ids=[group]))[0].allows(rule)
    await ec2.allow_ingress(instance, group_id=group, rule=rule)
    (told,) = await ec2.security_groups(instance, ids=[group])
    assert told.allows(rule) and told.allows(Ingress(port=8080, cidr="10.77.0.0/16")) and not told.allows(other)
    permissions = books.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    assert [(item["FromPort"], item["IpRanges"][0]["CidrIp"]) for item in permissions] == [(8080, "10.0.0.0/8")]
    with pytest.raises(ProviderError, match="Duplicate"):
        await ec2.allow_ingress(instance, group_id=group, rule=rule)
    await ec2.revoke_ingress(instance, group_id=group, rule=rule)
    assert not (await ec2.security_groups(instance, ids=[group]))[0].allows(rule)


async def test_wide_rules_cover_narrow_ones_and_rules_for_groups_cover_nothing(
    ec2: Ec2Provider, cloud: str, instance: Resource
) -> None:
    books = client("ec2", cloud)
    group = books.create_security_group(GroupName="wide", Description="wide")["GroupId"]
    members = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": group}]}
    wide = {"IpProtocol": "tcp", "FromPort": 8000, "ToPort": 9000, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    books.authorize_security_group_ingress(GroupId=group, IpPermissions=[members, wide])
    (told,) = await ec2.security_groups(instance, ids=[group])
    assert told.allows(Ingress(port=8080, cidr="10.0.0.0/8"))
    assert not told.allows(Ingress(port=8080, protocol="udp")) and not told.allows(Ingress(port=22))


async def test_a_floating_address_is_moved_from_one_instance_to_another(
    ec2: Ec2Provider, cloud: str, instance: Resource
) -> None:
    books = client("ec2", cloud)
    allocation = books.allocate_address(Domain="vpc")["AllocationId"]
    assert (await ec2.address(instance, allocation_id=allocation)).instance_id is None
    standby = run_instance(cloud)
    for to in (instance.provider.instance_id or "", standby):
        await ec2.move_address(instance, allocation_id=allocation, to_instance=to)
        assert (await ec2.address(instance, allocation_id=allocation)).instance_id == to
    assert books.describe_addresses(AllocationIds=[allocation])["Addresses"][0]["InstanceId"] == standby


async def test_a_target_is_registered_and_deregistered(ec2: Ec2Provider, cloud: str, instance: Resource) -> None:
    vpc = client("ec2", cloud).describe_vpcs()["Vpcs"][0]["VpcId"]
    made = client("elbv2", cloud).create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc)
    arn, name = made["TargetGroups"][0]["TargetGroupArn"], instance.provider.instance_id or ""
    await ec2.register_target(instance, target_group=arn, instance_id=name, port=8080)
    assert [(target.instance_id, target.port) for target in await ec2.targets(instance, target_group=arn)] == [
        (name, 8080)
    ]
    await ec2.deregister_target(instance, target_group=arn, instance_id=name, port=8080)
    assert await ec2.targets(instance, target_group=arn) == ()


async def test_the_capacity_of_a_group_is_set(ec2: Ec2Provider, cloud: str, instance: Resource) -> None:
    scaling, image = client("autoscaling", cloud), client("ec2", cloud).describe_images()["Images"][0]["ImageId"]
    scaling.create_launch_configuration(LaunchConfigurationName="web", ImageId=image, InstanceType="t3.micro")
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="web", LaunchConfigurationName="web", MinSize=1, MaxSize=3, DesiredCapacity=1,
        AvailabilityZones=["eu-west-1a"],
    )  # fmt: skip
    before = await ec2.capacity(instance, group="web")
    assert (before.minimum, before.desired, before.maximum, before.in_service) == (1, 1, 3, 1)
    await ec2.set_capacity(instance, group="web", desired=2)
    assert (await ec2.capacity(instance, group="web")).in_service == 2
    told = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"][0]
    assert told["DesiredCapacity"] == 2
    with pytest.raises(ProviderError, match="no group 'api'"):
        await ec2.capacity(instance, group="api")


async def test_a_managed_database_is_told_rebooted_and_its_replica_promoted(rds: RdsProvider, cloud: str) -> None:
    books = client("rds", cloud)
    books.create_db_instance(
        DBInstanceIdentifier="orders", Engine="postgres", DBInstanceClass="db.t3.micro", AllocatedStorage=20,
        MasterUsername="admin_", MasterUserPassword="hunter2hunter2",
    )  # fmt: skip
    books.create_db_instance_read_replica(DBInstanceIdentifier="orders-2", SourceDBInstanceIdentifier="orders")
    primary, replica = machine(cloud, "orders", "rds"), machine(cloud, "orders-2", "rds")
    told = await rds.managed_database(primary)
    assert (told.state, told.source) == ("available", None) and told.engine.startswith("postgres")
    assert (await rds.managed_database(replica)).source == "orders"
    with pytest.raises(books.exceptions.ClientError):
        books.stop_db_instance(DBInstanceIdentifier="orders-2")
    assert (await rds.status(primary)).state == "running"
    assert "reboot" in await rds.reboot_database(primary)
    await rds.promote_database(replica)
    # moto goes on telling its former source, as RDS does not; but what is no replica any more can be stopped, say
    books.stop_db_instance(DBInstanceIdentifier="orders-2")
    assert (await rds.status(replica)).state == "stopped"


async def test_a_provider_refuses_what_is_another_ones(ec2: Ec2Provider, rds: RdsProvider, instance: Resource) -> None:
    for call in (ec2.reboot_database(instance), rds.soft_reboot(instance), rds.stop(instance, force=True)):
        with pytest.raises(ProviderError, match="can't do") as caught:
            await call
        assert not caught.value.temporary


def test_what_is_rendered_is_what_is_sent(ec2: Ec2Provider) -> None:
    there = machine("http://x", "i-0abc")
    where = "region=eu-west-1, endpoint=http://x)"
    assert ec2.render(there, "set_instance_type", instance_type="t3.small") == (
        f"ec2.ModifyInstanceAttribute(InstanceId='i-0abc', InstanceType={{'Value': 't3.small'}}, {where}"
    )
    assert ec2.render(there, "grow_volume", volume_id="vol-1", size_gib=12) == (
        f"ec2.ModifyVolume(VolumeId='vol-1', Size=12, {where}"
    )
    rule = Ingress(port=443, cidr="::/0")
    assert "'Ipv6Ranges': [{'CidrIpv6': '::/0'}]" in ec2.render(there, "allow_ingress", group_id="sg-1", rule=rule)

"""moto's server as the books of the lab's cloud: started, and the lab's instances entered."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.lab.network import in_network
from evals.lab.probing import ask, free_port, wait_until
from evals.lab.processes import ProcessGroup
from evals.lab.sizes import SMALL
from evals.lab.stage import LabError, StageHost

CREDENTIALS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "lab",
    "AWS_SECRET_ACCESS_KEY": "lab",
    # boto3 would look for an instance's own credentials on the network
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""moto takes any, but boto3 signs with nothing less."""

READY_WAIT = 30.0

INSIDE = "10.77.1.0/24"
"""Where the lab's own network is: what its security groups let in."""

OPEN_PORTS = (22, 8080, 9100)
"""What is reached on a host from outside: sshd, its service, node_exporter."""


@dataclass(frozen=True)
class Booked:
    """A host in the books."""

    instance_id: str
    group_id: str


class MotoBooks:
    """moto's server on a free loopback port of the lab's network."""

    def __init__(self, processes: ProcessGroup) -> None:
        self._processes = processes
        self.address = ("127.0.0.1", 0)

    def start(self) -> None:
        """Start it and return at once: it takes a second or two."""
        with in_network():
            self.address = ("127.0.0.1", free_port())
            argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.address[1])]
            # none of its answers may come from a real account's settings
            self._processes.start("moto", argv, env=CREDENTIALS)

    def enter(self, hosts: Sequence[StageHost], region: str) -> dict[str, str]:
        """Run one instance per host and return instance ids by resource id. Raises LabError."""
        from botocore.exceptions import BotoCoreError, ClientError

        with in_network():
            wait_until(self._missing, READY_WAIT, "moto's server is ready")
            client = _client(self.address, region)
            try:
                return {host.resource_id: self._run_instance(client, host) for host in hosts}
            except (BotoCoreError, ClientError) as error:
                raise LabError(f"moto's server did not take the lab's instances: {error}") from error

    def client(self, region: str) -> Any:
        """boto3's client for the books themselves, past the cloud that acts: for threads in the lab's network."""
        return _client(self.address, region)

    def set_type(self, instance_id: str, instance_type: str, region: str) -> None:
        """Book another type, whatever the host is doing: how a fault begins with an instance of that type."""
        with in_network():
            client = _client(self.address, region)
            was = client.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
            if was["InstanceType"] == instance_type:
                return
            client.stop_instances(InstanceIds=[instance_id])
            client.modify_instance_attribute(InstanceId=instance_id, InstanceType={"Value": instance_type})
            client.start_instances(InstanceIds=[instance_id])

    def add_volume(self, instance_id: str, size_gib: int, region: str) -> str:
        """Book a disk of that size for the instance; returns its volume id."""
        with in_network():
            client = _client(self.address, region)
            instance = client.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
            zone = instance["Placement"]["AvailabilityZone"]
            volume_id = str(client.create_volume(AvailabilityZone=zone, Size=size_gib)["VolumeId"])
            client.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")
            return volume_id

    def set_volume(self, volume_id: str, size_gib: int, region: str) -> None:
        """Book another size, whatever the disk has: how a fault begins with a disk that large."""
        with in_network():
            _client(self.address, region).modify_volume(VolumeId=volume_id, Size=size_gib)

    def _run_instance(self, client: object, host: StageHost) -> str:
        image = client.describe_images(Owners=["amazon"], MaxResults=5)["Images"][0]["ImageId"]  # type: ignore[attr-defined]
        made = client.run_instances(  # type: ignore[attr-defined]
            ImageId=image, MinCount=1, MaxCount=1, InstanceType=SMALL,
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": host.resource_id}]}
            ],
        )  # fmt: skip
        return str(made["Instances"][0]["InstanceId"])

    def _missing(self) -> str | None:
        if not self._processes.alive("moto"):
            raise LabError(f"moto's server ended at once: {self._processes.log_tail('moto', 5)}")
        try:
            ask("http://%s:%d/moto-api/data.json" % self.address, timeout=5)  # noqa: UP031
        except OSError as error:
            return str(error)
        return None


def _client(address: tuple[str, int], region: str) -> Any:
    import boto3  # takes a third of a second, while the hosts boot
    from botocore.config import Config

    return boto3.client(
        "ec2", region_name=region, endpoint_url="http://%s:%d" % address,  # noqa: UP031
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(connect_timeout=2, read_timeout=15, retries={"max_attempts": 1}, proxies={}),
    )  # fmt: skip

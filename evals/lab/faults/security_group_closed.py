"""Somebody takes the service's port out of the host's security group: the guest looks clean, and nobody reaches it."""

from __future__ import annotations

from evals.lab.cloud import REGION
from evals.lab.declared import SERVICE_PORT
from evals.lab.hosts import LabStage
from evals.lab.moto_network import INSIDE
from evals.lab.probing import wait_until
from evals.lab.stage import Fault, LabError, StageHost


def change(stage: LabStage, host: StageHost, verb: str) -> None:
    """Authorize or revoke the service's port through the cloud, as somebody would in its console. Raises LabError."""
    import boto3  # slow to import
    from botocore.exceptions import BotoCoreError, ClientError

    entry = next(item for item in stage.resources() if item["id"] == host.resource_id)
    keys = stage.environment()
    permission = {"IpProtocol": "tcp", "FromPort": SERVICE_PORT, "ToPort": SERVICE_PORT}
    stage.enter()
    try:
        client = boto3.client(
            "ec2", region_name=REGION, endpoint_url=entry["provider"]["endpoint_url"],
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"], aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        )  # fmt: skip
        getattr(client, f"{verb}_security_group_ingress")(
            GroupId=entry["security_groups"][0]["id"],
            IpPermissions=[{**permission, "IpRanges": [{"CidrIp": INSIDE}]}],
        )
    except (BotoCoreError, ClientError) as error:
        raise LabError(f"the lab's cloud refused to {verb} port {SERVICE_PORT}: {error}") from error


def inject(stage: LabStage, host: StageHost) -> None:
    change(stage, host, "revoke")


def restore(stage: LabStage, host: StageHost) -> None:
    if not stage.healthy(host):
        change(stage, host, "authorize")
    wait_until(lambda: None if stage.healthy(host) else "it does not answer", 20, f"{host.name} is reached again")


FAULT = Fault(
    name="security_group_closed",
    issue_type="connection_timeout",
    settings=("lab",),
    alertname="ServiceDown",
    expected_cause="security_group_closed",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="the port of the service is taken out of the host's security group",
    expected_actions=("allow_ingress",),
)

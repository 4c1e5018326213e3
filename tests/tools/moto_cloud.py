"""moto's server, for clients of AWS, and credentials of nobody."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from graph.records import ProviderAccess, Resource
from tests.tools.http_faults import closed_port

REGION = "eu-west-1"
CREDENTIALS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
}
"""And none from this machine."""


def machine(endpoint: str, instance: str = "i-0123456789abcdef0", provider: str = "ec2") -> Resource:
    access = ProviderAccess(name=provider, region=REGION, instance_id=instance, endpoint_url=endpoint)
    return Resource(id="inst-1", kind="Instance", address="10.0.0.5", transport="local", provider=access)


def client(service: str, endpoint: str) -> Any:
    """boto3's own client: how tests make things in moto, and read back what became of them."""
    import boto3

    return boto3.session.Session().client(service, region_name=REGION, endpoint_url=endpoint)


def run_instance(endpoint: str) -> str:
    """A new instance's id."""
    ec2 = client("ec2", endpoint)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)
    return str(made["Instances"][0]["InstanceId"])


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    program = Path(sys.executable).parent / "moto_server"
    if not program.exists():
        pytest.skip("no moto_server beside this Python: install moto[server]")
    port = closed_port()
    folder = Path(tempfile.mkdtemp(prefix="selfheal-moto-"))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log, cwd=folder)
    url = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError):  # not up yet: asked again
                opener.open(f"{url}/moto-api/", timeout=2).close()
                break
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)
        shutil.rmtree(folder, ignore_errors=True)

"""Providers: EC2 through real boto3 against moto's server and against servers that misbehave; and having none."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from graph.records import ProviderAccess, Resource
from tests.tools.http_faults import Answer, answering, closed_port, dripping, faulty_server, hanging
from tools.clients.providers import PROVIDERS, UnknownProvider, make_provider, make_providers
from tools.clients.providers.ec2 import Ec2Provider
from tools.clients.providers.none import NoProvider
from tools.clients.providers.provider import ProviderError

REGION = "eu-west-1"


def machine(endpoint: str, instance: str = "i-0123456789abcdef0") -> Resource:
    access = ProviderAccess(name="ec2", region=REGION, instance_id=instance, endpoint_url=endpoint)
    return Resource(id="inst-1", kind="Instance", address="10.0.0.5", transport="local", provider=access)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of nobody, and none from this machine."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def ec2() -> AsyncIterator[Ec2Provider]:
    provider = Ec2Provider(connect_seconds=1.0, read_seconds=4.0)
    yield provider
    await provider.close()


# -- moto's server -----------------------------------------------------------------------------------------


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


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def instance(cloud: str, credentials: None) -> Resource:
    import boto3

    client: Any = boto3.session.Session().client("ec2", region_name=REGION, endpoint_url=cloud)
    image = client.describe_images()["Images"][0]["ImageId"]
    made = client.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)
    return machine(cloud, made["Instances"][0]["InstanceId"])


async def test_a_running_instance_is_told_with_its_checks(ec2: Ec2Provider, instance: Resource) -> None:
    status = await ec2.status(instance)
    assert (status.state, status.instance_check, status.system_check) == ("running", "ok", "ok")
    assert status.instance_type == "t3.micro"
    assert status.launched_at is not None and status.launched_at.tzinfo is not None
    assert status.console_tail


async def test_stop_and_start_change_the_state(ec2: Ec2Provider, instance: Resource) -> None:
    assert "stop" in await ec2.stop(instance, force=True)
    stopped = await ec2.status(instance)
    assert stopped.state == "stopped" and stopped.state_reason
    assert str(instance.provider.instance_id) in await ec2.start(instance)
    assert (await ec2.status(instance)).state == "running"


async def test_a_soft_reboot_is_taken(ec2: Ec2Provider, instance: Resource) -> None:
    assert "reboot" in await ec2.soft_reboot(instance)


async def test_an_unknown_instance_is_a_permanent_error_with_a_remedy(ec2: Ec2Provider, cloud: str) -> None:
    for call in (ec2.status, ec2.start, ec2.soft_reboot):
        with pytest.raises(ProviderError, match="instance_id") as caught:
            await call(machine(cloud, "i-00000000000000000"))
        assert (caught.value.temporary, caught.value.sent) == (False, False)


# -- endpoints that misbehave --------------------------------------------------------------------------------


def error_body(code: str, message: str) -> str:
    return (
        f"<?xml version='1.0'?><Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        "</Errors><RequestID>1</RequestID></Response>"
    )


async def rebooting(answer: Answer) -> tuple[ProviderError, int]:
    """What a reboot comes to at an endpoint that answers so, and how often it was asked."""
    provider = Ec2Provider(connect_seconds=0.5, read_seconds=0.5)
    with faulty_server(answer) as server, pytest.raises(ProviderError) as caught:
        await provider.soft_reboot(machine(server.url))
    await provider.close()
    return caught.value, len(server.asked)


@pytest.mark.parametrize(
    ("status", "body", "temporary", "sent", "says"),
    [
        (503, error_body("RequestLimitExceeded", "slow down"), True, False, "RequestLimitExceeded"),
        (500, error_body("InternalError", "oops"), True, True, "InternalError"),
        (502, "<html>bad gateway</html>", True, True, "502"),
        (400, error_body("IncorrectInstanceState", "stopping"), True, False, "stopping"),
        (403, error_body("UnauthorizedOperation", "not you"), False, False, "IAM policy"),
        (401, error_body("AuthFailure", "who?"), False, False, "AWS credentials"),
        (400, error_body("InvalidInstanceID.Malformed", "hm"), False, False, "instance_id"),
    ],
)
async def test_a_refused_write_is_sent_once_and_told_apart(
    status: int, body: str, temporary: bool, sent: bool, says: str
) -> None:
    error, asked = await rebooting(answering(status, body, "text/xml"))
    assert (error.temporary, error.sent) == (temporary, sent)
    assert says in str(error) and "ec2.RebootInstances(InstanceIds=['i-0123456789abcdef0']" in str(error)
    assert asked == 1


async def test_a_write_that_is_not_answered_may_have_begun() -> None:
    released = threading.Event()
    error, asked = await rebooting(hanging(released))
    released.set()
    assert (error.temporary, error.sent, asked) == (True, True, 1)


async def test_a_write_whose_answer_drips_may_have_begun() -> None:
    released = threading.Event()
    error, asked = await rebooting(dripping(released))
    released.set()
    assert (error.temporary, error.sent, asked) == (True, True, 1)


async def test_a_write_that_found_nobody_was_not_sent(ec2: Ec2Provider) -> None:
    with pytest.raises(ProviderError, match="no connection") as caught:
        await ec2.stop(machine(f"http://127.0.0.1:{closed_port()}"), force=False)
    assert (caught.value.temporary, caught.value.sent) == (True, False)


async def test_a_read_is_tried_again_when_throttled(ec2: Ec2Provider) -> None:
    answer = answering(503, error_body("RequestLimitExceeded", "slow down"), "text/xml")
    with faulty_server(answer) as server, pytest.raises(ProviderError, match="RequestLimitExceeded") as caught:
        await ec2.status(machine(server.url))
    assert caught.value.temporary and not caught.value.sent
    assert len(server.asked) > 3


async def test_missing_credentials_are_named_with_the_remedy(ec2: Ec2Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ProviderError, match="AWS_ACCESS_KEY_ID") as caught:
        await ec2.soft_reboot(machine("http://127.0.0.1:1"))
    assert (caught.value.temporary, caught.value.sent) == (False, False)


async def test_secrets_of_an_endpoint_are_not_told() -> None:
    error, _ = await rebooting(answering(400, error_body("Odd", "password=hunter2"), "text/xml"))
    assert "hunter2" not in str(error)


# -- rendering, registry, none -------------------------------------------------------------------------------


def test_calls_are_rendered_exactly() -> None:
    access = ProviderAccess(name="ec2", region=REGION, instance_id="i-0abc")
    resource = machine("http://x").model_copy(update={"provider": access})
    provider = make_provider("ec2")
    assert provider.render(resource, "soft_reboot") == "ec2.RebootInstances(InstanceIds=['i-0abc'], region=eu-west-1)"
    force = "ec2.StopInstances(InstanceIds=['i-0abc'], Force=True, region=eu-west-1)"
    assert provider.render(resource, "force_stop") == force
    assert "endpoint=http://x" in provider.render(machine("http://x"), "start")


def test_an_unknown_provider_is_refused_with_the_known_names() -> None:
    with pytest.raises(UnknownProvider, match="'azure': known providers are none, ec2"):
        make_provider("azure")
    assert set(make_providers(name for name, _ in PROVIDERS)) == {"none", "ec2"}


async def test_having_no_provider_refuses_and_says_what_to_declare() -> None:
    provider = NoProvider()
    resource = Resource(id="inst-1", kind="Instance", address="10.0.0.5", transport="local")
    assert (await provider.status(resource)).state == "unknown"
    for call in (provider.start(resource), provider.soft_reboot(resource), provider.stop(resource, force=True)):
        with pytest.raises(ProviderError, match="declare `provider`") as caught:
            await call
        assert (caught.value.temporary, caught.value.sent) == (False, False)

"""Providers: EC2 through real boto3 against moto's server and against servers that misbehave; and having none."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import pytest

from graph.doing import on_behalf_of
from graph.ports import SentCommand, TemporaryError
from graph.records import ProviderAccess, Resource
from tests.tools.http_faults import Answer, answering, closed_port, dripping, faulty_server, hanging
from tests.tools.moto_cloud import CREDENTIALS, REGION, machine, moto_server, run_instance
from tools.clients.circuit import FAILURES
from tools.clients.providers import PROVIDERS, UnknownProvider, make_provider, make_providers
from tools.clients.providers.ec2 import Ec2Provider
from tools.clients.providers.none import NoProvider
from tools.clients.providers.provider import ProviderError
from tools.clients.recording import Recorder


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of nobody, and none from this machine."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def ec2() -> AsyncIterator[Ec2Provider]:
    provider = Ec2Provider(connect_seconds=1.0, read_seconds=4.0)
    yield provider
    await provider.close()


# -- moto's server -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def instance(cloud: str, credentials: None) -> Resource:
    return machine(cloud, run_instance(cloud))


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


@dataclass
class KeptLog:
    """A command log in memory, or one that takes nothing."""

    broken: bool = False
    kept: list[SentCommand] = field(default_factory=list)

    async def sent(self, command: SentCommand) -> None:
        if self.broken:
            raise TemporaryError("the store is gone")
        self.kept.append(command)


# -- endpoints that misbehave --------------------------------------------------------------------------------


def error_body(code: str, message: str) -> str:
    return (
        f"<?xml version='1.0'?><Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        "</Errors><RequestID>1</RequestID></Response>"
    )


async def rebooting(
    answer: Answer, read_seconds: float = 20.0, connect_seconds: float = 20.0
) -> tuple[ProviderError, int]:
    """What a reboot comes to at an endpoint that answers so, and how often it was asked. Patient, as a first client
    takes a second of the processor to make, and a busy machine has none to spare."""
    provider = Ec2Provider(connect_seconds=connect_seconds, read_seconds=read_seconds)
    with faulty_server(answer) as server, pytest.raises(ProviderError) as caught:
        await provider.soft_reboot(machine(server.url))
    await provider.close()
    return caught.value, len(server.asked)


@pytest.mark.parametrize(
    ("status", "body", "temporary", "sent", "says"),
    [
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


async def test_an_endpoint_that_throttles_again_and_again_is_left_alone_but_not_for_what_an_instance_can_not_do() -> (
    None
):
    for code, left_alone in (("RequestLimitExceeded", True), ("InsufficientInstanceCapacity", False)):
        provider = Ec2Provider(read_seconds=20.0, throttle_pauses=())
        with faulty_server(answering(503, error_body(code, "no"), "text/xml")) as server:
            for _ in range(FAILURES + 1):
                with pytest.raises(ProviderError) as caught:
                    await provider.soft_reboot(machine(server.url))
            assert (caught.value.temporary, caught.value.sent, code in str(caught.value)) == (True, False, True)
            assert ("not asked: provider ec2 http" in str(caught.value)) is left_alone
            assert len(server.asked) == FAILURES + (0 if left_alone else 1)
            with on_behalf_of("i-1", "action"), pytest.raises(ProviderError) as caught:
                await provider.soft_reboot(machine(server.url))
            assert "not asked" not in str(caught.value), "a step of a plan is always asked for"
        await provider.close()


async def test_a_write_turned_away_for_too_many_calls_is_sent_again_a_few_times_and_never_began() -> None:
    for status, code in ((503, "RequestLimitExceeded"), (400, "Throttling")):
        error, asked = await rebooting(answering(status, error_body(code, "slow down"), "text/xml"))
        assert (error.temporary, error.sent, asked) == (True, False, 3)
        assert code in str(error)


async def test_a_write_may_be_taken_after_it_was_turned_away() -> None:
    turned_away = iter([True, True])

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if next(turned_away, False):
            answering(503, error_body("RequestLimitExceeded", "slow down"), "text/xml")(handler)
        else:
            answering(200, "<RebootInstancesResponse><return>true</return></RebootInstancesResponse>", "text/xml")(
                handler
            )

    provider = Ec2Provider(read_seconds=20.0, throttle_pauses=(0.01, 0.01))
    with faulty_server(answer) as server:
        assert "took the request" in await provider.soft_reboot(machine(server.url))
        assert len(server.asked) == 3
    await provider.close()


async def test_in_a_dry_run_a_write_is_rendered_and_not_sent() -> None:
    provider = Ec2Provider(dry_run=True)
    with faulty_server(answering(200, "")) as server:
        there = machine(server.url)
        for said in (await provider.stop(there, force=True), await provider.move_address(
            there, allocation_id="eipalloc-1", to_instance="i-2"
        )):  # fmt: skip
            assert said.startswith("dry run, not sent: ec2.")
        assert server.asked == []
    await provider.close()


async def test_every_call_is_put_on_record_as_it_is_rendered_before_it_is_sent() -> None:
    log = KeptLog()
    provider = Ec2Provider(Recorder(log))
    with faulty_server(answering(403, error_body("UnauthorizedOperation", "not you"), "text/xml")) as server:
        there = machine(server.url)
        with on_behalf_of("0190", "action", "0190:1:0"), pytest.raises(ProviderError):
            await provider.stop(there, force=True)
    assert [(item.command, item.doing.purpose) for item in log.kept] == [
        (provider.render(there, "force_stop"), "action")
    ]
    await provider.close()


async def test_what_cannot_be_put_on_record_is_not_sent() -> None:
    provider = Ec2Provider(Recorder(KeptLog(broken=True)))
    with faulty_server(answering(200, "")) as server:
        with on_behalf_of("0190", "action"), pytest.raises(TemporaryError):
            await provider.soft_reboot(machine(server.url))
        assert server.asked == []
    await provider.close()


async def test_a_write_that_is_not_answered_may_have_begun() -> None:
    released = threading.Event()
    error, asked = await rebooting(hanging(released), read_seconds=0.5)
    released.set()
    assert (error.temporary, error.sent, asked) == (True, True, 1)


async def test_a_write_whose_answer_drips_may_have_begun() -> None:
    released = threading.Event()
    error, asked = await rebooting(dripping(released), read_seconds=0.5, connect_seconds=10.0)
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
    with pytest.raises(UnknownProvider, match="'azure': known providers are none, ec2, rds"):
        make_provider("azure")
    assert set(make_providers(name for name, _ in PROVIDERS)) == {"none", "ec2", "rds"}


async def test_having_no_provider_refuses_and_says_what_to_declare() -> None:
    provider = NoProvider()
    resource = Resource(id="inst-1", kind="Instance", address="10.0.0.5", transport="local")
    assert (await provider.status(resource)).state == "unknown"
    for call in (provider.start(resource), provider.soft_reboot(resource), provider.stop(resource, force=True)):
        with pytest.raises(ProviderError, match="declare a `provider`") as caught:
            await call
        assert (caught.value.temporary, caught.value.sent) == (False, False)

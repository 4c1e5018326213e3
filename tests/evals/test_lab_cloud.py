"""What the lab's cloud answers is corrected by what was observed, in EC2's own shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from evals.lab.ec2_answers import Observed, corrected, instance_status, refused

OLDER = "http://ec2.amazonaws.com/doc/2013-10-15/"
MOTO = f"""<DescribeInstancesResponse xmlns="{OLDER}"><reservationSet><item><instancesSet><item>
<instanceId>i-1</instanceId><instanceState><code>80</code><name>stopped</name></instanceState>
<reason>User initiated (2026-11-24 14:26:56 UTC)</reason>
<stateReason><code>Client.UserInitiatedShutdown</code><message>x</message></stateReason>
<tagSet><item><key>Name</key><value>web</value></item></tagSet>
</item></instancesSet></item></reservationSet></DescribeInstancesResponse>""".encode()


def _texts(answer: bytes, tag: str) -> list[str]:
    return [(found.text or "") for found in ET.fromstring(answer).iter() if found.tag.endswith("}" + tag)]


def test_the_state_is_what_was_observed_whatever_moto_has_booked() -> None:
    answer = corrected(MOTO, {"i-1": Observed("i-1", "running")})
    assert _texts(answer, "name") == ["running"]
    assert "16" in _texts(answer, "code")


def test_a_host_that_powered_itself_off_is_not_told_as_stopped_by_a_user() -> None:
    answer = corrected(MOTO, {"i-1": Observed("i-1", "stopped", by_guest=True)})
    assert "Client.InstanceInitiatedShutdown" in _texts(answer, "code")
    assert _texts(answer, "reason") == [""]


def test_a_host_stopped_through_the_cloud_keeps_the_users_reason() -> None:
    answer = corrected(MOTO, {"i-1": Observed("i-1", "stopped", by_guest=False)})
    assert "Client.UserInitiatedShutdown" in _texts(answer, "code")


def test_other_instances_stay_as_moto_has_them() -> None:
    assert _texts(corrected(MOTO, {"i-2": Observed("i-2", "running")}), "name") == ["stopped"]


@pytest.mark.parametrize(
    ("check", "told"),
    [("ok", "passed"), ("impaired", "failed"), ("initializing", "initializing")],
)
def test_a_check_and_its_detail_say_the_same(check: str, told: str) -> None:
    since = datetime(2026, 11, 24, 12, tzinfo=UTC) if check == "impaired" else None
    seen = Observed("i-1", "running", instance_check=check, impaired_since=since)  # type: ignore[arg-type]
    assert _texts(instance_status([seen], "eu-west-1a"), "status") == ["ok", "passed", check, told]


def test_an_error_is_escaped() -> None:
    assert b"<Message>a &lt;b&gt;</Message>" in refused("Code", "a <b>")

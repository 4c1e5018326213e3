"""Whole heals while others fail: each ends, told with what failed, having acted once at most."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from graph.records import ProviderAccess, Resource
from tests.server.faulty_world import healed, services_for
from tests.server.live import prometheus
from tests.tools.http_faults import Answer, answering, closed_port, faulty_server, hanging
from tests.tools.moto_cloud import CREDENTIALS, REGION
from tests.tools.sshd import Sshd, make_key, running_sshd, silent_server
from tests.tools.supervised import Supervisor, running_supervisord

Record = dict[str, Any]
BESIDE = ("down-2", "down-3")
"""More heals that ask the Prometheus that is down: together they ask often enough."""
SICK = ("down", "slow", "html")
"""What is wrong with Prometheus, and programs that are to be started without it."""


def xml(status: int, body: str) -> Answer:
    return answering(status, f"<?xml version='1.0'?>{body}", "text/xml")


def refusal(status: int, code: str) -> Answer:
    error = f"<Error><Code>{code}</Code><Message>not now</Message></Error>"
    return xml(status, f"<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>")


RUNNING = xml(
    200,
    "<DescribeInstancesResponse xmlns='http://ec2.amazonaws.com/doc/2016-11-15/'><reservationSet><item><instancesSet>"
    "<item><instanceId>i-0123456789abcdef0</instanceId><instanceState><code>16</code><name>running</name>"
    "</instanceState></item></instancesSet></item></reservationSet></DescribeInstancesResponse>",
)


def ec2(reboot: Answer, rest: Answer = RUNNING) -> Answer:
    """An endpoint that answers this to a reboot."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        action = parse_qs(handler.body.decode()).get("Action", [""])[0]  # type: ignore[attr-defined]
        if action == "RebootInstances":
            reboot(handler)
        elif action == "DescribeInstances":
            rest(handler)
        else:
            refusal(400, "UnsupportedOperation")(handler)

    return answer


def lost(name: str, endpoint: str) -> Resource:
    """A host that refuses connections, at a provider."""
    there = ProviderAccess(name="ec2", region=REGION, instance_id="i-0123456789abcdef0", endpoint_url=endpoint)
    return unreachable(name, closed_port()).model_copy(update={"provider": there})


def unreachable(name: str, port: int) -> Resource:
    access = {"user": "ops", "key_file": __file__, "known_hosts": "/dev/null", "port": port}
    return Resource.model_validate({"id": name, "kind": "Instance", "address": "127.0.0.1", "ssh": access})


def supervised(sshd: Sshd, supervisor: Supervisor, name: str, program: str, command: str = "") -> Resource:
    """A program of a real supervisord, reached over a real sshd."""
    manager = supervisor.resource().service_manager
    manager = manager.model_copy(update={"command": command or manager.command})
    return sshd.resource(name, services=(program,)).model_copy(update={"service_manager": manager})


def here(supervisor: Supervisor, name: str, program: str) -> Resource:
    """A program of a real supervisord on this machine."""
    return supervisor.resource().model_copy(update={"id": name, "services": (program,)})


def cutting(folder: Path, supervisor: Supervisor, sshd: Sshd) -> tuple[str, threading.Thread]:
    """A supervisorctl that starts what it is told to and whose host then loses the connection, once."""
    begun, script = folder / "begun", folder / "supervisorctl"
    script.write_text(
        f'#!/bin/sh\n{supervisor.ctl_path} "$@"\nended=$?\n'
        f'case " $* " in *" start "*) touch {begun}; sleep 2;; esac\nexit $ended\n'
    )
    script.chmod(0o755)

    def cut() -> None:
        until = time.monotonic() + 40
        while not begun.exists() and time.monotonic() < until:
            time.sleep(0.02)
        sshd.cut()

    thread = threading.Thread(target=cut, daemon=True)
    thread.start()
    return str(script), thread


def spawned(supervisor: Supervisor, program: str) -> int:
    return (supervisor.folder / "log").read_text().count(f"spawned: '{program}'")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Record]]:
    """The records of all heals, by the name of what fails."""
    folder, released = tmp_path_factory.mktemp("faults"), threading.Event()
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        sshd = stack.enter_context(running_sshd(folder / "sshd"))
        cut_sshd = stack.enter_context(running_sshd(folder / "cut-sshd"))
        supervisor = stack.enter_context(running_supervisord(*SICK, *BESIDE))
        command, thread = cutting(folder, supervisor, cut_sshd)
        make_key(folder / "other")
        kind, key, *_ = (folder / "other.pub").read_text().split()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{sshd.port} {kind} {key}\n")
        throttling = stack.enter_context(faulty_server(ec2(refusal(503, "RequestLimitExceeded"))))
        broken = stack.enter_context(faulty_server(ec2(refusal(500, "InternalError"))))
        silent = stack.enter_context(faulty_server(ec2(refusal(503, "Unavailable"), refusal(503, "Unavailable"))))
        well = stack.enter_context(prometheus())
        sick = {
            "down": f"http://127.0.0.1:{closed_port()}",
            "slow": stack.enter_context(faulty_server(hanging(released))).url,
            "html": stack.enter_context(faulty_server(answering(200, "<html>sign in</html>"))).url,
        }
        resources = [
            unreachable("hung", stack.enter_context(silent_server())),
            sshd.resource("rekeyed", known_hosts=str(folder / "known_hosts")),
            lost("throttled", throttling.url),
            lost("broken", broken.url),
            lost("away", silent.url),
        ]
        before = spawned(supervisor, "idle")

        async def all_of_them() -> dict[str, Record]:
            # By itself: on a busy machine its host would not answer in time beside all the others.
            cut = supervised(cut_sshd, supervisor, "cut", "idle", command)
            first = await healed(services_for(folder / "cut", well, [cut]))
            worlds = [healed(services_for(folder / "well", well, resources))]
            for name, url in sick.items():
                programs = (name, *BESIDE) if name == "down" else (name,)
                asking = [here(supervisor, f"prometheus-{program}", program) for program in programs]
                worlds.append(healed(services_for(folder / name, url, asking)))
            return first | {name: record for found in await asyncio.gather(*worlds) for name, record in found.items()}

        found = asyncio.run(all_of_them())
        released.set()
        thread.join()
        found["cut"]["spawned"] = spawned(supervisor, "idle") - before
        found["throttled"]["asked"], found["broken"]["asked"] = len(throttling.asked), len(broken.asked)
        yield found


def told(record: Record, rule: str = "", status: str = "escalated") -> str:
    """The reason of its outcome, which must be this."""
    outcome = record["outcome"]
    assert (outcome["status"], outcome["rule"]) == (status, rule), outcome
    return str(outcome["reason"])


@pytest.mark.parametrize(
    ("how", "says"),
    [("down", "can't be reached"), ("slow", "did not answer within"), ("html", "is prometheus.url right")],
)
def test_without_prometheus_nobody_says_that_it_is_well_and_the_reason_names_it(
    records: dict[str, Record], how: str, says: str
) -> None:
    record = records[f"prometheus-{how}"]
    reason = told(record, "health_unknown")
    assert "alert ServiceDown could not be observed" in reason and "rometheus" in reason, reason
    [action] = record["actions"]
    assert (action["action"], action["status"]) == ("start_service", "succeeded")
    [metrics] = [item for item in record["evidence"] if item["source"] == "metrics"]
    assert metrics["status"] == "failed" and says in metrics["text"]


def test_a_host_that_accepts_and_hangs_is_told_as_one_that_does_not_answer(records: dict[str, Record]) -> None:
    record = records["hung"]
    # On a busy machine its deadline may take the source before SSH's own does.
    reason = told(
        record, "no_remedy" if record["diagnosis"]["suspected_cause"] == "host_unreachable" else "cause_unknown"
    )
    assert "does not answer (timeout)" in reason or "did not answer: host" in reason, reason
    [host] = [item for item in record["evidence"] if item["source"] == "host"]
    assert "not answer" in host["text"] or "no answer within" in host["text"]
    assert record["actions"] == []


def test_a_host_with_another_key_is_never_logged_in_to_and_told_as_such(records: dict[str, Record]) -> None:
    record = records["rekeyed"]
    told(record, "no_remedy")
    assert record["diagnosis"]["suspected_cause"] == "access_refused"
    assert "host key that is not the known one" in record["diagnosis"]["summary"]
    assert "its host key is SHA256" in json.dumps(record["evidence"])
    assert record["actions"] == []


def test_a_connection_cut_in_the_middle_of_the_repair_is_found_out_and_the_repair_not_run_again(
    records: dict[str, Record],
) -> None:
    record = records["cut"]
    told(record, record["outcome"]["rule"], "mitigated")
    [action] = record["actions"]
    assert action["status"] == "succeeded" and "found out" in action["output"] and "cut" in action["output"]
    assert record["spawned"] == 1


def test_a_provider_that_throttles_is_told_and_nothing_was_begun(records: dict[str, Record]) -> None:
    reason = told(records["throttled"], "max_retries")
    assert "RequestLimitExceeded" in reason and "not begun" in reason
    assert [action["status"] for action in records["throttled"]["actions"]] == ["failed"]


def test_a_provider_that_fails_within_may_have_begun_and_is_asked_only_once(records: dict[str, Record]) -> None:
    reason = told(records["broken"], "effect_unknown")
    assert "InternalError" in reason and "may have begun" in reason
    assert [action["status"] for action in records["broken"]["actions"]] == ["unknown"]


def test_a_provider_that_is_away_is_told_in_the_evidence_and_nothing_is_done(records: dict[str, Record]) -> None:
    record = records["away"]
    told(record, "no_remedy")
    [provider] = [item for item in record["evidence"] if item["source"] == "provider"]
    assert provider["status"] == "failed" and "Unavailable" in provider["text"]
    assert record["actions"] == []


def test_what_failed_again_and_again_is_shown_as_not_asked_and_is_still_no_evidence_of_anything(
    records: dict[str, Record],
) -> None:
    for name in BESIDE:
        record = records[f"prometheus-{name}"]
        assert "alert ServiceDown could not be observed" in told(record, "health_unknown")
        [metrics] = [item for item in record["evidence"] if item["source"] == "metrics"]
        assert metrics["status"] == "failed" and "rometheus" in metrics["text"]
    [prometheus_down] = [item for item in records["prometheus-down"]["circuits"] if item["kind"] == "prometheus"]
    assert prometheus_down["failures"] >= 5 and "Connection refused" in prometheus_down["last"]

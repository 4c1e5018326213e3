"""One key acts once on the host itself, whoever sends it and whatever happens to the connection."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from graph.fakes import FakeClock
from graph.records import Resource
from tests.tools.sshd import Sshd, running_sshd
from tools.actions.action import ActionContext
from tools.actions.claimed import claim_of, probe_of_claim, run_claimed
from tools.actions.claims import claim_and_run, marker_name, marker_root, parse
from tools.clients.host import HostUnreachable
from tools.clients.transports import TransportHosts

KEY = "0193a1b2-0000-7000-8000-00000000002a:1:0"


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[ActionContext]:
    hosts = TransportHosts()
    yield ActionContext(hosts, FakeClock(), marker_root=str(tmp_path / "marks here"))
    await hosts.close()


@pytest.fixture(params=["ssh", "local"])
def resource(request: pytest.FixtureRequest) -> Resource:
    if request.param == "local":
        return Resource(id="here", kind="Instance", address="127.0.0.1", transport="local")
    server: Sshd = request.getfixturevalue("sshd")
    return server.resource()


async def test_a_command_runs_and_tells_its_output(context: ActionContext, resource: Resource) -> None:
    output = await run_claimed(context, resource, KEY, "echo out; echo err >&2", 10)
    assert (output.status, output.output) == ("succeeded", "out\nerr")


async def test_a_failed_command_is_failed_with_its_exit_status(context: ActionContext, resource: Resource) -> None:
    output = await run_claimed(context, resource, KEY, "echo no such unit; exit 5", 10)
    assert (output.status, output.output) == ("failed", "exit status 5: no such unit")


async def test_two_workers_with_one_key_act_once(context: ActionContext, resource: Resource, tmp_path: Path) -> None:
    effects = tmp_path / "effects"
    command = f"echo once >> '{effects}'; sleep 0.5"
    outputs = await asyncio.gather(*(run_claimed(context, resource, KEY, command, 10) for _ in range(3)))
    assert effects.read_text() == "once\n"
    assert sorted(output.status for output in outputs) == ["succeeded", "unknown", "unknown"]


async def test_a_second_run_of_a_key_is_not_run_again_and_says_so(
    context: ActionContext, resource: Resource, tmp_path: Path
) -> None:
    command = f"echo once >> '{tmp_path}/effects'"
    await run_claimed(context, resource, KEY, command, 10)
    again = await run_claimed(context, resource, KEY, command, 10)
    other = await run_claimed(context, resource, f"{KEY}1", command, 10)
    assert (again.status, other.status) == ("unknown", "succeeded")
    assert "claimed" in again.output
    assert (tmp_path / "effects").read_text() == "once\n" * 2


async def test_a_command_outlives_a_cut_connection_and_leaves_its_exit_status(
    context: ActionContext, sshd: Sshd, tmp_path: Path
) -> None:
    resource = sshd.resource()
    command = f"echo begun > '{tmp_path}/begun'; sleep 1.5; echo still here; exit 7"
    running = asyncio.create_task(run_claimed(context, resource, KEY, command, 20))
    await appears(tmp_path / "begun")
    sshd.cut()
    with pytest.raises(HostUnreachable) as caught:
        await running
    assert caught.value.sent
    assert (await claim_of(context, resource, KEY)).status == "unfinished"
    await appears(tmp_path / "marks here" / marker_name(KEY) / "rc")
    claim = await claim_of(context, resource, KEY)
    assert (claim.status, claim.exit_status, claim.output) == ("ended", 7, "still here")


async def test_a_command_that_takes_too_long_is_ended_on_the_host(context: ActionContext, resource: Resource) -> None:
    output = await run_claimed(context, resource, KEY, "echo begun; sleep 30", 1)
    assert output.status == "failed"
    assert "exit status 124, after 1 s were over: begun" in output.output


async def test_what_was_never_begun_is_proven_so(context: ActionContext, resource: Resource) -> None:
    claim = await claim_of(context, resource, KEY)
    probe = probe_of_claim(claim, resource)
    assert claim.status == "absent"
    assert probe is not None
    assert probe.effect == "no_effect"


def test_a_host_without_setsid_and_nohup_runs_the_command_all_the_same(tmp_path: Path) -> None:
    for tool in ("sh", "mkdir", "timeout", "mv", "tail", "cat", "find"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "")
    line = claim_and_run(str(tmp_path / "claims"), KEY, "echo done", 10, memory=())
    told = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, env={"PATH": str(tmp_path)})
    claim = parse(told.stdout)
    assert claim is not None and (claim.status, claim.exit_status, claim.output.strip()) == ("ended", 0, "done")


async def test_a_place_for_claims_that_cannot_be_written_means_that_nothing_runs(
    resource: Resource, context: ActionContext, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    blocked = ActionContext(context.hosts, context.clock, marker_root=str(tmp_path / "file"))
    output = await run_claimed(blocked, resource, KEY, f"touch '{tmp_path}/effect'", 10)
    assert output.status == "failed"
    assert "nothing was run" in output.output
    assert not (tmp_path / "effect").exists()


async def test_the_output_of_a_command_cannot_forge_how_it_ended(context: ActionContext, resource: Resource) -> None:
    forged = "echo 'selfheal-claim: ended 0'; printf 'selfheal-claim: ended 0'; exit 9"
    output = await run_claimed(context, resource, KEY, forged, 10)
    assert output.status == "failed"
    assert output.output.startswith("exit status 9")


async def test_secrets_in_the_output_are_not_told(context: ActionContext, resource: Resource) -> None:
    output = await run_claimed(context, resource, KEY, "echo 'DB_PASSWORD=hunter2'", 10)
    assert output.output == "DB_PASSWORD=[redacted]"


async def test_claims_older_than_a_week_are_removed_and_newer_ones_stay(
    context: ActionContext, resource: Resource, tmp_path: Path
) -> None:
    for key in ("old", "new"):
        await run_claimed(context, resource, key, "true", 10)
    old = tmp_path / "marks here" / marker_name("old")
    os.utime(old, (time.time() - 9 * 86400,) * 2)
    await run_claimed(context, resource, KEY, "true", 10)
    assert not old.exists()
    assert (tmp_path / "marks here" / marker_name("new")).exists()


@pytest.mark.parametrize("key", ["../../etc", "a b; reboot", "$(reboot)", "'", "", "x" * 4000, "Ж:1:0", "a\nb"])
def test_a_key_becomes_a_plain_name(key: str) -> None:
    name = marker_name(key)
    assert name.replace("-", "").isalnum() and name.isascii() and name == name.lower()
    assert len(name) < 100


def test_keys_that_read_alike_are_claims_of_their_own() -> None:
    assert len({marker_name(key) for key in ("a:1:0", "a-1-0", "A:1:0", "a:1-0")}) == 4


def test_claims_live_where_every_worker_finds_them(sshd: Sshd) -> None:
    root = sshd.resource(user="root")
    assert marker_root(root) == "/var/lib/selfheal/actions"
    assert marker_root(sshd.resource(user="selfheal", sudo=True)) == '"$HOME"/.local/state/selfheal/actions'
    assert 'root="$HOME"/.local' in claim_and_run(marker_root(sshd.resource(user="selfheal")), KEY, "true", 5)


@pytest.mark.parametrize("answer", ["", "bash: no", "selfheal-claim: ended x", "selfheal-claim: maybe\n"])
def test_an_answer_that_was_cut_short_is_no_answer(answer: str) -> None:
    assert parse(answer) is None


async def appears(path: Path) -> None:
    for _ in range(200):
        if path in set(path.parent.glob("*")):
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"{path} did not appear")

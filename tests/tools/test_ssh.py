"""Hosts over SSH and locally: strict about whom they talk to, and never held up by those that hang."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from graph.doing import on_behalf_of
from graph.records import Resource, SshAccess
from tests.tools.sshd import Sshd, free_port, make_key, running_sshd, silent_server
from tools.clients.circuit import FAILURES
from tools.clients.host import MAX_OUTPUT_BYTES, HostUnreachable
from tools.clients.local import LocalHosts
from tools.clients.pools import BoundedPool, PoolTimeout
from tools.clients.ssh import SshHosts
from tools.clients.ssh_connection import SshTimes
from tools.clients.transports import TransportHosts


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
async def hosts() -> AsyncIterator[SshHosts]:
    hosts = SshHosts(SshTimes(connect=2, banner=2, auth=2, channel=2))
    yield hosts
    await hosts.close()


def at_port(sshd: Sshd, port: int, name: str = "hung") -> Resource:
    return sshd.resource(name, port=port)


async def refused(hosts: SshHosts, resource: Resource, command: str = "true", timeout: float = 8.0) -> HostUnreachable:
    with pytest.raises(HostUnreachable) as caught:
        await hosts.run(resource, command, timeout)
    return caught.value


# -- what a command gives ----------------------------------------------------------------------------


async def test_a_command_gives_its_output_and_exit_status(sshd: Sshd, hosts: SshHosts) -> None:
    result = await hosts.run(sshd.resource(), "echo out; echo err >&2; exit 3")
    assert (result.stdout, result.stderr, result.exit_status, result.ok) == ("out\n", "err\n", 3, False)


async def test_commands_share_one_connection(sshd: Sshd, hosts: SshHosts) -> None:
    ports = [(await hosts.run(sshd.resource(), "echo $SSH_CONNECTION")).stdout.split()[1] for _ in range(3)]
    many = await asyncio.gather(*(hosts.run(sshd.resource(), "echo $SSH_CONNECTION") for _ in range(6)))
    assert len({*ports, *(result.stdout.split()[1] for result in many)}) == 1


async def test_a_flood_of_output_is_read_to_its_end_and_kept_to_the_bound(sshd: Sshd, hosts: SshHosts) -> None:
    result = await hosts.run(sshd.resource(), "head -c 3000000 /dev/zero | tr '\\0' x; echo done >&2", timeout=30)
    assert len(result.stdout) == MAX_OUTPUT_BYTES
    assert result.stderr == "done\n"


async def test_output_that_is_no_utf8_is_replaced_not_fatal(sshd: Sshd, hosts: SshHosts) -> None:
    assert (await hosts.run(sshd.resource(), "printf '\\377ok'")).stdout == "\ufffdok"


async def test_a_child_left_in_the_background_is_not_waited_for(sshd: Sshd, hosts: SshHosts) -> None:
    result = await hosts.run(sshd.resource(), "sleep 20 & echo $!", timeout=10)
    os.kill(int(result.stdout), signal.SIGKILL)
    assert result.ok


# -- who is let in, and who is talked to -------------------------------------------------------------


async def test_a_host_whose_key_is_not_known_is_refused(sshd: Sshd, hosts: SshHosts, tmp_path: Path) -> None:
    empty = tmp_path / "known_hosts"
    empty.write_text("")
    error = await refused(hosts, sshd.resource(known_hosts=str(empty)))
    assert (error.how, error.sent) == ("host_key", False)
    assert "ssh-keyscan" in str(error)
    assert empty.read_text() == ""


async def test_a_host_with_another_key_than_known_is_refused(sshd: Sshd, hosts: SshHosts, tmp_path: Path) -> None:
    make_key(tmp_path / "other")
    kind, key, *_ = (tmp_path / "other.pub").read_text().split()
    wrong = tmp_path / "known_hosts"
    wrong.write_text(f"[127.0.0.1]:{sshd.port} {kind} {key}\n")
    error = await refused(hosts, sshd.resource(known_hosts=str(wrong)))
    assert (error.how, error.sent) == ("host_key", False)


async def test_a_missing_known_hosts_file_is_a_refusal_that_names_it(sshd: Sshd, hosts: SshHosts) -> None:
    error = await refused(hosts, sshd.resource(known_hosts="/nowhere/known_hosts"))
    assert error.how == "host_key"
    assert "/nowhere/known_hosts" in str(error)


async def test_what_is_no_known_hosts_file_is_a_refusal_that_names_it(
    sshd: Sshd, hosts: SshHosts, tmp_path: Path
) -> None:
    (tmp_path / "known_hosts").write_text("127.0.0.1 ssh-ed25519 no-key-at-all\n")
    error = await refused(hosts, sshd.resource(known_hosts=str(tmp_path / "known_hosts")))
    assert error.how == "host_key" and "is no known_hosts file" in str(error)


async def test_only_the_key_that_was_given_is_tried(sshd: Sshd, hosts: SshHosts, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    error = await refused(hosts, sshd.resource(key_file=str(tmp_path / "stranger")))
    assert (error.how, error.sent) == ("auth", False)
    missing = await refused(hosts, sshd.resource(key_file="/nowhere/key"))
    assert missing.how == "auth"


# -- hosts that do not answer ------------------------------------------------------------------------


async def test_a_closed_port_is_told_as_refused(sshd: Sshd, hosts: SshHosts) -> None:
    error = await refused(hosts, at_port(sshd, free_port()))
    assert (error.how, error.sent) == ("refused", False)


async def test_a_server_that_accepts_and_never_greets_is_a_timeout(sshd: Sshd, hosts: SshHosts) -> None:
    with silent_server() as port:
        error = await refused(hosts, at_port(sshd, port))
        assert (error.how, error.sent) == ("timeout", False)
        assert not await hosts.answers(at_port(sshd, port), 0.5)


async def test_a_server_that_is_no_ssh_server_does_not_answer(sshd: Sshd, hosts: SshHosts) -> None:
    async def http(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(http, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert not await hosts.answers(at_port(sshd, port), 1.0)
        assert (await refused(hosts, at_port(sshd, port))).how == "closed"
    assert await hosts.answers(sshd.resource(), 5.0)


async def test_eight_hung_hosts_do_not_hold_up_a_ninth(sshd: Sshd) -> None:
    hosts = SshHosts(SshTimes(connect=20, banner=20, auth=20, channel=20), threads=10)
    with contextlib.ExitStack() as stack:
        hung = [at_port(sshd, stack.enter_context(silent_server()), f"hung-{n}") for n in range(8)]
        asked = [asyncio.create_task(hosts.run(each, "true", 20)) for each in hung for _ in range(5)]
        await asyncio.sleep(0.2)
        result = await hosts.run(sshd.resource(), "echo well", 8)
        assert result.stdout == "well\n"
        assert not any(task.done() for task in asked)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await hosts.close()


async def test_eight_hosts_that_hang_in_the_middle_do_not_hold_up_a_ninth(sshd: Sshd, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        frozen = [stack.enter_context(running_sshd(tmp_path / str(n))) for n in range(8)]
        hosts = SshHosts()
        await asyncio.gather(*(hosts.run(each.resource(), "true", 20) for each in frozen))
        pids = [pid for each in frozen for pid in (each.process.pid, *each.sessions())]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        asked = [asyncio.create_task(hosts.run(each.resource(), "true", 3)) for each in frozen for _ in range(3)]
        try:
            await asyncio.sleep(0.2)
            assert (await hosts.run(sshd.resource(), "echo well", 8)).stdout == "well\n"
            answers = await asyncio.gather(*asked, return_exceptions=True)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            await hosts.close()
        assert {getattr(answer, "how", answer) for answer in answers} == {"timeout"}


async def test_a_command_that_does_not_end_is_a_timeout_that_was_sent(sshd: Sshd, hosts: SshHosts) -> None:
    error = await refused(hosts, sshd.resource(), "sleep 15", timeout=1.0)
    assert (error.how, error.sent) == ("timeout", True)
    assert (await hosts.run(sshd.resource(), "echo again")).stdout == "again\n"


async def test_a_connection_cut_during_a_command_is_told_as_sent(sshd: Sshd, hosts: SshHosts) -> None:
    await hosts.run(sshd.resource(), "true")
    running = asyncio.create_task(refused(hosts, sshd.resource(), "echo begun; sleep 15", timeout=10))
    await asyncio.sleep(0.5)
    sshd.cut()
    error = await running
    assert (error.how, error.sent) == ("closed", True)


async def test_a_connection_that_died_while_idle_is_replaced_unseen(sshd: Sshd, hosts: SshHosts) -> None:
    first = await hosts.run(sshd.resource(), "echo $SSH_CONNECTION")
    sshd.cut()
    second = await hosts.run(sshd.resource(), "echo $SSH_CONNECTION")
    assert first.stdout != second.stdout


async def test_cancelled_commands_give_their_slots_back(sshd: Sshd) -> None:
    hosts = SshHosts(per_target=2)
    try:
        for _ in range(3):
            asked = [asyncio.create_task(hosts.run(sshd.resource(), "sleep 15", 20)) for _ in range(2)]
            await asyncio.sleep(0.3)
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        assert (await hosts.run(sshd.resource(), "echo free", 5)).stdout == "free\n"
    finally:
        await hosts.close()


async def test_a_host_over_its_cap_fails_within_its_own_deadline_and_was_not_sent(sshd: Sshd) -> None:
    hosts = SshHosts(per_target=1)
    try:
        await hosts.run(sshd.resource(), "true")
        busy = asyncio.create_task(hosts.run(sshd.resource(), "sleep 2", 10))
        await asyncio.sleep(0.2)
        error = await refused(hosts, sshd.resource(), "true", timeout=0.5)
        assert (error.how, error.sent) == ("timeout", False)
        await busy
    finally:
        await hosts.close()


# -- the circuit of a host -------------------------------------------------------------------------------


async def test_a_host_that_refused_again_and_again_is_not_asked_until_it_greets_again(tmp_path: Path) -> None:
    hosts = SshHosts()
    with running_sshd(tmp_path / "rebooting") as rebooting:
        resource = rebooting.resource()
        assert (await hosts.run(resource, "exit 7", 8)).exit_status == 7
        rebooting.stop()
        for _ in range(FAILURES):
            assert (await refused(hosts, resource)).how in ("refused", "closed")
        error = await refused(hosts, resource)
        assert str(error).startswith(f"not asked: ssh 127.0.0.1:{rebooting.port} failed 5 times in a row, last: ")
        assert (error.how, error.sent) == ("refused", False)
        with on_behalf_of("i-1", "probe"):
            assert "not asked" not in str(await refused(hosts, resource)), "who acts looks for himself"
        assert not await hosts.answers(resource, 1.0)
        rebooting.start()
        assert "not asked" in str(await refused(hosts, resource))
        assert await hosts.answers(resource, 8.0)
        assert (await hosts.run(resource, "echo back", 8)).stdout == "back\n"
    await hosts.close()


async def test_commands_that_fail_or_take_too_long_are_no_failures_of_the_host(sshd: Sshd, hosts: SshHosts) -> None:
    for _ in range(FAILURES):
        assert not (await hosts.run(sshd.resource(), "false")).ok
    slow = await asyncio.gather(*(refused(hosts, sshd.resource(), "sleep 9", 0.4) for _ in range(FAILURES)))
    assert {error.how for error in slow} == {"timeout"}
    assert (await hosts.run(sshd.resource(), "echo asked")).stdout == "asked\n"


# -- the pool itself ---------------------------------------------------------------------------------


async def test_work_whose_caller_has_gone_keeps_its_slot_until_it_ends() -> None:
    pool = BoundedPool("test", threads=4, per_target=1)
    late: list[str] = []
    with pytest.raises(PoolTimeout) as caught:
        await pool.call("a", lambda: time.sleep(1.0), 0.1, lambda: late.append("told"))
    assert caught.value.started
    assert late == ["told"]
    with pytest.raises(PoolTimeout) as caught:
        await pool.call("a", lambda: 1, 0.1)
    assert not caught.value.started
    assert await pool.call("b", lambda: 2, 5) == 2
    assert await pool.call("a", lambda: 3, 5) == 3
    pool.close()


async def test_work_that_finds_no_thread_is_never_begun() -> None:
    pool = BoundedPool("test", threads=1, per_target=2)
    done: list[int] = []
    holding = asyncio.create_task(pool.call("a", lambda: time.sleep(0.6), 5))
    await asyncio.sleep(0.1)
    with pytest.raises(PoolTimeout) as caught:
        await pool.call("b", lambda: done.append(1), 0.1)
    await holding
    await pool.call("b", lambda: None, 5)
    assert not caught.value.started
    assert done == []
    pool.close()


# -- the machine itself ------------------------------------------------------------------------------


def local_resource(name: str = "here") -> Resource:
    return Resource(id=name, kind="Instance", address="127.0.0.1", transport="local")


async def test_a_local_command_gives_its_output_and_exit_status() -> None:
    result = await LocalHosts().run(local_resource(), "echo out; echo err >&2; exit 4")
    assert (result.stdout, result.stderr, result.exit_status) == ("out\n", "err\n", 4)


async def test_a_local_command_over_its_deadline_dies_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(HostUnreachable) as caught:
        await LocalHosts().run(local_resource(), f"sleep 60 & echo $! > {pid_file}; wait", timeout=1.0)
    assert (caught.value.how, caught.value.sent) == ("timeout", True)
    assert await ended(int(pid_file.read_text()))


async def test_a_flood_of_local_output_is_kept_to_the_bound() -> None:
    result = await LocalHosts().run(local_resource(), "head -c 3000000 /dev/zero", timeout=30)
    assert len(result.stdout) == MAX_OUTPUT_BYTES


async def test_each_resource_goes_over_its_own_transport(sshd: Sshd) -> None:
    hosts = TransportHosts()
    try:
        assert (await hosts.run(sshd.resource(), "echo ${SSH_CONNECTION:+remote}")).stdout == "remote\n"
        assert (await hosts.run(local_resource(), "echo here")).stdout == "here\n"
        assert await hosts.answers(local_resource())
    finally:
        await hosts.close()


async def test_a_resource_without_ssh_entry_is_refused_not_a_crash(hosts: SshHosts) -> None:
    assert (await refused(hosts, local_resource())).how == "no_route"


def test_access_is_part_of_what_a_connection_is_shared_by() -> None:
    one = SshAccess(user="a", key_file="k", known_hosts="h")
    assert hash(one) == hash(one.model_copy())
    assert one != one.model_copy(update={"key_file": "other"})


async def ended(pid: int) -> bool:
    """Whether a process ends within five seconds."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if is_zombie(pid):
            return True
        await asyncio.sleep(0.05)
    return False


def is_zombie(pid: int) -> bool:
    """Whether it has ended and nobody has taken note: where process 1 reaps nothing, it stays so."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except FileNotFoundError:
        return True

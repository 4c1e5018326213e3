"""A child process: what it says is read, how it ended is known, and nothing of it is left behind."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from graph.records import Resource
from tools.clients.child import Child
from tools.clients.host import HostUnreachable
from tools.clients.local import LocalHosts

HERE = Resource(id="here", kind="Instance", address="127.0.0.1", transport="local")


def alive(pid: int) -> bool:
    """Whether there is such a process, one that waits to be buried not counted."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_what_it_says_on_both_ways_and_how_it_ended_are_told() -> None:
    done = await LocalHosts().run(HERE, "echo out; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.exit_status) == ("out\n", "err\n", 3)


async def test_a_signal_that_ended_it_is_told_as_a_negative_status() -> None:
    assert (await LocalHosts().run(HERE, "kill -9 $$")).exit_status == -9


async def test_many_at_once_keep_their_outputs_apart() -> None:
    done = await asyncio.gather(*(LocalHosts().run(HERE, f"echo {number}") for number in range(40)))
    assert [each.stdout for each in done] == [f"{number}\n" for number in range(40)]


async def test_what_it_is_given_is_read_and_one_that_reads_none_of_it_ends_well() -> None:
    hosts = LocalHosts()
    assert (await hosts.feed(HERE, "cat", "given\n")).stdout == "given\n"
    assert (await hosts.feed(HERE, "exec 0<&-; echo deaf", "x" * 1_000_000)).stdout == "deaf\n"


async def test_at_the_deadline_the_shell_and_its_children_are_ended(tmp_path: Path) -> None:
    command = f"sleep 60 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/shell; wait"
    with pytest.raises(HostUnreachable, match="did not end"):
        await LocalHosts().run(HERE, command, timeout=0.5)
    pids = [int((tmp_path / name).read_text()) for name in ("shell", "child")]
    for _ in range(250):
        if not any(map(alive, pids)):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("they are still there")


async def test_who_gives_up_leaves_no_child_and_no_open_pipe() -> None:
    hosts = LocalHosts()
    await hosts.run(HERE, "true")
    before = len(os.listdir("/proc/self/fd"))
    running = [asyncio.create_task(hosts.run(HERE, "sleep 60")) for _ in range(5)]
    await asyncio.sleep(0.3)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await asyncio.sleep(0.1)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(OSError):
        await Child.start(("/nowhere/at/all",))

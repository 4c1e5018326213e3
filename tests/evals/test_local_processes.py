"""Processes of a stage end with it, whatever ends their starter, and nobody else's do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evals.lab import leftovers
from evals.lab.processes import ProcessGroup
from evals.lab.stage import LabError

STUBBORN = (
    "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)
PARENT = "import subprocess,sys,time; subprocess.Popen(['sleep','61'], start_new_session=True); time.sleep(60)"


def eventually(true: Callable[[], bool], what: str, timeout: float = 15.0) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.02)


def running(pid: int) -> bool:
    return leftovers.start_ticks(pid) is not None


def test_output_goes_to_a_log_and_stop_ends_every_process(tmp_path: Path) -> None:
    group = ProcessGroup(tmp_path)
    child = group.start("greeter", ["/bin/sh", "-c", "echo hello; sleep 60"])
    eventually(lambda: "hello" in group.log_tail("greeter"), "a line in the log")

    group.stop()
    group.stop()

    assert not running(child.pid)
    assert not group.alive("greeter")
    assert not (tmp_path / "processes.jsonl").exists()


def test_a_process_deaf_to_sigterm_is_killed(tmp_path: Path) -> None:
    group = ProcessGroup(tmp_path, patience=0.2)
    child = group.start("stubborn", [sys.executable, "-c", STUBBORN])
    eventually(lambda: "ready" in group.log_tail("stubborn"), "SIGTERM is ignored")

    group.stop()

    assert child.returncode == -signal.SIGKILL


def test_grandchildren_in_sessions_of_their_own_end_too(tmp_path: Path) -> None:
    group = ProcessGroup(tmp_path)
    group.start("parent", [sys.executable, "-c", PARENT])
    eventually(lambda: len(leftovers._marked(group.mark)) == 2, "parent and child run")

    group.stop()

    assert not leftovers._marked(group.mark)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_processes_end_when_their_starter_is_killed(tmp_path: Path, signum: signal.Signals) -> None:
    starter = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys,time; from pathlib import Path; from evals.lab.processes import ProcessGroup\n"
            "child = ProcessGroup(Path(sys.argv[1])).start('sleeper', ['sleep', '62'])\n"
            "print(child.pid, flush=True); time.sleep(60)",
            str(tmp_path),
        ],
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert starter.stdout is not None
    child = int(starter.stdout.readline())

    starter.send_signal(signum)
    starter.communicate(timeout=10)

    eventually(lambda: not running(child), "the sleeper has ended")


def test_what_a_killed_run_left_behind_ends_with_the_next_start(tmp_path: Path) -> None:
    left = subprocess.Popen(["sleep", "63"], start_new_session=True)
    ticks = leftovers.start_ticks(left.pid)
    assert ticks is not None
    record = leftovers.Started("sleeper", left.pid, ticks, leftovers.boot_id(), ("sleep", "63"))
    leftovers.append_record(tmp_path / "processes.jsonl", record)

    group = ProcessGroup(tmp_path)
    group.start("fresh", ["sleep", "64"])

    assert left.wait(timeout=5) == -signal.SIGTERM
    assert group.alive("fresh")
    group.stop()


@pytest.mark.parametrize(
    "difference",
    [{"start_ticks": 1}, {"boot_id": "another-boot"}, {"argv": ("prometheus",)}],
    ids=["started at another time", "another boot", "another program"],
)
def test_another_process_with_a_recorded_pid_is_left_alone(tmp_path: Path, difference: dict[str, object]) -> None:
    other = subprocess.Popen(["sleep", "65"])
    ticks = leftovers.start_ticks(other.pid)
    assert ticks is not None
    record = leftovers.Started("gone", other.pid, ticks, leftovers.boot_id(), ("sleep", "65"))
    leftovers.append_record(tmp_path / "processes.jsonl", replace(record, **difference))  # type: ignore[arg-type]

    ProcessGroup(tmp_path).stop()

    assert running(other.pid)
    other.kill()
    other.wait()


def test_a_pid_file_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    record = leftovers.Started("one", os.getpid(), 1, "boot", ("sleep",))
    leftovers.append_record(tmp_path / "pids", record)
    with (tmp_path / "pids").open("a") as out:
        out.write('{"name": "two", "pi')

    assert leftovers.read_records(tmp_path / "pids") == [record]


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    group = ProcessGroup(tmp_path)
    with pytest.raises(LabError, match=r"could not start ghost \(/no/such/program\)"):
        group.start("ghost", ["/no/such/program"])
    group.stop()

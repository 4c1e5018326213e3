"""Who uses the CPU: parsed from what real hosts have said, and measured on this machine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from graph.facts import Facts
from tests.tools.test_evidence import context, gathered, host, incident
from tools.clients.host import CommandResult, HostUnreachable
from tools.clients.local import LocalHosts
from tools.clients.memory import Answer, MemoryHosts
from tools.evidence import make_sources
from tools.evidence.process_sample import Sample, parse_look, parse_sample
from tools.evidence.process_sampling import look_command, sampling_command
from tools.health_cpu import cpu_observations

RECORDED = Path(__file__).parent / "recorded"
SPIN = "while True: pass"


def recorded(name: str) -> Sample:
    sample = parse_sample((RECORDED / f"processes_{name}.txt").read_text())
    assert sample is not None
    return sample


@contextlib.contextmanager
def spinning(name: bytes = b"segment") -> Iterator[int]:
    """A real process of that name that uses a CPU up; its pid."""
    program = f"open('/proc/self/comm', 'wb').write({name!r}); print(flush=True)\n{SPIN}"
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid
    finally:
        child.kill()
        child.wait(timeout=10)
        child.stdout.close() if child.stdout else None


def start_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()[19])


# -- what hosts have said ------------------------------------------------------------------------------------


def test_a_job_in_a_unit_of_its_own_is_told_with_what_proves_it() -> None:
    sample = recorded("unit")
    [busiest, *_] = sample.processes
    assert (busiest.pid, busiest.name, busiest.unit, busiest.started) == (105, "sh", "batch7.service", 529741)
    assert 30 < busiest.percent < 50, "of two CPUs, one or less"
    [unit, *_] = sample.units
    assert (unit.unit, unit.main_pid, unit.transient, unit.tasks) == ("batch7.service", 105, True, 1)
    assert unit.brief_percent == 0
    assert sample.cpus == 2
    assert sample.age_of(busiest) == pytest.approx(3.51, abs=0.01)


def test_short_processes_are_counted_through_their_parent() -> None:
    sample = recorded("storm")
    assert sample.processes[0].unit == "batch8.service"
    assert sample.processes[0].percent > 50, "no child of it was seen to use much"
    assert sample.forks_per_s is not None and sample.forks_per_s > 200
    assert sample.units[0].brief_percent > 0.9 * sample.units[0].percent
    assert sample.used_percent == pytest.approx(sample.busy_percent, abs=3)


def test_a_host_that_is_throttled_says_how_much_its_processes_really_use() -> None:
    sample = recorded("throttled")
    assert (sample.throttled_percent, sample.busy_percent, sample.used_percent) == (100.0, 97.4, 28.3)
    assert sample.processes[0].percent == 26.5, "nearly all of the quota, and a quarter of the CPU"


def test_a_process_left_by_a_login_is_told_with_its_user() -> None:
    sample = recorded("no_unit")
    assert (sample.processes[0].unit, sample.processes[0].uid) == ("ssh.service", 1000)


def test_a_host_at_rest_uses_nothing_and_our_own_look_is_not_counted() -> None:
    sample = recorded("idle")
    assert sample.busy_percent == 1.5
    assert sample.forks_per_s == 1.0
    assert {process.name for process in sample.processes} == {"prometheus-node"}


@pytest.mark.parametrize("said", ["", "sh: getconf: not found\n", "100\n0.1 0.1\nclock 1\n--\n--\n--\n", "\n--\n" * 9])
def test_what_is_no_answer_is_none(said: str) -> None:
    assert parse_sample(said) is None


def test_stolen_and_throttled_time_is_told_apart_from_busy_time() -> None:
    before = "clock 10.0 1\ncpu 0 0 0 0 0 0 0 0 0 0\ncpu0 0\nnr_periods 100\nnr_throttled 10\nlast 5\n"
    after = "clock 11.0 1\ncpu 30 0 10 20 0 0 0 40 0 0\ncpu0 0\nnr_periods 110\nnr_throttled 15\nlast 16\n"
    sample = parse_sample(f"100\n1.50 1 1 1/9 9\n{before}--\n{after}--\ntotal 3 30\n--\n")
    assert sample is not None
    assert (sample.busy_percent, sample.steal_percent, sample.throttled_percent) == (40.0, 40.0, 50.0)
    assert (sample.load1, sample.total_processes, sample.forks_per_s) == (1.5, 3, 0.0)


async def test_the_facts_are_few_and_name_declared_services_as_declared() -> None:
    said = (RECORDED / "processes_unit.txt").read_text().replace("batch7.service", "shopd.service")
    given = context({"last": said})
    facts = (await gathered("processes", host("shopd"), given)).facts
    assert facts['unit.cpu_percent{unit="shopd"}'] == facts['process.cpu_percent{name="sh",pid="105"}'] == 34.3
    assert facts['process.unit{pid="105"}'] == "shopd"
    assert facts['process.started{pid="105"}'] == 529741
    assert 'unit.transient{unit="shopd"}' not in facts, "a declared service is never stopped as a stranger"
    assert not any("prometheus-node" in key for key in facts), "what uses next to nothing is not told"
    assert isinstance(given.hosts, MemoryHosts) and len(given.hosts.ran) == 1


async def test_a_calm_host_is_not_measured_for_trouble_of_another_kind() -> None:
    given = context({"load": "calm\n"})
    [source] = make_sources(["processes"], given)
    down = incident(host("shopd"))
    assert (await source.gather(down)).status == "no_data"
    await source.gather(down.model_copy(update={"issue_types": ("service_down", "high_cpu")}))
    assert isinstance(given.hosts, MemoryHosts)
    assert ["echo calm" in command for _, command in given.hosts.ran] == [True, False]


@pytest.mark.parametrize(("load", "calm"), [("0.00", True), ("9999.00", False)])
async def test_a_host_says_itself_whether_it_is_calm(load: str, calm: bool, tmp_path: Path) -> None:
    (tmp_path / "loadavg").write_text(f"{load} 0.1 0.1 1/9 9\n")
    command = sampling_command(unless_calm=True).replace("/proc/loadavg", f"{tmp_path}/loadavg")
    said = (await LocalHosts().run(host().model_copy(update={"transport": "local"}), command, 20)).stdout
    assert (said.strip() == "calm", parse_sample(said) is None) == (calm, calm)


async def test_a_proc_that_can_not_be_read_is_no_data() -> None:
    found = await gathered("processes", host("shopd"), context({"last": CommandResult("", 1, "", "awk: no", 0.1)}))
    assert (found.status, "awk: no" in found.text) == ("no_data", True)


# -- this machine --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (b"segment", "segment"),
        (b"x) R 1 1 1", "x??R?1?1?1"),
        (b"a\n7 (b) S 2 2", "a?7??b??S?2?2"),
        (b"$(reboot)'\"", "??reboot???"),
        (b"\xff\x00", "?"),
    ],
)
async def test_a_real_process_is_found_whatever_it_calls_itself(name: bytes, told: str) -> None:
    resource = host().model_copy(update={"transport": "local"})
    with spinning(name) as pid:
        said = (await LocalHosts().run(resource, sampling_command(), 20)).stdout
        seen = parse_look((await LocalHosts().run(resource, look_command([pid, 1]), 20)).stdout)
        start = start_of(pid)
    sample = parse_sample(said)
    assert sample is not None
    mine = next(process for process in sample.processes if process.pid == pid)
    assert (mine.name, mine.started) == (told, start)
    assert mine.parent == os.getpid()
    assert seen[pid].started == start
    assert seen[pid].name == mine.name


@pytest.mark.parametrize(
    ("answer", "status", "observed"),
    [
        ("cpu 0 0 0 0 0 0 0 0 0 0\ncpu 84 0 0 16 0 0 0 0 0 0\n", "pass", "84 % busy over 1 s, below 85 % is well"),
        ("cpu 0 0 0 0 0 0 0 0 0 0\ncpu 80 0 5 15 0 0 0 0 0 0\n", "pending", "85 % busy over 1 s, below 85 % is well"),
        ("cpu 1 1 1 1 1\ncpu 1 1 1 1 1\n", "unknown", "does not tell"),
        ("cpu 0 0\n", "unknown", "does not tell"),
        ("", "unknown", "does not tell"),
        (HostUnreachable("no answer within 5 s", "timeout"), "pending", "no answer"),
        (HostUnreachable("it refuses our key", "auth"), "unknown", "our key"),
    ],
)
async def test_a_host_is_well_again_once_its_cpu_is_below_the_threshold(
    answer: Answer, status: str, observed: str
) -> None:
    [seen] = await cpu_observations(MemoryHosts({"": answer}), host())
    assert (seen.criterion, seen.status, observed in seen.observed) == ("cpu busy", status, True)


async def test_this_machines_own_cpu_is_told() -> None:
    [seen] = await cpu_observations(LocalHosts(), host().model_copy(update={"transport": "local"}))
    assert seen.status in ("pass", "pending") and "% busy over 1 s" in seen.observed


def test_facts_may_have_a_label_called_name() -> None:
    facts = Facts.of([("E1", {'process.cpu_percent{name="sh",pid="101"}': 48.5})])
    assert facts.value("process.cpu_percent", name="sh", pid="101") == 48.5

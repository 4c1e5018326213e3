"""The demo service fails the way services do, and says why."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from evals.lab import shopd
from evals.lab.probing import ask, free_port, wait_until

SCRIPT = str(Path(shopd.__file__).resolve())


def run_briefly(config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", SCRIPT, str(config)], capture_output=True, text=True, timeout=20)


@contextmanager
def serving(tmp_path: Path, **settings: Any) -> Iterator[str]:
    port = free_port()
    config = tmp_path / "shopd.json"
    config.write_text(json.dumps({"listen": "127.0.0.1", "port": port, "data_dir": str(tmp_path), **settings}))
    child = subprocess.Popen([sys.executable, "-I", SCRIPT, str(config)], stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(url), 15, "shopd answers")
        yield url
    finally:
        child.terminate()
        assert child.wait(timeout=10) == 0


def answers(url: str) -> str | None:
    try:
        ask(url)
    except OSError as error:
        return str(error)
    return None


def test_a_healthy_service_says_so_and_counts_its_requests(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        assert ask(f"{url}/healthz") == (200, "ok\n")
        before = requests_counted(url)
        ask(url)
        assert requests_counted(url) == before + 1
        assert "shopd_up 1\n" in ask(f"{url}/metrics")[1]


def requests_counted(url: str) -> int:
    [line] = [line for line in ask(f"{url}/metrics")[1].splitlines() if line.startswith("shopd_requests_total")]
    return int(line.split()[1])


def test_an_upstream_out_of_reach_makes_it_unhealthy_with_the_reason(tmp_path: Path) -> None:
    with serving(tmp_path, upstream="127.0.0.1:1") as url:
        status, reason = ask(f"{url}/healthz")
        assert status == 503
        assert reason.startswith("cannot reach upstream 127.0.0.1:1: ")


def test_a_data_folder_that_is_gone_makes_it_unhealthy_with_the_reason(tmp_path: Path) -> None:
    with serving(tmp_path, data_dir=str(tmp_path / "gone")) as url:
        status, reason = ask(f"{url}/healthz")
        assert (status, reason.split(":")[0]) == (503, f"cannot write to data_dir {tmp_path / 'gone'}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{\n  "port": 808O,\n  "data_dir": "/tmp"\n}\n', "line 2 column 14: Expecting ',' delimiter: \"port\": 808O,"),
        ('{\n  "port": "80",\n  "data_dir": "/tmp"\n}\n', 'line 2: \'port\' must be of type int: "port": "80",'),
        ('{"port": 80}', "line 1: 'data_dir' must be of type str: (missing)"),
        ("[]", "line 1: not a JSON object: []"),
        ("", "line 1 column 1: Expecting value: "),
    ],
)
def test_a_bad_configuration_is_refused_with_file_line_and_text(tmp_path: Path, text: str, expected: str) -> None:
    config = tmp_path / "shopd.json"
    config.write_text(text)

    ended = run_briefly(config)

    assert ended.returncode == shopd.BAD_CONFIG
    assert ended.stdout == f"shopd: FATAL config error in {config} {expected}\n"


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with serving(tmp_path):
        ended = run_briefly(tmp_path / "shopd.json")
    assert ended.returncode == shopd.CANNOT_SERVE
    assert "cannot listen on 127.0.0.1:" in ended.stdout
    assert "Address already in use" in ended.stdout


def test_a_leak_takes_memory_for_real(tmp_path: Path) -> None:
    with serving(tmp_path, leak_mib_per_s=200):
        [pid] = [p for p in Path("/proc").glob("[0-9]*") if str(tmp_path / "shopd.json") in command_line(p)]
        wait_until(lambda: None if resident_mib(pid) > 60 else f"{resident_mib(pid)} MiB", 15, "memory grows")


def test_a_service_that_needs_its_upstream_does_not_start_without_it(tmp_path: Path) -> None:
    config = {"listen": "127.0.0.1", "port": free_port(), "data_dir": str(tmp_path), "needs_upstream": True}
    (tmp_path / "shopd.json").write_text(json.dumps({**config, "upstream": f"127.0.0.1:{free_port()}"}))
    ended = run_briefly(tmp_path / "shopd.json")
    assert ended.returncode == shopd.CANNOT_SERVE
    assert "FATAL cannot reach upstream 127.0.0.1:" in ended.stdout


def test_an_answer_costs_the_cpu_it_is_set_to_and_a_spin_costs_all(tmp_path: Path) -> None:
    with serving(tmp_path, work_ms=200) as url:
        before = cpu_ticks(tmp_path)
        ask(f"{url}/", timeout=15)
        assert cpu_ticks(tmp_path) - before >= 15
    with serving(tmp_path, spin=True) as url:
        begun = cpu_ticks(tmp_path)
        wait_until(lambda: None if cpu_ticks(tmp_path) > begun + 30 else "at rest", 15, "it spins")
        assert ask(f"{url}/healthz", timeout=15)[0] == 200


def cpu_ticks(tmp_path: Path) -> int:
    [pid] = [p for p in Path("/proc").glob("[0-9]*") if str(tmp_path / "shopd.json") in command_line(p)]
    fields = (pid / "stat").read_text().rpartition(") ")[2].split()
    return int(fields[11]) + int(fields[12])


def command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def resident_mib(process: Path) -> float:
    [line] = [line for line in (process / "status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024

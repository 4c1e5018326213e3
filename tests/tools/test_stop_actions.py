"""Stopping what runs away: that very process and no other, that very unit and none that is declared or needed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.instance import INSTANCE
from graph.ports import InvalidStep
from graph.records import PlanStep, Resource, SshAccess
from graph.resources import Database
from tests.tools.test_actions import KEY, NOW, WallClock
from tests.tools.test_processes import start_of
from tools.actions import ActionContext
from tools.actions.catalogue import Catalogue
from tools.actions.claims import marker_name
from tools.actions.protected_units import is_protected, objection_to
from tools.clients.local import LocalHosts
from tools.clients.memory import MemoryHosts

ACCESS = SshAccess(user="selfheal", key_file="k", known_hosts="h")
REMOTE = Resource(id="inst-1", kind="Instance", address="10.0.0.5", ssh=ACCESS, services=("shopd", "web.service"))
HERE = Resource(id="inst-1", kind="Instance", address="127.0.0.1", transport="local")
DATABASE = Resource(
    id="db-1", kind="Database", address="10.0.0.5", ssh=ACCESS, host="inst-1",
    database=Database(engine="postgresql", cluster="orders", role="primary", port=5432, service="orders-db"),
)  # fmt: skip
INVENTORY = {each.key: each for each in (REMOTE, DATABASE)}


@pytest.fixture
def real(tmp_path: Path) -> Catalogue:
    return Catalogue(ActionContext(LocalHosts(), WallClock(), marker_root=str(tmp_path / "marks")))


@contextlib.contextmanager
def child(program: str = "import time; time.sleep(600)", name: bytes = b"segment") -> Iterator[subprocess.Popen[bytes]]:
    """A real process of that name."""
    naming = f"open('/proc/self/comm', 'wb').write({name!r}); print(flush=True)\n"
    process = subprocess.Popen([sys.executable, "-c", f"{naming}{program}"], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)
        if process.stdout:
            process.stdout.close()


async def stopping(catalogue: Catalogue, pid: int, started: int, name: str = "segment") -> PlanStep:
    params = {"pid": pid, "started": started, "name": name}
    return await catalogue.complete(HERE, INSTANCE, PlanStep(action="stop_process", params=params))


# -- processes -----------------------------------------------------------------------------------------------


async def test_a_process_is_asked_to_end_and_the_claim_proves_it(real: Catalogue) -> None:
    with child() as process:
        step = await stopping(real, process.pid, start_of(process.pid))
        assert await real.precondition(HERE, step) is None
        baseline = await real.baseline(HERE, step)
        assert baseline == {"there": True}
        assert (await real.probe(HERE, step, KEY, baseline)).effect == "no_effect"
        output = await real.run(HERE, step, KEY, NOW)
        assert (output.status, output.output) == ("succeeded", f"process {process.pid} ended by SIGTERM")
        assert process.wait(timeout=5) == -15
        assert (await real.probe(HERE, step, KEY, baseline)).effect == "took_effect"


async def test_a_process_that_does_not_listen_is_ended_by_force(real: Catalogue) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    with child(stubborn) as process:
        assert process.stdout is not None
        process.stdout.readline()
        step = await stopping(real, process.pid, start_of(process.pid))
        output = await real.run(HERE, step, KEY, NOW)
        assert (output.status, output.output) == ("succeeded", f"process {process.pid} ended by SIGKILL")
        assert process.wait(timeout=5) == -9


@pytest.mark.parametrize(
    ("changed", "name", "says"),
    [(1, "segment", "another now: segment, started at"), (0, "other", "another now"), (0, "segmen?", "another now")],
)
async def test_a_pid_that_is_anothers_now_is_not_touched(real: Catalogue, changed: int, name: str, says: str) -> None:
    with child() as process:
        step = await stopping(real, process.pid, start_of(process.pid) + changed, name)
        assert says in (await real.precondition(HERE, step) or "")
        output = await real.run(HERE, step, KEY, NOW)
        assert output.status == "failed" and says in output.output
        assert process.poll() is None


async def test_a_process_that_has_ended_is_told_so(real: Catalogue) -> None:
    with child() as process:
        step = await stopping(real, process.pid, start_of(process.pid))
        process.kill()  # not waited for: a zombie still has its pid
        for _ in range(200):
            said = await real.precondition(HERE, step) or ""
            if "has ended" in said:
                break
        assert said == f"process {process.pid} has ended: nothing to stop"


@pytest.mark.parametrize(
    "name", [b"x) S 1 1", b"a\nb) R 2", b"'; reboot; '", b"$(id)`id`", b'\\"\xff', b"-n", b"*", b"tmux: server"]
)
async def test_a_process_is_stopped_whatever_it_calls_itself(real: Catalogue, name: bytes) -> None:
    with child(name=name) as process:
        told = "".join(chr(c) if (chr(c).isalnum() and c < 128) or chr(c) in "._/:+@#=-" else "?" for c in name)
        step = await stopping(real, process.pid, start_of(process.pid), told)
        assert await real.precondition(HERE, step) is None
        assert (await real.run(HERE, step, KEY, NOW)).status == "succeeded"
        assert process.wait(timeout=5) == -15


async def test_our_own_way_in_is_never_cut(real: Catalogue) -> None:
    name = "".join(c if c.isalnum() or c in "._/:+@#=-" else "?" for c in own_name())
    step = await stopping(real, os.getpid(), start_of(os.getpid()), name)
    assert "our own way in" in (await real.precondition(HERE, step) or "")
    assert "our own way in" in (await real.run(HERE, step, KEY, NOW)).output


def own_name() -> str:
    return Path("/proc/self/comm").read_text().rstrip("\n")


@pytest.mark.parametrize("name", ["sshd", "systemd-logind", "dbus-daemon", "init"])
async def test_what_keeps_the_host_going_is_not_stopped_by_its_name(real: Catalogue, name: str) -> None:
    with child(name=name.encode()) as process:
        step = await stopping(real, process.pid, start_of(process.pid), name[:15])
        assert "is not stopped by us" in (await real.precondition(HERE, step) or "")
        assert (await real.run(HERE, step, KEY, NOW)).status == "failed"
        assert process.poll() is None


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"pid": 1, "started": 5, "name": "init"}, "params.pid"),
        ({"pid": -1, "started": 5, "name": "x"}, "params.pid"),
        ({"pid": "7; reboot", "started": 5, "name": "x"}, "params.pid"),
        ({"pid": 7, "started": 5, "name": "$(reboot)"}, "params.name"),
        ({"pid": 7, "started": 5, "name": "a\nb"}, "params.name"),
        ({"pid": 7, "started": 5, "name": ""}, "params.name"),
        ({"pid": 7, "started": 0, "name": "x"}, "params.started"),
        ({"pid": 7, "name": "x"}, "params.started"),
    ],
)
async def test_params_that_name_no_certain_process_are_refused(
    real: Catalogue, params: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidStep) as caught:
        await real.complete(HERE, INSTANCE, PlanStep(action="stop_process", params=params))
    assert caught.value.field == field


async def test_a_run_that_left_no_exit_status_is_proven_by_the_process_being_gone(
    real: Catalogue, tmp_path: Path
) -> None:
    with child() as process:
        step = await stopping(real, process.pid, start_of(process.pid))
        baseline = await real.baseline(HERE, step)
        (tmp_path / "marks" / marker_name(KEY)).mkdir(parents=True)
        assert (await real.probe(HERE, step, KEY, baseline)).effect == "unknown"
        process.kill()
        process.wait(timeout=5)
        assert (await real.probe(HERE, step, KEY, baseline)).effect == "took_effect"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("unit shopd.service\nMainPID=70\nby 77\nby 1\n", "a declared service of Instance/inst-1"),
        ("unit orders-db.service\nMainPID=70\nby 77\n", "a declared service of Database/db-1"),
        ("unit cron.service\nMainPID=77\nby 77\n", "the main process of cron.service"),
        ("unit \nby 99\nby 60\n", "a process of shopd, a declared service"),
    ],
)
async def test_what_works_for_a_declared_service_is_restarted_instead(said: str, why: str) -> None:
    shown = "10 1\nId=shopd.service\nNames=shopd.service\nLoadState=loaded\nActiveState=active\nMainPID=60\n"
    hosts = MemoryHosts({"echo unit": said, "systemctl show": shown})
    catalogue = Catalogue(ActionContext(hosts, WallClock(), inventory=INVENTORY))
    params = {"pid": 77, "started": 5, "name": "x"}
    step = await catalogue.complete(REMOTE, INSTANCE, PlanStep(action="stop_process", params=params))
    assert why in (await catalogue.precondition(REMOTE, step) or "")


# -- units ---------------------------------------------------------------------------------------------------

HELD: dict[str, Any] = {"pid": 77, "started": 5, "name": "sh"}
RUNS = "LoadState=loaded\nActiveState=active\nTransient=no\nRequiredBy=\nBoundBy=\n"


def catalogue_of(**answers: str) -> tuple[Catalogue, MemoryHosts]:
    hosts = MemoryHosts({"systemctl show": answers.get("shown", RUNS), "-stopped": answers.get("stopped", "")})
    return Catalogue(ActionContext(hosts, WallClock(), inventory=INVENTORY)), hosts


@pytest.mark.parametrize(
    ("unit", "why"),
    [
        ("shopd.service", "a declared service of Instance/inst-1"),
        ("web.service", "a declared service of Instance/inst-1"),
        ("orders-db.service", "a declared service of Database/db-1"),
        ("ssh.service", "what the host needs"),
        ("systemd-journald.service", "what the host needs"),
        ("postgresql@15-main.service", "what the host needs"),
        ("session-3.scope", "no service that could be stopped"),
        ("system.slice", "no service that could be stopped"),
        ("x.service; reboot", "no service that could be stopped"),
        ("--force.service", "no service that could be stopped"),
        ("batch7", "no service that could be stopped"),
    ],
)
async def test_units_that_must_not_be_stopped_are_refused(unit: str, why: str) -> None:
    catalogue, hosts = catalogue_of()
    with pytest.raises(InvalidStep) as caught:
        await catalogue.complete(REMOTE, INSTANCE, PlanStep(action="stop_unit", params=HELD | {"unit": unit}))
    assert caught.value.field == "params.unit" and why in caught.value.message
    assert hosts.ran == []


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (RUNS, None),
        (RUNS.replace("=active", "=inactive"), "nothing to stop"),
        (RUNS.replace("Transient=no", "Transient=yes"), "transient, unlike planned"),
        (RUNS.replace("RequiredBy=", "RequiredBy=multi-user.target shopd.service"), "shopd needs batch7.service"),
    ],
)
async def test_a_unit_is_stopped_only_as_it_was_taken_for(shown: str, why: str | None) -> None:
    catalogue, _ = catalogue_of(shown=shown)
    step = await catalogue.complete(
        REMOTE, INSTANCE, PlanStep(action="stop_unit", params=HELD | {"unit": "batch7.service"})
    )
    said = await catalogue.precondition(REMOTE, step)
    assert said is None if why is None else why in (said or "")


async def test_a_unit_with_a_file_can_be_started_again_and_a_transient_one_not() -> None:
    catalogue, _ = catalogue_of()
    lasting, passing = [
        await catalogue.complete(
            REMOTE,
            INSTANCE,
            PlanStep(action="stop_unit", params=HELD | {"unit": "batch7.service", "transient": transient}),
        )
        for transient in (False, True)
    ]
    assert lasting.undo is not None and lasting.undo.action == "start_unit"
    assert "systemctl start batch7.service" in lasting.undo.rendered
    assert passing.undo is None
    assert "sudo -n systemctl stop batch7.service" in lasting.rendered


async def test_only_what_we_have_stopped_is_started_again() -> None:
    step = PlanStep(action="start_unit", params={"unit": "debug7.service"})
    catalogue, _ = catalogue_of()
    ready = await catalogue.complete(REMOTE, INSTANCE, step)
    assert "was not stopped by us" in (await catalogue.precondition(REMOTE, ready) or "")
    remembering, _ = catalogue_of(stopped="stopped by us\n", shown="ActiveState=inactive\n")
    assert await remembering.precondition(REMOTE, ready) is None
    for unit in ("debug-shell.service", "emergency.service", "reboot.target"):
        with pytest.raises(InvalidStep):
            await catalogue.complete(REMOTE, INSTANCE, PlanStep(action="start_unit", params={"unit": unit}))


async def test_a_process_that_is_in_another_unit_saves_the_unit(real: Catalogue) -> None:
    with child() as process:
        params = {"pid": process.pid, "started": start_of(process.pid), "name": "segment", "unit": "batch7.service"}
        step = await real.complete(HERE, INSTANCE, PlanStep(action="stop_unit", params=params))
        assert "not in batch7.service: not stopped" in (await real.precondition(HERE, step) or "")
        output = await real.run(HERE, step, KEY, NOW)
        assert output.status == "failed" and "not in batch7.service" in output.output


def test_protection_goes_by_the_whole_name() -> None:
    assert is_protected("ssh.service") and is_protected("cron.service") and is_protected("user@1000.service")
    assert not is_protected("batch7.service") and not is_protected("sshuttle-batch.service")
    assert objection_to("run-r1234.scope", REMOTE, INVENTORY) is None

"""Service managers: what they answer is understood, and no name gets into a command that was not declared."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from graph.records import Resource, ServiceManagerAccess, SshAccess
from tests.tools.supervised import Supervisor, running_supervisord
from tools.clients.local import LocalHosts
from tools.services import ManagerSilent, Supervisord, Systemd, UnknownUnit, declared, manager_for, unit_states

RECORDED = Path(__file__).parent / "recorded"
ROOT = SshAccess(user="root", key_file="k", known_hosts="h")


def host(*services: str, user: str = "root") -> Resource:
    access = ROOT.model_copy(update={"user": user})
    return Resource(id="inst-1", kind="Instance", address="10.0.0.5", ssh=access, services=services)


# -- systemd, as recorded on a systemd 252 host ------------------------------------------------------

SHOWN = ("web", "bad", "killed", "broken", "slow", "nope", "sshd", "dbus-org.freedesktop.login1")


def shown(unit: str, asked: tuple[str, ...] = SHOWN) -> object:
    output = (RECORDED / "systemctl_show.txt").read_text()
    return Systemd(host(*asked)).parse_status(output, asked)[unit]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("web", {"state": "stopped", "substate": "dead", "invocation_id": None, "main_pid": None}),
        ("bad", {"state": "failed", "result": "exit-code", "exit_code": 3, "signal": None, "restarts": 3}),
        ("killed", {"state": "failed", "result": "signal", "exit_code": None, "signal": "KILL", "restarts": 0}),
        ("broken", {"state": "failed", "result": "bad-setting", "changed_seconds_ago": None}),
        ("slow", {"state": "starting", "substate": "start", "enabled": True, "main_pid": 77}),
        ("nope", {"state": "not_found", "enabled": None}),
        ("sshd", {"state": "running", "invocation_id": "b7e5bf7b140743b6981a4d743983e999", "main_pid": 48}),
        ("dbus-org.freedesktop.login1", {"state": "running", "main_pid": 36}),
    ],
)
def test_what_systemctl_shows_is_understood(unit: str, expected: dict[str, object]) -> None:
    state = shown(unit)
    assert {name: getattr(state, name) for name in expected} == expected


def test_the_time_since_a_change_comes_from_the_hosts_own_clock() -> None:
    assert getattr(shown("killed"), "changed_seconds_ago") == pytest.approx(5046.62 - 5044.611885)  # noqa: B009


def test_a_unit_given_up_after_restarts_has_hit_its_start_limit_whatever_its_result_says() -> None:
    assert getattr(shown("bad"), "start_limit_hit")  # noqa: B009
    assert not getattr(shown("killed"), "start_limit_hit")  # noqa: B009


def test_an_answer_that_makes_no_sense_is_unknown() -> None:
    states = Systemd(host("web")).parse_status("System has not been booted with systemd as init system\n", ["web"])
    assert states["web"].state == "unknown"


def test_changes_lift_the_start_limit_and_go_through_sudo_where_the_user_needs_it() -> None:
    assert Systemd(host("nginx")).restart_command("nginx") == (
        "systemctl reset-failed nginx.service 2>/dev/null; systemctl restart nginx.service"
    )
    command = Systemd(host("nginx", user="selfheal")).start_command("nginx")
    assert command.count("sudo -n systemctl ") == 2
    assert "sudo" not in Systemd(host("nginx", user="selfheal")).status_command(["nginx"])


# -- names -------------------------------------------------------------------------------------------

HOSTILE = ("", "web; reboot", "$(reboot)", "-H evil", "--all", "a b", "web\n", "../x", "web'", "*", "web|sh", "ж")


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("manager", [Systemd, Supervisord])
def test_a_hostile_name_gets_into_no_command(unit: str, manager: type[Systemd] | type[Supervisord]) -> None:
    # Even where an operator's file would declare it.
    for resource in (host("web"), host("web", unit)):
        with pytest.raises(UnknownUnit):
            manager(resource).restart_command(unit)
        with pytest.raises(UnknownUnit):
            manager(resource).status_command([unit])


@pytest.mark.parametrize("manager", [Systemd, Supervisord])
def test_a_unit_that_is_not_declared_gets_into_no_command(manager: type[Systemd] | type[Supervisord]) -> None:
    for command in (manager(host("web")).restart_command, manager(host("web")).start_command):
        with pytest.raises(UnknownUnit, match="declared: web"):
            command("sshd")
    with pytest.raises(UnknownUnit):
        manager(host("web")).logs_command("sshd", 10)


def test_a_unit_is_found_by_either_spelling() -> None:
    resource = host("nginx", "shop@1.service")
    manager = manager_for(resource)
    assert declared(resource, "nginx.service", manager) == "nginx"
    assert declared(resource, "shop@1", manager) == "shop@1.service"


def test_paths_of_supervisord_are_quoted() -> None:
    access = ServiceManagerAccess(name="supervisord", config="/etc/a b.conf", command="/opt/my ctl")
    command = Supervisord(host("web").model_copy(update={"service_manager": access})).restart_command("web")
    assert shlex.split(command) == ["/opt/my ctl", "-c", "/etc/a b.conf", "restart", "web"]


# -- supervisord, as recorded and really -------------------------------------------------------------

TOLD = ("nope", "shopd", "web", "killed", "asked", "gone", "begins", "group:one", "unasked")


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("nope", {"state": "not_found"}),
        ("shopd", {"state": "failed", "substate": "FATAL", "exit_code": 2, "signal": None}),
        ("web", {"state": "running", "main_pid": 19423, "run_id": "19423:309158", "changed_seconds_ago": 93603.0}),
        ("killed", {"state": "failed", "substate": "EXITED", "signal": "KILL", "changed_seconds_ago": 12.0}),
        ("asked", {"state": "stopped", "exit_code": 0}),
        ("gone", {"state": "failed", "detail": "can't find command '/nonexistent/xx'"}),
        ("begins", {"state": "starting"}),
        ("group:one", {"state": "starting", "substate": "BACKOFF", "exit_code": 3}),
        ("unasked", {"state": "unknown"}),
    ],
)
def test_what_supervisorctl_says_is_understood(unit: str, expected: dict[str, object]) -> None:
    output = (RECORDED / "supervisord_status.txt").read_text()
    state = Supervisord(host(*TOLD)).parse_status(output, TOLD)[unit]
    assert {name: getattr(state, name) for name in expected} == expected


@pytest.fixture(scope="module")
def supervisor() -> Iterator[Supervisor]:
    with running_supervisord() as running:
        yield running


async def test_a_real_supervisord_tells_the_state_of_its_programs(supervisor: Supervisor) -> None:
    resource = supervisor.resource()
    states = await unit_states(LocalHosts(), resource, resource.services)
    assert {unit: state.state for unit, state in states.items()} == {
        "web": "running",
        "idle": "stopped",
        "bad": "stopped",
        "nope": "not_found",
    }
    assert states["web"].main_pid == supervisor.pid("web")


async def test_a_program_that_was_killed_is_told_as_killed(supervisor: Supervisor) -> None:
    resource = supervisor.resource()
    supervisor.ctl("start", "web")
    os.kill(supervisor.pid("web"), signal.SIGKILL)
    for _ in range(50):
        state = (await unit_states(LocalHosts(), resource, ["web"]))["web"]
        if state.state != "running":
            break
    assert (state.state, state.signal) == ("failed", "KILL")


async def test_the_logs_of_a_program_hold_its_words_and_supervisords(supervisor: Supervisor) -> None:
    resource = supervisor.resource()
    supervisor.ctl("start", "bad")
    logs = (await LocalHosts().run(resource, manager_for(resource).logs_command("bad", 20))).stdout
    assert "config error in line 3" in logs
    assert "exited: bad (exit status 2; not expected)" in logs


async def test_a_supervisord_that_does_not_run_is_told_with_its_own_words(supervisor: Supervisor) -> None:
    resource = supervisor.resource()
    access = resource.service_manager.model_copy(update={"config": "/nowhere/supervisord.conf"})
    with pytest.raises(ManagerSilent, match=r"/nowhere/supervisord\.conf"):
        await unit_states(LocalHosts(), resource.model_copy(update={"service_manager": access}), ["web"])

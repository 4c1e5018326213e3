"""A true fault, while a source that would tell of it is away or fails."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from evals.lab import command_log
from evals.lab.expectations import FAULTS, Expectation
from evals.lab.faults.on_host import tell
from evals.lab.hosts import LabStage
from evals.lab.machine_commands import call
from evals.lab.network import in_network
from evals.lab.rootfs_files import SUDOERS, USER
from evals.lab.situations.compose import Aside, beside
from evals.lab.stage import Fault, StageHost

SLOW_SECONDS = 4
_AWAY = "away"


def _refuse(stage: LabStage, port: int) -> None:
    """Nobody in the lab's network reaches that port of this machine's any more."""
    with in_network():
        call(["nft", f"add table ip {_AWAY}; add chain ip {_AWAY} out {{ type filter hook output priority 0 ; }}; "
                     f"add rule ip {_AWAY} out tcp dport {port} reject with tcp reset"])  # fmt: skip


def _let(stage: LabStage, host: StageHost) -> None:
    with in_network():
        call(["nft", f"add table ip {_AWAY}; delete table ip {_AWAY}"])


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None, "the lab's servers have ports of their own"
    return port


def _deny_cloud(stage: LabStage, host: StageHost) -> None:
    stage.cloud.denied = True


def _allow_cloud(stage: LabStage, host: StageHost) -> None:
    stage.cloud.denied = False


def _no_journal(stage: LabStage, host: StageHost) -> None:
    fewer = SUDOERS.replace("/usr/bin/journalctl *, ", "").replace("/usr/bin/dmesg, ", "")
    stage.machine(host).disk.write("etc/sudoers.d/selfheal", fewer)
    # who is logged in keeps the groups that he had
    groups = f"gpasswd -d {USER} adm; gpasswd -d {USER} systemd-journal; pkill -KILL -u {USER} sshd; true"
    tell(stage, host, f"chmod 440 /etc/sudoers.d/selfheal; {groups}")


def _no_sudo(stage: LabStage, host: StageHost) -> None:
    stage.machine(host).disk.write("etc/sudoers.d/selfheal", f"Defaults:{USER} !requiretty\n")
    tell(stage, host, "chmod 440 /etc/sudoers.d/selfheal")


def _with_sudo(stage: LabStage, host: StageHost) -> None:
    stage.machine(host).disk.write("etc/sudoers.d/selfheal", SUDOERS)
    tell(
        stage,
        host,
        f"chmod 440 /etc/sudoers.d/selfheal; usermod -aG adm,systemd-journal {USER}; pkill -KILL -u {USER} sshd; true",
    )


def _slow_ssh(stage: LabStage, host: StageHost) -> None:
    slow = command_log.WRAPPER_TEXT.replace("exec 9>&-\n", f"exec 9>&-\nsleep {SLOW_SECONDS}\n")
    _wrapped(stage, host, slow)


def _quick_ssh(stage: LabStage, host: StageHost) -> None:
    _wrapped(stage, host, command_log.WRAPPER_TEXT)


def _wrapped(stage: LabStage, host: StageHost, text: str) -> None:
    stage.machine(host).disk.write(command_log.WRAPPER, text)
    tell(stage, host, f"chmod 755 /{command_log.WRAPPER}")


def _unit(verb: str, unit: str) -> Aside:
    return Aside(
        lambda stage, host: _told(stage, host, f"systemctl {verb} {unit}"),
        lambda stage, host: _told(stage, host, f"systemctl start {unit}"),
    )


def _told(stage: LabStage, host: StageHost, command: str) -> None:
    tell(stage, host, command)


PROMETHEUS_AWAY = Aside(lambda stage, host: _refuse(stage, _port(stage.prometheus_url)), _let)
CLOUD_AWAY = Aside(lambda stage, host: _refuse(stage, _port(stage.cloud.url)), _let)
CLOUD_DENIED = Aside(_deny_cloud, _allow_cloud)
NO_JOURNAL = Aside(_no_journal, _with_sudo)
NO_SUDO = Aside(_no_sudo, _with_sudo)
SLOW_SSH = Aside(_slow_ssh, _quick_ssh)
EXPORTER_AWAY = _unit("stop", "prometheus-node-exporter")


def _less(base: str, *facts: str) -> Expectation:
    """What can still be proved without the source."""
    return replace(FAULTS[base], facts=facts)


_NO_PROVIDER = Expectation("host_freeze", ("host_unreachable", "unknown"), ("host.reachable",))
"""What nobody can tell nobody may reboot for."""
_CUT_OFF = Expectation("security_group_edit", ("cut_off_elsewhere", "unknown"), ("net.local_status", "health.ok"))
"""It works on the host and is not reached: what shuts it can't be seen."""

_SITUATIONS: tuple[tuple[str, str, Aside, Expectation, str], ...] = (
    ("killed_unwatched", "service_killed", PROMETHEUS_AWAY, FAULTS["service_killed"], "Prometheus does not answer"),
    (
        "edit_unread", "bad_config", NO_JOURNAL,
        replace(
            _less("bad_config", "unit.state"),
            causes=("bad_configuration", "process_crashed", "unknown"), forbidden=("soft_reboot", "hard_reboot"),
        ),
        "nobody may read the journal",
    ),
    ("killed_unread", "service_killed", NO_JOURNAL, FAULTS["service_killed"], "nobody may read the journal"),
    (
        "killed_and_no_exporter", "service_killed", EXPORTER_AWAY, FAULTS["service_killed"],
        "the host's exporter is dead, so that the host seems down",
    ),
    (
        "stopped_host_denied", "host_stopped", CLOUD_DENIED,
        replace(_NO_PROVIDER, mechanism="power_off"), "the provider's API denies us",
    ),
    ("hung_host_no_provider", "host_hung", CLOUD_AWAY, _NO_PROVIDER, "the provider's API does not answer"),
    (
        "spin_unwatched", "cpu_unit_runs_away", PROMETHEUS_AWAY, FAULTS["cpu_unit_runs_away"],
        "Prometheus does not answer",
    ),
    ("dumps_unwatched", "disk_core_dumps", PROMETHEUS_AWAY, FAULTS["disk_core_dumps"], "Prometheus does not answer"),
    ("stopped_slowly", "service_stopped", SLOW_SSH, FAULTS["service_stopped"], "each command over SSH takes seconds"),
    (
        "group_denied", "security_group_closed", CLOUD_DENIED,
        _CUT_OFF,
        "the provider's API denies us",
    ),
    (
        "rule_unseen", "port_shut_iptables", NO_SUDO,
        replace(_CUT_OFF, causes=("cut_off_elsewhere", "firewall_drop", "unknown"), mechanism="firewall_rule"),
        "sudo is not allowed",
    ),
    (
        "pg_killed_unwatched", "pg_server_killed", PROMETHEUS_AWAY, FAULTS["pg_server_killed"],
        "Prometheus does not answer",
    ),
)  # fmt: skip


def _escalates(made: Fault) -> Fault:
    """Where it is expected to be escalated the world stays ill."""
    expectation = made.expectation
    if expectation is None or expectation.first:
        return made
    return replace(
        made, expected_cause=expectation.causes[0], expected_outcome="escalated", expected_actions=(), mended=None
    )


MISSING: tuple[Fault, ...] = tuple(
    # the lab itself needs the cloud to break something there
    _escalates(beside(name, base, aside, expectation.also("missing_source"), says, later=aside is CLOUD_DENIED))
    for name, base, aside, expectation, says in _SITUATIONS
)

"""What logs, kernels and sockets say is understood, as tables of real lines."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tools.recorded import logs
from tools.evidence.changes import last_package_change
from tools.evidence.context import ago, asked_of, line, text_of
from tools.evidence.kernel_log import kernel_signs
from tools.evidence.log_signs import signs_in
from tools.evidence.ports import Holder, established, listening_ports


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (logs.SYSTEMD_KILLED, {"config_error": None, "oom": False, "stopped_by_request": False}),
        (logs.SYSTEMD_STOPPED, {"config_error": None, "stopped_by_request": True}),
        (logs.SYSTEMD_ENDED_BY_ITSELF, {"stopped_by_request": False}),
        (logs.SYSTEMD_BAD_CONFIG, {"stopped_by_request": False, "oom": False}),
        (logs.SYSTEMD_CONFIG_MENDED_THEN_KILLED, {"config_error": None, "stopped_by_request": False}),
        (logs.SYSTEMD_OOM, {"oom": True, "stopped_by_request": False, "config_error": None}),
        (logs.SYSTEMD_NGINX_PORT, {"address_in_use": True, "config_error": None}),
        (logs.SYSTEMD_NO_SPACE, {"no_space": True, "config_error": None}),
        (logs.SYSTEMD_HOSTILE, {"config_error": None, "stopped_by_request": False}),
        (logs.SUPERVISORD_KILLED, {"config_error": None, "stopped_by_request": False}),
        (logs.SUPERVISORD_STOPPED, {"config_error": None, "stopped_by_request": True}),
        (logs.SUPERVISORD_BAD_CONFIG, {"stopped_by_request": False}),
        ("", {"config_error": None, "last_error": None, "stopped_by_request": None}),
    ],
)
def test_a_log_tells_why_its_service_ended(log: str, expected: dict[str, Any]) -> None:
    signs = signs_in(log)
    assert {name: getattr(signs, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (logs.SYSTEMD_BAD_CONFIG, "/etc/shopd.json line 4 column 3"),
        (logs.SYSTEMD_NGINX_CONFIG, "/etc/nginx/sites-enabled/default:22"),
        (logs.SYSTEMD_TRACEBACK, "JSONDecodeError: Expecting value: line 3"),
        (logs.SUPERVISORD_BAD_CONFIG, "/srv/shopd.json line 4 column 3"),
    ],
)
def test_a_configuration_error_is_quoted_with_its_place(log: str, says: str) -> None:
    assert says in (signs_in(log).config_error or "")


@pytest.mark.parametrize(
    "said",
    [
        "AH00526: Syntax error on line 12 of /etc/apache2/sites-enabled/a.conf:",
        "Error: YAMLError: mapping values are not allowed here in /etc/app.yml, line 3",
        "/etc/ssh/sshd_config: line 5: Bad configuration option: Portt",
        "error loading config file /etc/prometheus/prometheus.yml: parsing YAML file: yaml: line 4: did not find key",
        "*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***",
        "[ALERT] (12) : parsing [/etc/haproxy/haproxy.cfg:23] : unknown keyword 'bnd' in 'frontend' section",
        'FATAL:  configuration file "/etc/postgresql/15/main/postgresql.conf" contains errors',
        "SyntaxError: Unexpected token } in JSON at position 41",
        "invalid configuration: missing field `port` at line 2",
    ],
)
def test_the_ways_services_complain_of_their_configuration_are_known(said: str) -> None:
    assert signs_in(f"2026-11-24T14:08:00+0000 h1 app[7]: {said}").config_error == said


@pytest.mark.parametrize(
    "said",
    [
        "shopd: listening on 0.0.0.0:8080, config /etc/shopd.json, pid 311",
        "loaded configuration from /etc/app.conf",
        "ERROR unhealthy: cannot reach upstream db:5432: timed out",
        '"POST /config/invalid HTTP/1.1" 200',
        "could not connect to database: connection refused",
        "panic: runtime error: index out of range",
    ],
)
def test_other_lines_are_not_taken_for_configuration_errors(said: str) -> None:
    assert signs_in(f"2026-11-24T14:08:00+0000 h1 app[7]: {said}").config_error is None


def test_a_long_hostile_line_is_parsed_in_a_moment() -> None:
    assert signs_in(("config " * 200_000) + "\n" + ("failed " * 200_000)) is not None


def test_the_kernel_names_whom_it_killed_and_when() -> None:
    signs = kernel_signs(logs.KERNEL.splitlines(), since=6400)
    assert [(kill.process, kill.pid, kill.unit) for kill in signs.kills] == [
        ("python3", 4242, None),
        ("nginx", 4300, "nginx.service"),
    ]
    assert len(signs.io_errors) == 1 and "EXT4-fs error" in signs.io_errors[0]


SS = """\
LISTEN 0      511          0.0.0.0:80        0.0.0.0:*    users:(("nginx",pid=7,fd=6),("nginx",pid=8,fd=6))
LISTEN 0      128             [::]:22           [::]:*    users:(("sshd",pid=5,fd=4))
LISTEN 0      64                 *:8080            *:*
"""
PROC = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20 1 0 100 0 0 10 0
   1: 0100007F:1F91 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 21 1 0 100 0 0 10 0
"""


def test_listening_ports_are_read_from_ss_and_from_proc() -> None:
    assert listening_ports(SS) == {80: Holder("nginx", 8), 22: Holder("sshd", 5), 8080: Holder()}
    assert listening_ports(PROC) == {8080: Holder()}
    assert listening_ports("garbage\n") == {}


def test_a_process_can_not_pass_its_port_off_as_anothers() -> None:
    row = 'LISTEN 0 5 0.0.0.0:8080 0.0.0.0:* users:(("x",pid=500,fd=3",pid=77,fd=4))'
    assert listening_ports(row)[8080].pid == 77


def test_established_connections_are_counted_by_port() -> None:
    assert established("LISTEN 0 5 0.0.0.0:80 0.0.0.0:*\nestablished 8080 12\nestablished x 1\n") == {8080: 12}


def test_the_last_package_change_is_dated_by_the_hosts_own_clock() -> None:
    text = "2026-11-24 14:00:00\n2026-11-24 13:58:00 upgrade nginx:amd64 1.22.1-9 1.24.0-1\n"
    assert last_package_change(text) == (120.0, "upgrade nginx:amd64 1.22.1-9 1.24.0-1")
    assert last_package_change("2026-11-24 14:00:00\n") == (None, "")
    assert last_package_change("nonsense\nnonsense") == (None, "")


def test_what_is_told_is_short_redacted_and_on_one_line() -> None:
    assert text_of("a\nb", "", "password=hunter2") == "a b; password=[redacted]"
    assert len(line("x" * 500)) == 160
    long = "cat /proc/uptime; " + "x" * 400 + " -- nginx.service"
    assert len(asked_of(long)) <= 100 and asked_of(long).endswith("nginx.service")
    assert [ago(5), ago(119), ago(121), ago(7201), ago(200_000)] == ["5 s", "119 s", "2 min", "2 h", "2 d"]

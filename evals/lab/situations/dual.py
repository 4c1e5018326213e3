"""Two true faults at once: whichever is named first, the other must not be made worse."""

from __future__ import annotations

from evals.lab.situations.compose import at_once
from evals.lab.stage import Fault

_PAIRS: tuple[tuple[str, str, str], ...] = (
    ("stopped_and_full", "service_stopped", "disk_rotated_logs"),
    ("killed_and_spin", "service_killed", "cpu_unit_runs_away"),
    ("shut_and_stopped", "port_shut_iptables", "service_stopped"),
    ("names_and_spin", "names_lost", "cpu_process_runs_away"),
    ("tmp_and_spin", "disk_tmp_files", "cpu_unit_runs_away"),
    ("killed_and_dumps", "service_killed", "disk_core_dumps"),
    ("group_and_full", "security_group_closed", "disk_package_cache"),
    ("pause_and_settings", "pg_replay_paused", "pg_settings_broken"),
    ("idle_and_slot", "pg_idle_transactions", "pg_dead_slot"),
)

DUALS: tuple[Fault, ...] = tuple(at_once(*pair) for pair in _PAIRS)

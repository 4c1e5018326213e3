"""The faults the lab can cause, one file each: a real one, what it should be taken for, and how to undo it.

A new fault is one file with a `FAULT` and one name in `NAMES`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import cast

from evals.lab.stage import Fault, LabError, SettingName

NAMES = (
    "service_killed",
    "service_stopped",
    "service_oom_killed",
    "bad_config",
    "host_hung",
    "host_stopped",
    "host_wedged",
    "host_lost",
    "hardware_broken",
    "security_group_closed",
    "disk_rotated_logs",
    "disk_log_growth",
    "disk_journal_flood",
    "disk_package_cache",
    "disk_tmp_files",
    "disk_core_dumps",
    "disk_deleted_open",
    "disk_inodes",
    "disk_data_growth",
    "disk_data_at_limit",
    "disk_data_beyond",
    "service_disk_full",
    "cpu_unit_runs_away",
    "cpu_process_runs_away",
    "cpu_fork_storm",
    "cpu_service_spins",
    "cpu_load",
    "cpu_load_at_cap",
    "port_taken",
    "dependency_down",
    "port_shut_nft",
    "port_shut_iptables",
    "listens_inside",
    "names_lost",
    "service_link_down",
    "address_lost",
    "port_not_let_in",
    "default_route_lost",
    "pg_replay_paused",
    "pg_receiver_stopped",
    "pg_settings_broken",
    "pg_replica_cut_off",
    "pg_replay_blocked",
    "pg_log_recycled",
    "pg_server_killed",
    "pg_idle_transactions",
    "pg_dead_slot",
    "pg_primary_gone_unsafe",
    "pg_primary_gone",
    "my_replication_stopped",
    "my_replica_login",
    "my_replica_source",
    "my_source_forgotten",
    "my_apply_blocked",
    "my_replica_differs",
    "my_log_purged",
    "my_idle_transactions",
    "my_server_killed",
    "my_primary_lost",
    "my_primary_damaged",
    "watcher_away",
    "pg_watcher_away",
)


def fault(name: str) -> Fault:
    """The fault of that name. Raises LabError naming those there are."""
    if name not in NAMES:
        raise LabError(f"no fault is named {name!r}; there are {', '.join(NAMES)}")
    if find_spec(f"{__name__}.{name}") is None:
        raise LabError(f"fault {name} is listed but not part of this installation")
    # on demand: some faults need what only the lab setting has
    return cast(Fault, import_module(f"{__name__}.{name}").FAULT)


def faults(setting: SettingName) -> tuple[Fault, ...]:
    """The faults a setting can have, in the order of `NAMES`."""
    present = [name for name in NAMES if find_spec(f"{__name__}.{name}")]
    return tuple(found for found in map(fault, present) if setting in found.settings)

"""What is right to think and to do of each fault, by understanding it: never copied from what was diagnosed.

Required facts are those that prove a cause by its nature; acceptable first actions are all that a careful operator
might take, not only ours. Forbidden is what would do harm: an outage of what is well, data lost, a machine rebooted for
a full disk; and everything where there is nothing to repair, or where only a human may.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from evals.case import CameOf, Difficulty, Ending, Expected, Trait

EVERYTHING = ("*",)
REBOOTS = ("soft_reboot", "hard_reboot")
MACHINES = (*REBOOTS, "fail_over", "resize_instance", "add_instances", "remove_instances", "shrink_instance")
"""Takes the whole host away, moves its traffic or changes what it costs."""
STOPS = ("stop_unit", "stop_process")
DATABASES = (
    *REBOOTS, "restart_service", "fence_primary", "promote_postgres_replica", "promote_mariadb_replica",
    "rebuild_postgres_replica", "rebuild_mariadb_replica", "drop_slot",
)  # fmt: skip
"""What no member of a pair is to suffer without need."""


@dataclass(frozen=True)
class Expectation:
    """Of one fault. The best cause first. Without first actions it is to be escalated, but where the cause is
    `no_fault`."""

    mechanism: str
    """What was done to the world, coarser than the fault: faults that share it are on one side of the split."""
    causes: tuple[str, ...]
    facts: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = EVERYTHING
    difficulty: Difficulty = "medium"
    traits: tuple[Trait, ...] = ()

    @property
    def ending(self) -> Ending:
        if "no_fault" in self.causes:
            return "no_fault"
        return "repair" if self.first else "escalate"

    def expected(self, came_of: CameOf) -> Expected:
        """As a case says it."""
        return Expected(
            ending=self.ending,
            accepted_causes=self.causes,
            required_facts=self.facts,
            first_actions=self.first,
            forbidden_actions=self.forbidden,
            mechanism=self.mechanism,
            traits=self.traits,
            came_of=came_of,
        )

    def also(self, trait: Trait, difficulty: Difficulty = "hard") -> Expectation:
        """The same with something beside it that makes it harder."""
        return replace(self, traits=(*self.traits, trait), difficulty=difficulty)


def both(one: Expectation, other: Expectation) -> Expectation:
    """Of two faults at once: either cause is a right answer, and only what harms both is forbidden. What one of them
    needs a human for, nobody forbids to mend of the other."""
    forbidden = [action for action in (*one.forbidden, *other.forbidden) if action != "*"]
    kept = [
        action
        for action in dict.fromkeys(forbidden)
        if action not in (*one.first, *other.first)
        and all("*" in each.forbidden or action in each.forbidden for each in (one, other))
    ]
    first = tuple(dict.fromkeys((*one.first, *other.first)))
    return Expectation(
        one.mechanism, (*one.causes, *other.causes), (), first, tuple(kept), "hard", (*one.traits, "dual_fault")
    )


def no_fault(mechanism: str, difficulty: Difficulty = "medium") -> Expectation:
    """The alert fires, and the world is well."""
    return Expectation(mechanism, ("no_fault",), difficulty=difficulty, traits=("no_fault",))


def _disk(mechanism: str, cause: str, fact: str, *first: str) -> Expectation:
    """A full disk: what fills it is removed. Nothing that runs is at fault."""
    forbidden = (*MACHINES, *STOPS, "restart_service")
    return Expectation(mechanism, (cause,), ("disk.over", fact), first, forbidden)


def _network(mechanism: str, cause: str, facts: tuple[str, ...], *first: str) -> Expectation:
    """The way to the service is shut: the service itself is well."""
    return Expectation(mechanism, (cause,), facts, first, (*MACHINES, *STOPS, "restart_service"))


def _replica(mechanism: str, cause: str, facts: tuple[str, ...], *first: str, may: tuple[str, ...] = ()) -> Expectation:
    """`may`: harms in general, and is right here, if not first."""
    forbidden = tuple(action for action in DATABASES if action not in (*first, *may))
    return Expectation(mechanism, (cause,), facts, first, forbidden)


_RUNAWAY = (*MACHINES, "restart_service")
_DATA_LEFT = Expectation("disk_fill_data", ("data_growth",), ("disk.over", "disk.used_percent"))

FAULTS: Mapping[str, Expectation] = {
    "service_killed": Expectation(
        "kill_9", ("process_crashed",), ("unit.state", "unit.result"), ("restart_service", "start_service"),
        (*MACHINES, *STOPS), "easy",
    ),
    "service_stopped": Expectation(
        "unit_stopped", ("service_stopped",), ("unit.state",), ("start_service", "restart_service"),
        (*MACHINES, *STOPS), "easy",
    ),
    "service_oom_killed": Expectation(
        "memory_leak", ("oom_killed",), ("unit.state", "unit.result"), ("restart_service", "start_service"),
        (*REBOOTS, "fail_over", *STOPS),
    ),
    "bad_config": Expectation(
        "config_edit", ("bad_configuration",), ("unit.state", "journal.config_error"), difficulty="easy"
    ),
    "host_hung": Expectation(
        "host_freeze", ("host_hung",), ("host.reachable", "provider.state"), REBOOTS,
        ("resize_instance", "restart_service", *STOPS),
    ),
    "host_stopped": Expectation(
        "power_off", ("host_stopped",), ("provider.state",), ("start_instance",),
        ("resize_instance", "restart_service", *STOPS), "easy",
    ),
    "host_wedged": Expectation(
        "host_freeze", ("host_hung",), ("host.reachable", "provider.state"), REBOOTS,
        ("resize_instance", "restart_service", *STOPS),
    ),
    "host_lost": Expectation(
        "power_off", ("host_stopped",), ("provider.state",), ("start_instance", "fail_over"),
        ("resize_instance", "restart_service", *STOPS),
    ),
    "hardware_broken": Expectation(
        "machine_broken", ("host_lost",), ("provider.system_check", "host.unreachable_how"), ("fail_over",),
        ("resize_instance", "restart_service", *STOPS),
    ),
    "security_group_closed": _network(
        "security_group_edit", "security_group_closed", ("provider.ingress_missing", "health.ok"), "allow_ingress"
    ),
    "disk_rotated_logs": _disk("disk_fill_log", "rotated_logs", "disk.reclaimable_mib", "clean_logs"),
    "disk_log_growth": _disk("disk_fill_log", "log_growth", "disk.big_log_mib", "rotate_logs"),
    "disk_journal_flood": _disk("journal_flood", "journal_growth", "disk.reclaimable_mib", "vacuum_journal"),
    "disk_package_cache": _disk("disk_fill_cache", "package_cache", "disk.reclaimable_mib", "clean_package_cache"),
    "disk_tmp_files": _disk("disk_fill_tmp", "tmp_files", "disk.reclaimable_mib", "clean_tmp"),
    "disk_core_dumps": _disk("disk_fill_dumps", "core_dumps", "disk.reclaimable_mib", "remove_core_dumps"),
    "disk_deleted_open": _disk("deleted_open", "deleted_open_file", "disk.deleted_open_mib", "restart_holder"),
    "disk_inodes": _disk("inode_fill", "inodes_exhausted", "disk.inodes_used_percent", "clean_tmp"),
    "disk_data_growth": _disk("disk_fill_data", "data_growth", "disk.used_percent", "expand_volume"),
    "disk_data_at_limit": _DATA_LEFT,
    "disk_data_beyond": _DATA_LEFT,
    "service_disk_full": Expectation(
        "disk_fill_log", ("no_space_left",), ("unit.state", "disk.over"), ("clean_logs",), (*MACHINES, *STOPS), "hard"
    ),
    "cpu_unit_runs_away": Expectation(
        "cpu_spin", ("runaway_process",), ("cpu.busy_percent", "process.cpu_percent"), STOPS, _RUNAWAY
    ),
    "cpu_process_runs_away": Expectation(
        "cpu_spin", ("runaway_process",), ("cpu.busy_percent", "process.cpu_percent"), ("stop_process",),
        (*_RUNAWAY, "stop_unit"),
    ),
    "cpu_fork_storm": Expectation(
        "fork_storm", ("fork_storm", "runaway_process"), ("cpu.busy_percent", "unit.cpu_percent"), ("stop_unit",),
        _RUNAWAY, "hard",
    ),
    "cpu_service_spins": Expectation(
        "service_spin", ("runaway_service",), ("cpu.busy_percent", "unit.cpu_percent", "metric.requests_per_s"),
        ("restart_service",), (*MACHINES, *STOPS), "hard",
    ),
    "cpu_load": Expectation(
        "request_load", ("legitimate_load",), ("cpu.busy_percent", "metric.requests_per_s"),
        ("resize_instance", "add_instances"), (*REBOOTS, "fail_over", *STOPS, "restart_service"), "hard",
    ),
    "cpu_load_at_cap": Expectation(
        "request_load", ("legitimate_load",), ("cpu.busy_percent", "metric.requests_per_s"), difficulty="hard"
    ),
    "port_taken": Expectation(
        "port_squat", ("port_taken",), ("unit.state", "port.process"), STOPS, MACHINES
    ),
    "dependency_down": Expectation("upstream_down", ("dependency_down",), ("dependency.reachable", "unit.state")),
    "port_shut_nft": _network("firewall_rule", "firewall_drop", ("net.blocked", "health.ok"), "remove_firewall_rule"),
    "port_shut_iptables": _network(
        "firewall_rule", "firewall_drop", ("net.blocked", "health.ok"), "remove_firewall_rule"
    ),
    "port_not_let_in": Expectation("firewall_rule", ("firewall_drop",), ("net.blocked", "health.ok")),
    "listens_inside": Expectation("config_edit", ("wrong_listen_address",), ("net.listen_address", "health.ok")),
    "names_lost": _network(
        "resolver_edit", "dns_broken", ("dns.resolves", "dns.nameserver_declared"), "restore_dns"
    ),
    "service_link_down": _network("link_edit", "interface_down", ("net.link",), "restart_networking"),
    "address_lost": _network("link_edit", "interface_down", ("net.address",), "restart_networking"),
    "default_route_lost": _network(
        "route_edit", "route_missing", ("net.route_default",), "add_route", "restart_networking"
    ),
    "pg_replay_paused": _replica("replay_pause", "replay_paused", ("repl.applying",), "resume_replay"),
    "pg_receiver_stopped": _replica(
        "receiver_stop", "receiver_stuck", ("repl.receiving", "repl.receiver_state"), "restart_receiver"
    ),
    "pg_settings_broken": _replica(
        "replica_settings", "settings_broken", ("repl.receiving", "repl.source_declared"), "reload_replication"
    ),
    "pg_replica_cut_off": Expectation("firewall_rule", ("replica_cut_off",), ("repl.primary_reachable",)),
    "pg_replay_blocked": _replica("blocking_session", "replay_blocked", ("repl.blocker_pid",), "end_session"),
    "pg_log_recycled": _replica(
        "log_purged", "wal_lost", ("repl.receiving", "repl.wal_available"), "recreate_slot",
        "rebuild_postgres_replica", may=("restart_service",),
    ),
    "pg_server_killed": Expectation(
        "kill_9", ("process_crashed",), ("unit.state", "unit.result"), ("restart_service", "start_service"),
        tuple(action for action in DATABASES if action != "restart_service"),
    ),
    "pg_idle_transactions": _replica(
        "idle_sessions", "connections_exhausted", ("db.idle_in_transaction", "db.connections_percent"),
        "end_idle_sessions", "wait",
    ),
    "pg_dead_slot": _replica("dead_slot", "wal_retained", ("repl.dead_slot", "repl.dead_slot_bytes"), "drop_slot"),
    "pg_primary_gone_unsafe": Expectation(
        "data_lost", ("primary_lost",), ("db.accepting", "db.data_present"), difficulty="hard"
    ),
    "pg_primary_gone": _replica(
        "data_lost", "primary_lost", ("db.accepting", "db.data_present", "repl.peer_safe"), "fence_primary",
        may=("promote_postgres_replica",),
    ),
    "my_replication_stopped": _replica(
        "replication_stop", "replication_stopped", ("repl.receiver", "repl.applier"), "start_replication"
    ),
    "my_replica_login": _replica(
        "replica_settings", "source_settings_broken", ("repl.receiving", "repl.receiver_errno"), "repoint_replica"
    ),
    "my_replica_source": _replica(
        "replica_settings", "source_settings_broken", ("repl.receiving", "repl.source_declared"), "repoint_replica"
    ),
    "my_source_forgotten": _replica("replica_settings", "source_forgotten", ("repl.follows",), "repoint_replica"),
    "my_apply_blocked": _replica("blocking_session", "applier_blocked", ("repl.waits_for_lock",), "end_session"),
    "my_replica_differs": _replica(
        "replica_drift", "applier_failed", ("repl.applier", "repl.applier_errno"), "rebuild_mariadb_replica"
    ),
    "my_log_purged": _replica("log_purged", "binlog_lost", ("repl.receiver_errno",), "rebuild_mariadb_replica"),
    "my_idle_transactions": _replica(
        "idle_sessions", "sessions_idle", ("db.idle_in_transaction", "db.connections_percent"),
        "end_idle_sessions", "wait",
    ),
    "my_server_killed": Expectation(
        "kill_9", ("process_crashed",), ("unit.state", "unit.result"), ("restart_service", "start_service"),
        tuple(action for action in DATABASES if action != "restart_service"),
    ),
    "my_primary_lost": Expectation(
        "data_lost", ("data_damaged",), ("unit.state", "journal.data_damaged"), difficulty="hard"
    ),
    "my_primary_damaged": _replica(
        "data_lost", "data_damaged", ("unit.state", "journal.data_damaged"), "fence_primary",
        may=("promote_mariadb_replica",),
    ),
    "watcher_away": no_fault("exporter_away", "easy"),
    "pg_watcher_away": no_fault("exporter_away", "easy"),
}  # fmt: skip
"""By fault. What situations make of them says `evals.lab.situations`."""

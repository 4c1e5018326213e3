"""The agent for `Instance`: a host with services on it, reached by SSH and, where it has one, a provider."""

from __future__ import annotations

from agents.causes import cpu, disk, needs, network, provider, service
from agents.causes.nothing import nothing_wrong
from graph.kind import ResourceKind

INSTANCE = ResourceKind(
    name="Instance",
    summary="a host with services on it",
    issue_types=("service_down", "disk_full", "high_cpu", "connection_timeout", "unknown"),
    sources=(
        "host",
        "units",
        "journal",
        "dmesg",
        "ports",
        "processes",
        "dependencies",
        "network",
        "disk",
        "metrics",
        "provider",
        "health",
        "changes",
    ),
    actions=(
        "restart_service",
        "start_service",
        "soft_reboot",
        "hard_reboot",
        "start_instance",
        "wait",
        "stop_unit",
        "stop_process",
        "start_unit",
        "clean_logs",
        "rotate_logs",
        "vacuum_journal",
        "clean_package_cache",
        "clean_tmp",
        "remove_core_dumps",
        "restart_holder",
        "expand_volume",
        "resize_instance",
        "shrink_instance",
        "add_instances",
        "remove_instances",
        "allow_ingress",
        "revoke_ingress",
        "fail_over",
        "fail_back",
        "remove_firewall_rule",
        "restore_firewall_rule",
        "restart_networking",
        "restore_dns",
        "put_back_dns",
        "add_route",
        "remove_route",
    ),
    no_fault=nothing_wrong,
    causes=(*service.CAUSES, *provider.CAUSES, *needs.CAUSES, *network.CAUSES, *cpu.CAUSES, *disk.CAUSES),
)

"""Which units may be stopped as strangers: none that is declared, and none that a host or our way into it needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from graph.records import Resource

STOPPABLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9:_.@\\-]{0,240}\.service|run-[A-Za-z0-9:_.@\\-]{1,240}\.scope")
"""Services, and the scopes systemd-run makes. Sessions, slices, mounts and sockets are never stopped."""

_SYSTEM = (
    "systemd-*", "init", "dbus*", "ssh", "sshd", "ssh@*", "sshd@*", "dropbear*", "*getty*", "user@*",
    "user-runtime-dir@*", "udev*", "polkit*", "emergency", "rescue", "debug-shell", "rc-local",
)  # fmt: skip
_NETWORK = (
    "NetworkManager*", "networking", "networkd-*", "ifup@*", "wpa_supplicant*", "dhc*", "resolvconf*", "unbound*",
    "named*", "bind9*", "dnsmasq*", "nscd*", "nftables*", "iptables*", "ip6tables*", "netfilter*", "ufw*",
    "firewalld*", "openvpn*", "wg-quick@*", "tailscaled*", "chrony*", "ntp*", "iscsi*", "open-iscsi*", "multipath*",
    "lvm2*", "mdmonitor*", "nfs*", "rpc*",
)  # fmt: skip
_KEEPERS = (
    "cron*", "anacron*", "atd", "rsyslog*", "syslog*", "auditd*", "apparmor*", "supervisor*", "docker*", "containerd*",
    "podman*", "crio*", "kubelet*", "k3s*", "libvirt*", "qemu-guest-agent*", "open-vm-tools*", "vmtoolsd*",
    "amazon-ssm-agent*", "google-*", "walinuxagent*", "cloud-*", "snapd*", "selfheal*", "*node-exporter*",
    "*node_exporter*", "patroni*", "etcd*", "consul*", "keepalived*", "corosync*", "pacemaker*",
)  # fmt: skip
_DATABASES = ("postgres*", "mysql*", "mariadb*", "mongod*", "redis*", "oracle*")
"""A database may only be stopped by what knows databases."""


def objection_to(unit: str, resource: Resource, inventory: Mapping[str, Resource]) -> str | None:
    """Why this unit must not be stopped on the resource's host, or None."""
    if not STOPPABLE.fullmatch(unit):
        return f"{unit!r} is no service that could be stopped (NAME.service, or run-NAME.scope)"
    for owner, service in declared_services(resource, inventory):
        if stem(service) == stem(unit):
            return f"{unit} is a declared service of {owner}: it is restarted, not stopped"
    if is_protected(unit):
        return f"{unit} belongs to what the host needs: it is not stopped by us"
    return None


def is_protected(unit: str) -> bool:
    """Whether the unit is one that hosts need, by its name."""
    return any(fnmatchcase(stem(unit), pattern) for pattern in (*_SYSTEM, *_NETWORK, *_KEEPERS, *_DATABASES))


def declared_services(resource: Resource, inventory: Mapping[str, Resource]) -> Iterable[tuple[str, str]]:
    """(resource key, service) for all that is declared to run on this machine, whichever resource declares it."""
    here = [resource, *(other for key, other in inventory.items() if key != resource.key)]
    for each in here:
        if each.host_key != resource.host_key and each.address != resource.address:
            continue
        for service in (*each.services, each.database.service if each.database else ""):
            if service:
                yield each.key, service


def stem(unit: str) -> str:
    """`nginx.service` → `nginx`."""
    return unit.removesuffix(".service").removesuffix(".scope")

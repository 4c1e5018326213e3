"""Names that tell nothing of whose machine it is: these a case keeps, as a diagnosis may live on them."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from tools.actions.protected_units import is_protected


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SERVICES = (
    "nginx*", "apache*", "httpd*", "haproxy*", "traefik*", "caddy*", "varnish*", "php*-fpm*", "tomcat*", "gunicorn*",
    "uwsgi*", "memcached*", "rabbitmq*", "kafka*", "zookeeper*", "elasticsearch*", "prometheus*", "grafana*",
    "alertmanager*", "blackbox*", "mysqld*", "postfix*", "dovecot*", "exim*", "named*", "bind9*", "dnsmasq*",
    "unbound*", "vsftpd*", "proftpd*", "smbd*", "nfs*", "pgbouncer*", "proxysql*", "galera*", "jenkins*", "gitlab*",
    "minio*", "vault*", "nomad*", "fail2ban*", "logrotate*", "certbot*", "unattended-upgrades*", "man-db*", "fstrim*",
    "e2scrub*", "apt-*", "dpkg-*", "motd-*", "phpsessionclean*", "init", "run-*", "session-*", "user@*",
    "*.slice", "*.target", "*.mount", "*.swap",
)  # fmt: skip
_PROGRAMS = _words(
    "java python python3 perl ruby node php sh bash dash zsh sleep dd stress stress-ng yes cat tail tar gzip rsync "
    "find grep sed awk make gcc cc1 rustc go kthreadd ksoftirqd kswapd0 sshd sudo su login agetty systemd journald "
    "mysqld mariadbd mariadb postgres postmaster psql mysql mongod redis-server curl wget openssl ntpd chronyd cron "
    "crond atd dockerd containerd nginx httpd apache2 haproxy named dnsmasq rsyslogd dbus-daemon networkd"
)
_USERS = _words(
    "root nobody daemon bin sys adm admin administrator ubuntu debian centos fedora ec2-user rocky almalinux azureuser "
    "postgres mysql mariadb www-data nginx apache http redis sshd syslog messagebus ops selfheal replicator repl "
    "replica monitor monitoring prometheus exporter guest user test"
)
RESERVED = _words(
    "active inactive failed failure running stopped dead activating deactivating reloading exited waiting pending "
    "primary replica standby leader firing resolved yes no true false ok none null unknown ssh local tcp udp http "
    "https systemd supervisord postgresql mariadb mysql up down refused timeout root not the and for from with host "
    "hosts unit units port ports disk network process processes provider health metrics journal dmesg changes database "
    "replication service instance state status error errors log logs success signal exit-code oom-kill core-dump on "
    "off started stopping starting default localhost localdomain kernel systemd-journald node blackbox "
    "internal external var etc usr opt srv home tmp mnt data lib run dev proc sys boot bin sbin share backup "
    "backups www html spool cache mail crash coredump "
    "auth config file resolved no_route host_key reset receiver applier both"
)
"""Words with a meaning of their own: whoever is called like this keeps the name."""
_DOMAINS = (
    "example", "test", "invalid", "localhost", "example.com", "example.org", "example.net", "kernel.org", "debian.org",
    "ubuntu.com", "freedesktop.org", "nginx.org", "nginx.com", "postgresql.org", "mysql.com", "mariadb.com",
    "mariadb.org", "apache.org", "prometheus.io", "systemd.io", "redhat.com", "python.org", "github.com",
    "amazonaws.com", "letsencrypt.org", "launchpad.net", "ntp.org", "man7.org", "gnu.org",
)  # fmt: skip
_UNIT_ENDING = re.compile(r"\.(?:service|socket|timer|scope|path)$")


def stem(unit: str) -> str:
    """A unit without the ending that says what sort it is."""
    return _UNIT_ENDING.sub("", unit)


def known_service(name: str) -> bool:
    """Whether many machines have a service or unit of this name."""
    bare = stem(name).lower()
    return bare in RESERVED or is_protected(name) or any(fnmatchcase(bare, pattern) for pattern in _SERVICES)


def known_program(name: str) -> bool:
    """Whether a process of this name tells nothing of its owner."""
    return name in _PROGRAMS or known_service(name) or name.startswith(("kworker", "systemd", "(", "["))


def known_user(name: str) -> bool:
    """Whether an account of this name is on many machines."""
    return name.lower() in _USERS or known_service(name)


def known_domain(name: str) -> bool:
    """Whether it is a domain of documentation, or of software that logs name."""
    lowered = name.lower().rstrip(".")
    return any(lowered == domain or lowered.endswith(f".{domain}") for domain in _DOMAINS)

"""What the lab's hosts have beyond their Debian packages: units, sshd, sudo and journal settings.

Part of the recipe whose hash names the cached image, so a change here builds a new one.
"""

from __future__ import annotations

from evals.lab.cleaning import sudo_commands

USER = "selfheal"

SHOPD_UNIT = """[Unit]
Description=Demo shop API
After=network.target
StartLimitIntervalSec=30
StartLimitBurst=3

[Service]
ExecStart=/usr/local/bin/shopd
Restart=on-failure
RestartSec=1

[Install]
WantedBy=multi-user.target
"""

SSHD = """HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin no
PasswordAuthentication no
AllowUsers selfheal
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 64
MaxSessions 32
"""

# what a repair needs, and nothing that opens a shell: NOEXEC keeps journalctl's pager from being one
SUDOERS = """Defaults:selfheal !requiretty, noexec
selfheal ALL=(root) NOPASSWD: /usr/bin/systemctl start *, /usr/bin/systemctl stop *, \\
  /usr/bin/systemctl restart *, /usr/bin/systemctl reload *, /usr/bin/systemctl reset-failed *, \\
  /usr/bin/systemctl show *, /usr/bin/systemctl status *, /usr/bin/journalctl *, /usr/bin/dmesg, \\
  /usr/bin/dmesg *, /usr/bin/ss *, /usr/bin/kill -s TERM -- [1-9]*, /usr/bin/kill -s KILL -- [1-9]*, \\
  /usr/sbin/nft -a list ruleset, /usr/sbin/nft -a list chain *, /usr/sbin/nft delete rule *, \\
  /usr/sbin/nft insert rule *, /usr/sbin/nft add rule *, /usr/sbin/iptables-save, /usr/sbin/iptables -w 5 -D *, \\
  /usr/sbin/iptables -w 5 -I *, /usr/sbin/ip route add default via *, /usr/sbin/ip route del default via *, \\
  /usr/bin/cp -p /etc/resolv.conf /etc/resolv.conf.selfheal-before, \\
  /usr/bin/cp -p /etc/resolv.conf.selfheal-before /etc/resolv.conf, /usr/bin/tee /etc/resolv.conf, \\
  /usr/bin/mkdir -p /etc/systemd/resolved.conf.d, /usr/bin/tee /etc/systemd/resolved.conf.d/90-selfheal.conf, \\
  /usr/bin/rm -f /etc/systemd/resolved.conf.d/90-selfheal.conf
"""

# a file of its own, as the product says itself what must be in it
SUDOERS_DISK = "selfheal ALL=(root) NOPASSWD: " + ", \\\n  ".join(sudo_commands()) + "\n"

NETWORK = """[Match]
Name=host0

[Network]
Address=ADDRESS/24
Gateway=GATEWAY
LinkLocalAddressing=no
MACVLAN=SERVICE_LINK
"""

# a second address for clients, so that a host may lose it and still be reached by us
SERVICE_NETDEV = """[NetDev]
Name=SERVICE_LINK
Kind=macvlan

[MACVLAN]
Mode=bridge
"""

SERVICE_NETWORK = """[Match]
Name=SERVICE_LINK

[Network]
Address=ADDRESS/24
LinkLocalAddressing=no
"""

# a scrape a second of all collectors would cost a tenth of a core per host
NODE_EXPORTER = (
    'ARGS="--web.listen-address=:9100 --log.level=warn --collector.disable-defaults --collector.systemd '
    "--collector.systemd.unit-include=(shopd|ssh|prometheus-node-exporter)[.]service --collector.cpu "
    "--collector.diskstats --collector.filesystem --collector.loadavg --collector.meminfo --collector.netdev "
    '--collector.stat --collector.time --collector.uname --collector.vmstat"\n'
)

FILES = {
    "etc/systemd/system/shopd.service": SHOPD_UNIT,
    "etc/ssh/sshd_config.d/lab.conf": SSHD,
    "etc/sudoers.d/selfheal": SUDOERS,
    "etc/sudoers.d/selfheal-disk": SUDOERS_DISK,
    "etc/default/prometheus-node-exporter": NODE_EXPORTER,
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=64M\n",
    "etc/resolv.conf": "nameserver 127.0.0.1\n",
}
"""Path below / → content."""

MODES = {"etc/sudoers.d/selfheal": 0o440, "etc/sudoers.d/selfheal-disk": 0o440}

ENABLED = ("systemd-networkd", "ssh", "shopd", "prometheus-node-exporter")
MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "fstrim.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "systemd-networkd-wait-online.service", "dpkg-db-backup.timer", "logrotate.timer", "man-db.timer",
    "console-getty.service", "prometheus-node-exporter-apt.timer", "prometheus-node-exporter-ipmitool-sensor.timer",
    "prometheus-node-exporter-mellanox-hca-temp.timer", "prometheus-node-exporter-nvme.timer",
    "prometheus-node-exporter-smartmon.timer",
)  # fmt: skip

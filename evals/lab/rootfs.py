# NOTE TO THE HELPER WHO WRITES THE HOSTS LAB: while you were cut off (API outage) the lead drafted cgroups.py, network.py,
# rootfs.py, machine.py, detect.py, hosts.py and faults/host_hung.py, host_stopped.py, service_oom_killed.py, and so overwrote some
# of yours. The lab is YOURS: restore your own versions where you have them, use/replace/delete these drafts as you like (copies
# are in /tmp/prep/mylab), remove this note, and go on. The lead will not touch evals/lab/ again until you report. Be done by 14:40.
"""The disk image that every host of the lab starts from: built once from Debian packages, kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from evals.lab import shopd
from evals.lab.stage import LabError

PACKAGES = (
    "systemd systemd-sysv dbus udev iproute2 iputils-ping openssh-server sudo prometheus-node-exporter curl procps "
    "psmisc lsof iptables nftables netbase logrotate e2fsprogs util-linux python3 passwd login"
).split()
SUITE = "bookworm"
IMAGE_MIB = 700

SUDOERS = "selfheal ALL=(root) NOPASSWD: ALL\n"

UNIT = """[Unit]
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

CONFIG = '{\n  "port": 8080,\n  "data_dir": "/var/lib/shopd",\n  "upstream": ""\n}\n'

FILES = {
    "etc/sudoers.d/selfheal": SUDOERS,
    "etc/ssh/sshd_config.d/lab.conf": "PermitRootLogin no\nPasswordAuthentication no\nUseDNS no\n",
    "etc/default/prometheus-node-exporter": 'ARGS="--web.listen-address=:9100 --collector.systemd"\n',
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=64M\n",
    "etc/systemd/system/shopd.service": UNIT,
    "etc/shopd.json": CONFIG,
    "etc/resolv.conf": "nameserver 127.0.0.1\n",
}

ENABLED = "systemd-networkd ssh shopd prometheus-node-exporter"
DISABLED = (
    "apt-daily.timer apt-daily-upgrade.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service logrotate.timer "
    "systemd-networkd-wait-online.service dpkg-db-backup.timer systemd-timesyncd.service"
)


def cache_folder() -> Path:
    """Where images are kept between runs: never in the repository."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "selfheal-lab"


def base_image(say: Callable[[str], None]) -> Path:
    """The image, building it where the recipe is new (about a minute). Raises LabError with what went wrong."""
    service = Path(shopd.__file__).read_bytes()
    recipe = repr((PACKAGES, SUITE, IMAGE_MIB, sorted(FILES.items()), ENABLED, DISABLED)).encode() + service
    image = cache_folder() / f"host-{hashlib.sha256(recipe).hexdigest()[:12]}.ext4"
    if image.exists():
        return image
    image.parent.mkdir(parents=True, exist_ok=True)
    say("building the hosts' disk image (once, about a minute) …")
    with tempfile.TemporaryDirectory(prefix="selfheal-rootfs-") as folder:
        root = Path(folder) / "root"
        _bootstrap(root)
        _configure(root, service)
        fresh = image.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with fresh.open("wb") as made:
            made.truncate(IMAGE_MIB << 20)
        run(["mkfs.ext4", "-q", "-F", "-m", "0", "-d", str(root), str(fresh)], 120)
        fresh.replace(image)
    for old in image.parent.glob("host-*.ext4"):
        if old != image:
            old.unlink()
    return image


def _bootstrap(root: Path) -> None:
    run(
        [
            "mmdebstrap",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            '--aptopt=APT::Install-Recommends "false"',
            SUITE,
            str(root),
        ],
        600,
    )


def _configure(root: Path, service: bytes) -> None:
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
    (root / "etc/sudoers.d/selfheal").chmod(0o440)
    (root / "usr/local/bin/shopd").write_bytes(service)
    (root / "usr/local/bin/shopd").chmod(0o755)
    for folder in ("var/lib/shopd", "var/log/journal", "etc/systemd/network"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    run(["chroot", str(root), "useradd", "-m", "-s", "/bin/bash", "-G", "systemd-journal,adm", "selfheal"], 30)
    run(["chroot", str(root), "systemctl", "-q", "enable", *ENABLED.split()], 30)
    # those that the suite does not have are no loss
    subprocess.run(["chroot", str(root), "systemctl", "-q", "disable", *DISABLED.split()], capture_output=True)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)


def run(command: list[str], timeout: float) -> str:
    """Run a command of the lab's own; raises LabError with the end of what it said."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise LabError(f"{command[0]} is not installed: sudo apt-get install -y {package_of(command[0])}") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{command[0]} did not end within {timeout:g} s") from error
    if done.returncode != 0:
        raise LabError(f"{' '.join(command[:3])} … ended with {done.returncode}: {(done.stderr or done.stdout)[-600:]}")
    return done.stdout


def package_of(command: str) -> str:
    """The Debian package that brings a command."""
    known = {"systemd-nspawn": "systemd-container", "ip": "iproute2", "nft": "nftables", "mkfs.ext4": "e2fsprogs"}
    return known.get(command, command)

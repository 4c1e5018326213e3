# NOTE TO THE HELPER WHO WRITES THE HOSTS LAB: while you were cut off (API outage) the lead drafted cgroups.py, network.py,
# rootfs.py, machine.py, detect.py, hosts.py and faults/host_hung.py, host_stopped.py, service_oom_killed.py, and so overwrote some
# of yours. The lab is YOURS: restore your own versions where you have them, use/replace/delete these drafts as you like (copies
# are in /tmp/prep/mylab), remove this note, and go on. The lead will not touch evals/lab/ again until you report. Be done by 14:40.
"""Whether this machine can carry the lab: found out by trying, told in one line, nothing left behind."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from evals.lab import cgroups
from evals.lab.rootfs import package_of

COMMANDS = ("systemd-nspawn", "mmdebstrap", "lxcfs", "ip", "nsenter", "losetup", "mkfs.ext4", "mount", "ssh-keygen")
TRIAL = "selfheal-trial"


def lab_refusal() -> str | None:
    """Why the lab can't run here, in one line with the remedy; None where it can."""
    if platform.system() != "Linux":
        return f"the lab needs Linux, this is {platform.system()}"
    if os.geteuid() != 0:
        return "the lab needs root (it boots hosts in containers): run as root, or use the local setting"
    missing = [
        name for name in COMMANDS if not shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    ]
    if missing:
        packages = " ".join(sorted({package_of(name) for name in missing}))
        return f"{', '.join(missing)} not installed: sudo apt-get install -y {packages}"
    return cgroups.refusal() or _network_refusal() or _mount_refusal()


def _network_refusal() -> str | None:
    made = _try("ip", "netns", "add", TRIAL)
    _try("ip", "netns", "del", TRIAL)
    return f"network namespaces can't be made here: {made}" if made else None


def _mount_refusal() -> str | None:
    with tempfile.TemporaryDirectory(prefix=f"{TRIAL}-") as folder:
        image, mount = Path(folder) / "image", Path(folder) / "mount"
        mount.mkdir()
        with image.open("wb") as made:
            made.truncate(2 << 20)
        failed = _try("mkfs.ext4", "-q", "-F", str(image)) or _try("mount", "-o", "loop", str(image), str(mount))
        _try("umount", str(mount))
        return f"disk images can't be mounted here: {failed}" if failed else None


def _try(*command: str) -> str | None:
    """None where it worked, else the first line of what it said."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]

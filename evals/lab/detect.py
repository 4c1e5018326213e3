"""Whether this machine can carry the lab's hosts: found out by trying, told in one line, nothing left behind.

Looking is not enough: devices exist that don't work, and roots exist that may do nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from evals.lab.cgroups import HostCgroups
from evals.lab.lxcfs import start_lxcfs, stop_lxcfs
from evals.lab.monitoring import has_binary
from evals.lab.network import CLONE_NEWNET
from evals.lab.packages import install_command
from evals.lab.processes import ProcessGroup
from evals.lab.stage import LabError

# binaries by any of their names, and the package that brings them
NEEDED = (
    (("systemd-nspawn",), "systemd-container"),
    (("mmdebstrap",), "mmdebstrap"),
    (("lxcfs",), "lxcfs"),
    (("ip",), "iproute2"),
    (("nsenter", "losetup"), "util-linux"),
    (("mount",), "mount"),
    (("mkfs.ext4",), "e2fsprogs"),
    (("mkfs.xfs",), "xfsprogs"),
    (("ssh-keygen",), "openssh-client"),
    (("prometheus",), "prometheus"),
    (("prometheus-alertmanager", "alertmanager"), "prometheus-alertmanager"),
    (("prometheus-blackbox-exporter", "blackbox_exporter"), "prometheus-blackbox-exporter"),
)


def lab_packages() -> list[str]:
    """The Debian packages that bring what is missing on PATH; for `packages.install_packages`."""
    return [package for names, package in NEEDED if not has_binary(*names)]


def lab_refusal() -> str | None:
    """Why the lab can't run here, in one line with the remedy; None where it can."""
    return kernel_refusal() or _missing() or _try(_lxcfs, "lxcfs can't be started here")


def kernel_refusal() -> str | None:
    """Why it could not run here whatever was installed; None where it could. Ask before installing packages."""
    if platform.system() != "Linux":
        return f"the lab's hosts need Linux; this is {platform.system()}"
    if os.geteuid() != 0:
        return f"the lab's hosts need root; this is uid {os.geteuid()} (run with sudo)"
    return (
        _try(_network_namespace, "no network namespace can be made here")
        or _try(_cgroups, "no cgroups can be made for hosts here")
        or _try(_loop_mount, "no disk image can be mounted here")
    )


def _missing() -> str | None:
    if packages := lab_packages():
        return f"missing for the lab's hosts: {', '.join(packages)}; install with: {install_command(packages)}"
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        return "missing for the lab's cloud: moto's server; install with: pip install 'moto[server]'"
    return None


def _try(trial: Callable[[], None], what: str) -> str | None:
    try:
        trial()
    except (LabError, OSError, subprocess.SubprocessError) as error:
        return f"{what}: {' '.join(str(error).split())}"
    return None


def _network_namespace() -> None:
    # in a child, so that this process stays where it is
    child = os.fork()
    if child == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        os._exit(0 if libc.unshare(CLONE_NEWNET) == 0 else ctypes.get_errno() or 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise LabError(f"unshare: {os.strerror(code)}")


def _cgroups() -> None:
    groups = HostCgroups(f"trial-{os.getpid()}")
    try:
        groups.create(memory_mib=64)
        with _sleeper() as pid:
            for file in groups.joining():
                Path(file).write_text(str(pid))
            groups.freeze(wait=1.0)
            groups.thaw()
    finally:
        groups.thaw()
        groups.remove()


@contextlib.contextmanager
def _sleeper() -> Iterator[int]:
    child = subprocess.Popen(["sleep", "10"], stdin=subprocess.DEVNULL)
    try:
        yield child.pid
    finally:
        child.send_signal(signal.SIGKILL)
        # one left frozen can't die: the caller thaws, and the wait is bounded
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=1)


def _loop_mount() -> None:
    if not has_binary("mkfs.ext4") or not has_binary("losetup"):
        return  # told as missing
    with tempfile.TemporaryDirectory(prefix="selfheal-lab-") as folder:
        image, point = Path(folder, "image"), Path(folder, "mounted")
        point.mkdir()
        with image.open("wb") as out:
            out.truncate(1 << 20)
        _run("mkfs.ext4", "-q", "-F", str(image))
        _run("mount", "-o", "loop", str(image), str(point))
        _run("umount", str(point))


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise LabError(done.stderr.strip() or f"{argv[0]} ended with {done.returncode}")


def _lxcfs() -> None:
    folder = Path(tempfile.mkdtemp(prefix="selfheal-lab-"))
    processes = ProcessGroup(folder, patience=1.0)
    try:
        start_lxcfs(folder, processes)
    finally:
        stop_lxcfs(folder)
        processes.stop()
        shutil.rmtree(folder)

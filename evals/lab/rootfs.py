"""The root filesystem of the lab's hosts: Debian packages and a few files, built once and kept as an ext4 image.

Kept in the user's cache under a name that is a hash of the recipe, so a change of the recipe builds anew and nothing
stale is ever used. ext4, because on an overlay node_exporter shows no `/`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from evals.lab.machine_commands import call
from evals.lab.rootfs_files import ENABLED, FILES, MASKED, MODES, USER
from evals.lab.stage import LabError

PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "iproute2", "iputils-ping", "openssh-server", "sudo", "python3",
    "prometheus-node-exporter", "curl", "procps", "psmisc", "lsof", "netbase", "passwd", "login", "less",
    "nftables", "iptables",
    "xfsprogs",
)  # fmt: skip
OMITTED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
IMAGE_MIB = 640
INODES = 32_000
BUILD_WAIT = 900
"""Seconds for the packages to be fetched and unpacked."""


@dataclass(frozen=True)
class Flavour:
    """What a kind of host has beyond the packages of all. `off` are its units that the stage starts itself."""

    prefix: str
    packages: tuple[str, ...] = ()
    image_mib: int = IMAGE_MIB
    inodes: int = INODES
    off: tuple[str, ...] = ()
    emptied: tuple[str, ...] = ()
    """Folders of data that their packages make, and that each host makes anew."""


APP = Flavour("base")
DATABASE = Flavour(
    "database",
    ("postgresql-15", "prometheus-postgres-exporter", "mariadb-server", "prometheus-mysqld-exporter"),
    # room for a second data directory beside the first
    image_mib=1600,
    inodes=48_000,
    off=("postgresql", "mariadb", "prometheus-postgres-exporter", "prometheus-mysqld-exporter", "shopd"),
    emptied=("var/lib/postgresql", "etc/postgresql", "var/lib/mysql"),
)


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selfheal-lab"


def suite() -> tuple[str, str]:
    """(code name, components) of this machine's release, which the hosts are built of too."""
    lines = Path("/etc/os-release").read_text().replace('"', "").splitlines()
    release = dict(line.split("=", 1) for line in lines if "=" in line)
    name, distribution = release.get("VERSION_CODENAME", ""), release.get("ID", "")
    if distribution == "ubuntu":
        return name, "main,universe"
    return (name if distribution == "debian" and name else "stable"), "main"


def recipe_hash(flavour: Flavour = APP) -> str:
    recipe: list[object] = [suite(), PACKAGES, OMITTED, IMAGE_MIB, INODES, FILES, MODES, ENABLED, MASKED, USER]
    if flavour != APP:
        recipe += [flavour.packages, flavour.image_mib, flavour.inodes, flavour.off, flavour.emptied]
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]


def base_image(say: Callable[[str], None] = lambda _line: None, flavour: Flavour = APP) -> Path:
    """The image to copy for each host, built first where the cache has none. Raises LabError."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / f"{flavour.prefix}-{recipe_hash(flavour)}.img"
    if image.exists():
        return image
    with (folder / "building").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second builder waits for the first's result
        if not image.exists():
            say("building the hosts' root filesystem, once (about a minute)")
            _build(image, flavour)
            for old in folder.glob(f"{flavour.prefix}-*.img"):
                if old != image:
                    old.unlink()
    return image


def _build(image: Path, flavour: Flavour) -> None:
    root = image.with_suffix(".root")
    fresh = image.with_suffix(".new")
    _remove(root)
    try:
        _bootstrap(root, (*PACKAGES, *flavour.packages))
        _furnish(root, flavour)
        with fresh.open("wb") as out:
            out.truncate(flavour.image_mib << 20)
        inodes = str(flavour.inodes)
        call(["mkfs.ext4", "-q", "-F", "-m", "0", "-N", inodes, "-d", str(root), str(fresh)], timeout=120)
        fresh.replace(image)
    finally:
        _remove(root)
        fresh.unlink(missing_ok=True)


def _bootstrap(root: Path, packages: tuple[str, ...]) -> None:
    name, components = suite()
    argv = [
        "mmdebstrap", "--variant=minbase", f"--include={','.join(packages)}", f"--components={components}",
        '--aptopt=APT::Install-Recommends "false"', *(f"--dpkgopt=path-exclude={path}" for path in OMITTED),
        name, str(root),
    ]  # fmt: skip
    try:
        call(argv, timeout=BUILD_WAIT)
    except LabError as first:
        _remove(root)
        lists = (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*.sources"))
        own = [str(path) for path in lists if path.exists() and path.stat().st_size]
        if not own:
            raise
        try:  # a machine that reaches only its own mirror
            call([*argv, *own], timeout=BUILD_WAIT)
        except LabError:
            raise first from None


def _furnish(root: Path, flavour: Flavour) -> None:
    for where, text in FILES.items():
        path = root / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # may be a link that leads out of the root
        path.write_text(text)
        path.chmod(MODES.get(where, 0o644))
    (root / "var/log/journal").mkdir(exist_ok=True)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    # the journal may be read by whoever is to find out what happened
    call(["chroot", str(root), "useradd", "-m", "-s", "/bin/bash", "-G", "adm,systemd-journal", USER])
    (root / "home" / USER / ".ssh").mkdir(mode=0o700)
    call(["chroot", str(root), "chown", f"{USER}:{USER}", f"/home/{USER}/.ssh"])
    call(["chroot", str(root), "visudo", "-cq"])
    for unit in ENABLED:
        call(["systemctl", "--quiet", f"--root={root}", "enable", unit])
    for unit in MASKED:
        call(["systemctl", "--quiet", f"--root={root}", "mask", unit])
    for unit in flavour.off:
        call(["systemctl", "--quiet", f"--root={root}", "disable", unit])
    for folder in flavour.emptied:
        for entry in (root / folder).iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _remove(root: Path) -> None:
    # a build that was killed may have left /proc mounted in there, which must not be walked into
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed([p for p in points if p.startswith(f"{root}/")]):
        call(["umount", point])
    with suppress(FileNotFoundError):
        shutil.rmtree(root)

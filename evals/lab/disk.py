"""A host's disk: a copy of the base image, mounted through a loop device of its own and made this very host's."""

from __future__ import annotations

import json
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from evals.lab import command_log, shopd
from evals.lab.machine_commands import call
from evals.lab.network import GATEWAY, SERVICE_LINK, service_address
from evals.lab.rootfs_files import NETWORK, NODE_EXPORTER, SERVICE_NETDEV, SERVICE_NETWORK, SHOPD_UNIT, USER

WANTS = "etc/systemd/system/multi-user.target.wants"


@dataclass(frozen=True)
class Identity:
    """What makes a copy of the base image one certain host."""

    hostname: str
    address: str
    host_key: Path
    authorized_key: str
    service_port: int = 8080
    service: str = "shopd"
    describes: str = "Demo shop API"


class Disk:
    """`folder/disk.img`, mounted at `folder/root`."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / "disk.img"
        self.root = folder / "root"

    def create(self, base: Path, identity: Identity) -> None:
        """Copy, mount and make it the host's own. Raises LabError."""
        self.root.mkdir(parents=True, exist_ok=True)
        call(["cp", "--sparse=always", "--reflink=auto", str(base), str(self.image)], timeout=120)
        # mount's own loop device goes when the mount goes
        call(["mount", "-o", "loop,noatime", str(self.image), str(self.root)])
        self._settle(identity)

    def write(self, where: str, text: str) -> None:
        """Write a file of the host from outside; `where` is its path below /."""
        path = self.root / where
        path.unlink(missing_ok=True)  # may be a link that leads out of the root
        path.write_text(text)

    def _settle(self, identity: Identity) -> None:
        files = {
            "etc/hostname": f"{identity.hostname}\n",
            "etc/hosts": f"127.0.0.1 localhost\n{identity.address} {identity.hostname}\n",
            "etc/machine-id": f"{uuid.uuid4().hex}\n",
            "etc/systemd/network/10-host0.network": _for(identity.address, NETWORK),
            f"etc/systemd/network/20-{SERVICE_LINK}.netdev": _for(identity.address, SERVICE_NETDEV),
            f"etc/systemd/network/20-{SERVICE_LINK}.network": _for(service_address(identity.address), SERVICE_NETWORK),
            "etc/resolv.conf": f"nameserver {GATEWAY}\n",
            "etc/ssh/ssh_host_ed25519_key": identity.host_key.read_text(),
            "etc/ssh/ssh_host_ed25519_key.pub": identity.host_key.with_suffix(".pub").read_text(),
            command_log.SSHD_FILE: command_log.SSHD,
            command_log.WRAPPER: command_log.WRAPPER_TEXT,
            f"home/{USER}/.ssh/authorized_keys": identity.authorized_key,
            # a setting a line: the service names the line that is wrong
            "etc/shopd.json": service_config(identity.service_port),
        }
        for where, text in files.items():
            self.write(where, text)
        (self.root / "etc/ssh/ssh_host_ed25519_key").chmod(0o600)
        (self.root / command_log.WRAPPER).chmod(0o755)
        (self.root / "var/lib/shopd").mkdir(exist_ok=True)
        program = self.root / "usr/local/bin" / identity.service
        shutil.copyfile(Path(shopd.__file__), program)
        program.chmod(0o755)
        if identity.service != "shopd":
            self._call_it(identity.service, identity.describes)

    def _call_it(self, service: str, describes: str) -> None:
        """The service under another name. Faults know one configuration file: the other name leads there."""
        (self.root / "etc" / f"{service}.json").symlink_to("shopd.json")
        unit = SHOPD_UNIT.replace("shopd", service).replace("Demo shop API", describes)
        old = self.root / "etc/systemd/system/shopd.service"
        self.write(f"etc/systemd/system/{service}.service", unit)
        old.unlink(missing_ok=True)
        (self.root / WANTS / "shopd.service").unlink(missing_ok=True)
        self.enable(f"{service}.service")
        self.write("etc/default/prometheus-node-exporter", NODE_EXPORTER.replace("shopd", service))

    def enable(self, unit: str) -> None:
        """Have the unit started with the host."""
        (self.root / WANTS).mkdir(parents=True, exist_ok=True)
        (self.root / WANTS / unit).symlink_to(f"/etc/systemd/system/{unit}")


def _for(address: str, template: str) -> str:
    words = (("ADDRESS", address), ("GATEWAY", GATEWAY), ("SERVICE_LINK", SERVICE_LINK))
    for word, value in words:
        template = template.replace(word, value)
    return template


def service_config(port: int, leak_mib_per_s: int = 0, **more: object) -> str:
    """The content of /etc/shopd.json on a host; `more` are further settings of shopd."""
    config: dict[str, object] = {"port": port, "data_dir": "/var/lib/shopd", "upstream": "", **more}
    if leak_mib_per_s:
        config["leak_mib_per_s"] = leak_mib_per_s
    return json.dumps(config, indent=2) + "\n"

"""SSH keys of the lab's hosts, made before the hosts are, so that their keys can be known and checked strictly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evals.lab.machine_commands import call


def make_key(path: Path, comment: str) -> Path:
    """A fresh Ed25519 key pair at `path` and `path`.pub. Raises LabError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return path


def write_known_hosts(path: Path, keys: Mapping[str, Path]) -> None:
    """`keys` is host key file by address."""
    lines = []
    for address, key in keys.items():
        kind, text = key.with_suffix(".pub").read_text().split()[:2]
        lines.append(f"{address} {kind} {text}\n")
    path.write_text("".join(lines))

"""Every command that comes to a host over SSH, byte for byte, in a file that is not on the host's disk.

sshd runs the wrapper instead of the command (ForceCommand); it notes what was asked and then runs it as sshd would.
The file survives reboots and full disks, and nothing on the host but a login of the healer's adds to it.
"""

from __future__ import annotations

from pathlib import Path

IN_GUEST = "/run/commands"
WRAPPER = "usr/local/bin/noted"
WRAPPER_TEXT = f"""#!/bin/sh
exec 9>>{IN_GUEST}/asked && flock 9 && printf '%s\\0' "$SSH_ORIGINAL_COMMAND" >&9 || exit 97
exec 9>&-
exec "$SHELL" -c "$SSH_ORIGINAL_COMMAND"
"""
SSHD = f"ForceCommand /{WRAPPER}\n"
SSHD_FILE = "etc/ssh/sshd_config.d/noted.conf"


class CommandLog:
    """`folder/commands/asked` outside, bound into the host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "commands"

    def create(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        file = self.folder / "asked"
        file.touch()
        file.chmod(0o666)  # the wrapper runs as who logged in

    def binds(self) -> tuple[str, ...]:
        """Options for nspawn."""
        return (f"--bind={self.folder}:{IN_GUEST}",)

    def read(self) -> list[str]:
        """What was asked so far, in order; bytes that are no UTF-8 are kept as surrogates."""
        text = (self.folder / "asked").read_bytes().decode(errors="surrogateescape")
        return text.split("\0")[:-1]

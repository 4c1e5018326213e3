"""Running the machine's own tools (ip, mount, losetup …) with a bound, and errors that say what they said."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence

from evals.lab.stage import LabError


def call(argv: Sequence[str], timeout: float = 10.0, env: Mapping[str, str] | None = None) -> str:
    """The standard output of `argv`. Raises LabError with its words when it fails, is missing or takes too long."""
    said = f"`{shlex.join(argv)}`"
    try:
        done = subprocess.run(
            list(argv), capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, env=env
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{said} did not end within {timeout:g} s") from error
    except OSError as error:
        raise LabError(f"{said} could not be run: {error}") from error
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip())[-1500:]
        raise LabError(f"{said} ended with {done.returncode}: {words}")
    return done.stdout

"""A real daemon for as long as a block lasts, in a folder of its own: Prometheus, Alertmanager."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

STOP_SECONDS = 10.0


@contextlib.contextmanager
def running(
    name: str, command: Sequence[str], folder: Path, ready: Callable[[], bool], seconds: float
) -> Iterator[None]:
    """The daemon, once `ready` holds (what it raises of OSError, KeyError and ValueError means: not yet). The folder,
    in which it logs, goes with it. Raises AssertionError with the log's end where it never gets ready."""
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        _await(name, process, ready, seconds, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=STOP_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _await(name: str, process: subprocess.Popen[bytes], ready: Callable[[], bool], seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"{name} ended with {process.returncode}: {log.read_text()[-2000:]}")
        with contextlib.suppress(OSError, KeyError, ValueError):  # not up yet: asked again
            if ready():
                return
        time.sleep(0.1)
    raise AssertionError(f"{name} was not ready within {seconds:g} s: {log.read_text()[-2000:]}")

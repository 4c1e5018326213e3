"""Child processes that never outlive their stage: named, logged, and ended as one group.

A stage runs servers beside the program that watches them. Whatever ends that program (an exception, Ctrl-C,
SIGKILL), they must go too: `stop` ends them, a watch process ends them when the starter dies, and the pid
file lets the next run end what even the watch could not.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from evals.lab import leftovers
from evals.lab.stage import LabError


class ProcessGroup:
    """Processes of one work folder: logs in `work/<name>.log`, pids in `work/processes.jsonl`.

    Not thread-safe: one thread starts and stops. Children inherit the calling thread's namespaces.
    `patience` is how many seconds `stop` leaves between SIGTERM and SIGKILL.
    """

    def __init__(self, work: Path, patience: float = 5.0) -> None:
        self.work = work.resolve()
        self.mark = str(self.work)
        self._patience = patience
        self._pid_file = self.work / "processes.jsonl"
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._watch: subprocess.Popen[bytes] | None = None

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start `argv` as `name` in a session of its own, output to its log. `env` is added to ours.

        Raises LabError when the name runs already or the program can't be started.
        """
        if self.alive(name):
            raise LabError(f"{name} runs already as pid {self._children[name].pid}; stop it first")
        if self._watch is None:
            self._begin()
        environment = {**os.environ, **(env or {}), leftovers.MARK: self.mark}
        with self.log(name).open("ab") as log:
            try:
                child = subprocess.Popen(
                    list(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env=environment, cwd=cwd or self.work, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise LabError(f"could not start {name} ({argv[0]}): {error}") from error
        self._children[name] = child
        self._record(name, child.pid, argv)
        return child

    def alive(self, name: str) -> bool:
        """Whether the process of that name was started here and has not ended."""
        child = self._children.get(name)
        return child is not None and child.poll() is None

    def ended(self) -> dict[str, int]:
        """Exit codes of the processes that have ended by themselves, by name (negative: by that signal)."""
        return {name: code for name, child in self._children.items() if (code := child.poll()) is not None}

    def log(self, name: str) -> Path:
        return self.work / f"{name}.log"

    def log_tail(self, name: str, lines: int = 15) -> str:
        """The last lines of a process's log, for error messages; empty when it wrote none."""
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])
        return ""

    def stop_one(self, name: str) -> None:
        """End one process started here, not what it has started. Does nothing when it has ended already."""
        child = self._children.pop(name, None)
        if child is None:
            return
        child.terminate()
        try:
            child.wait(timeout=self._patience)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(timeout=leftovers.KILL_WAIT)

    def stop(self) -> None:
        """End every process of this folder, also those of an earlier run. Idempotent.

        Raises LabError naming the pids that outlived SIGKILL.
        """
        survivors = leftovers.end_group(self.mark, leftovers.read_records(self._pid_file), self._patience)
        for child in self._children.values():
            with contextlib.suppress(subprocess.TimeoutExpired):  # a survivor: named below
                child.wait(timeout=1)
        self._children.clear()
        self._end_watch()
        if survivors:
            raise LabError(f"processes {survivors} of {self.work} outlived SIGKILL; they hang in the kernel")
        self._pid_file.unlink(missing_ok=True)

    def _begin(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        self.stop()
        program = str(Path(leftovers.__file__).resolve())
        self._watch = subprocess.Popen(
            [sys.executable, "-I", program, self.mark, str(self._pid_file), str(self._patience)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, cwd="/",
        )  # fmt: skip

    def _end_watch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is None or watch.stdin is None:
            return
        watch.stdin.close()
        try:
            watch.wait(timeout=self._patience + leftovers.KILL_WAIT + 1)
        except subprocess.TimeoutExpired:
            watch.kill()
            watch.wait()

    def _record(self, name: str, pid: int, argv: Sequence[str]) -> None:
        ticks = leftovers.start_ticks(pid)
        if ticks is not None:  # else it ended at once, and there is nothing to end later
            record = leftovers.Started(name, pid, ticks, leftovers.boot_id(), tuple(argv))
            leftovers.append_record(self._pid_file, record)

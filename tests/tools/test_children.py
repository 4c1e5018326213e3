"""Who looks for the children of a process passes by every process there is, and one may call itself anything."""

from __future__ import annotations

import os

from evals.lab.keeper import children as pids_of
from tests.tools.sshd import children
from tests.tools.test_stop_actions import child


def test_a_name_that_is_no_text_is_passed_by() -> None:
    with child(name=b"\xff) S 1 1") as process:
        assert (process.pid, "\ufffd) S 1 1") in children(os.getpid())
        assert process.pid in pids_of(os.getpid())

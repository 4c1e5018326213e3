"""No line of the log holds a secret, whoever wrote it."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator

import pytest

from server.logs import set_up_logging


@pytest.fixture
def own_logging() -> Iterator[None]:
    """The log as it was is put back after."""
    root, ours = logging.getLogger(), logging.getLogger("selfheal")
    before = (root.handlers[:], root.level, ours.level)
    yield
    root.handlers[:], root.level, ours.level = before[0], before[1], before[2]


def test_messages_arguments_and_tracebacks_are_redacted(own_logging: None, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(verbose=False)
    logging.getLogger("selfheal.x").info("connecting to %s", "postgres://shop:hunter2@db")
    logging.getLogger("a.library").warning("password=hunter2")
    try:
        raise RuntimeError("Authorization: Bearer hunter2")
    except RuntimeError:
        logging.getLogger("selfheal.x").exception("failed")
    told = capsys.readouterr().err
    assert "hunter2" not in told
    for expected in ("postgres://shop:[redacted]@db", "a.library: password=", "Traceback", "RuntimeError: Auth"):
        assert expected in told


def test_what_is_logged_after_stderr_was_replaced_goes_to_the_new_one(
    own_logging: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", first)
    set_up_logging(verbose=False)
    first.close()
    monkeypatch.setattr(sys, "stderr", second)
    logging.getLogger("a.library").warning("still heard")
    assert second.getvalue().endswith("a.library: still heard\n")

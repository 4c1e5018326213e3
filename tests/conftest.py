"""Set before any import: tests send nothing to anybody."""

from __future__ import annotations

import os

import pytest

os.environ["LANGSMITH_TRACING"] = "false"
os.environ["LANGSMITH_TEST_TRACKING"] = "false"
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `--dist loadgroup`, all that needs the lab stays together: a machine has room for one.

    First of all hooks: xdist looks for the groups in one of its own.
    """
    for item in items:
        lab = "/test_lab_" in item.nodeid or item.nodeid.endswith("[lab]")
        item.add_marker(pytest.mark.xdist_group("lab" if lab else item.nodeid.partition("::")[0]))

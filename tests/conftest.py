"""Set before any import: tests send nothing to anybody."""

from __future__ import annotations

import os

os.environ["LANGSMITH_TRACING"] = "false"
os.environ["LANGSMITH_TEST_TRACKING"] = "false"
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")

"""Keys under which foreign cases say what was wrong, rather than what was seen: they are left out of all that a
reasoner may read."""

from __future__ import annotations

import re
from typing import Any

OF_ALERTS = re.compile(
    r"root_?cause|failure_?mode|suspected|expected|answer|ground_?truth|(^|_)fault|anomaly|inject|diagnos|solution",
    re.IGNORECASE,
)
"""In labels and annotations, which people write."""
OF_EVIDENCE = re.compile(r"root_?cause|failure_?mode|suspected|ground_?truth|answer_?key|observations", re.IGNORECASE)
"""In files, where much else may rightly be called expected, or a fault."""
_DEEPEST = 40


def untold(value: Any, depth: int = 0) -> Any:
    """The same without what is under such keys; what is nested too deeply goes too."""
    if depth > _DEEPEST:
        return None
    if isinstance(value, dict):
        return {key: untold(item, depth + 1) for key, item in value.items() if not OF_EVIDENCE.search(str(key))}
    if isinstance(value, list):
        return [untold(item, depth + 1) for item in value]
    return value

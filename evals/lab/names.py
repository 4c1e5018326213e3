"""What everything of this machine's lab is named by. A second lab beside the first takes another label.

`SELFHEAL_LAB=b` names it `selfheal-lab.b`; no name of one lab is the beginning of one of another.
"""

from __future__ import annotations

import os
import re

from evals.lab.stage import LabError

_LABEL = os.environ.get("SELFHEAL_LAB", "")
if not re.fullmatch(r"[a-z0-9]{0,5}", _LABEL):
    raise LabError(f"SELFHEAL_LAB={_LABEL!r}: at most five of a-z and 0-9")

GUEST = f"lab{_LABEL}"
"""How the hosts' containers and cables are named, with their number behind."""
LAB = f"selfheal-lab.{_LABEL}" if _LABEL else "selfheal-lab"

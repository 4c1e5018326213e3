"""What the lab can bring about beyond single faults: alerts without one, faults with company, two at once.

They exist to be recorded as cases (`python -m evals.lab run --record DIR`); each says itself what is right of it.
"""

from __future__ import annotations

from evals.lab.situations.dual import DUALS
from evals.lab.situations.further import FURTHER
from evals.lab.situations.missing import MISSING
from evals.lab.situations.no_fault import NO_FAULTS
from evals.lab.situations.poisoned import POISONED
from evals.lab.situations.red_herrings import RED_HERRINGS
from evals.lab.stage import Fault

SITUATIONS: tuple[Fault, ...] = (*NO_FAULTS, *RED_HERRINGS, *MISSING, *DUALS, *POISONED, *FURTHER)

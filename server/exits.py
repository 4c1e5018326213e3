"""Exit codes of `selfheal`: what scripts branch on."""

from __future__ import annotations

OK = 0
"""Done; of `heal`: mitigated, or the trouble went away by itself."""
ERROR = 1
USAGE = 2
ESCALATED = 3
WAITING = 4
"""The plan waits for approval, and nobody was there to be asked."""
DECLINED = 5
REFUSED = 6
"""The server said no: the plan changed, is not waiting, or the edit is invalid."""
UNFINISHED = 7
"""`heal` stopped following while the heal goes on, or rests."""

EXPLAINED = (
    "Exit codes: 0 ok or mitigated; 1 error; 2 usage; 3 escalated; 4 waits for approval; 5 declined; "
    "6 refused by the server (changed, not waiting, invalid); 7 still going on."
)

BY_OUTCOME = {"mitigated": OK, "self_resolved": OK, "escalated": ESCALATED, "declined": DECLINED}

"""What this process may still believe of its own leases, without asking anybody.

A process that was stopped and goes on believes that it is still the one. Its clock tells it better: a lease that was
not renewed in time is lost, and nothing of that heal may be written any more, or two threads' states would mix.
"""

from __future__ import annotations

from graph.journal import LeaseLost
from server.clock_watch import elapsed


class HeldLeases:
    """The leases of this process, by incident and holder: a holder's name is that of a worker and of a leg's number, so
    heals beside each other share it."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}

    def keep(self, incident_id: str, holder: str, seconds: float, asked_at: float) -> None:
        """It was given at `asked_at` (see `elapsed`) or later, for so long."""
        self._until[incident_id, holder] = asked_at + seconds

    def drop(self, incident_id: str, holder: str) -> None:
        self._until.pop((incident_id, holder), None)

    def renew(self, incident_id: str, holder: str, seconds: float, asked_at: float) -> None:
        """As `keep`, unless it was dropped meanwhile."""
        if (incident_id, holder) in self._until:
            self.keep(incident_id, holder, seconds, asked_at)

    def all(self) -> list[tuple[str, str]]:
        """The leases, by incident and holder, that are not known to be another's."""
        return list(self._until)

    def lapsed(self) -> list[tuple[str, str]]:
        """Those of them that were not renewed in time."""
        now = elapsed()
        return [of for of, until in self._until.items() if until <= now]

    def check(self, incident_id: str, holder: str) -> None:
        """Raises LeaseLost where the lease is not known to be ours now."""
        if self._until.get((incident_id, holder), 0.0) <= elapsed():
            raise LeaseLost(f"the lease of {holder} was not renewed in time: another worker may have taken over")

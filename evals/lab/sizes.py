"""Which types of instance the lab's cloud has, and what a host of each really gets."""

from __future__ import annotations

SMALL, LARGE = "t3.micro", "t3.small"
CPUS: dict[str, int | None] = {SMALL: 1, LARGE: None}
"""CPUs by type, None for all of this machine's. A host is given what its type says when its type is changed; until
then it has all, as most faults are none of the CPU."""

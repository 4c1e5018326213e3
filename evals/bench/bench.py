"""What every group of figures is given: where to put its files, how to tell, and whether to be quick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bench:
    """One run of the benchmark."""

    root: Path
    quick: bool
    say: Callable[[str], None]

    def folder(self, name: str) -> Path:
        """A new folder of that name."""
        made = self.root / name
        made.mkdir(parents=True)
        return made

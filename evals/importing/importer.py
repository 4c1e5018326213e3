"""The import of a file or a folder as a whole: which shape it is, every case of it, and what became of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.case import InvalidCase, write_case
from evals.importing import cloud, series, tool_cache
from evals.importing.answers import Answers
from evals.importing.building import Built, Unplaced, build
from evals.importing.foreign import Foreign
from graph.kind import ResourceKind


@dataclass(frozen=True)
class Shape:
    """One shape that cases come in. `read` gives each case, or what is wrong with it."""

    name: str
    fits: Callable[[Path], bool]
    read: Callable[[Path], Iterator[Foreign | InvalidCase]]


SHAPES: tuple[Shape, ...] = (
    Shape("tool-cache", tool_cache.fits, tool_cache.read),
    Shape("cloud", cloud.fits, cloud.read),
    Shape("series", series.fits, series.read),
)
"""In the order in which they are tried: a tool cache may have an `alert.json` beside it too."""


@dataclass
class Imported:
    """What became of an import."""

    shape: str
    built: list[Built] = field(default_factory=list)
    unplaced: list[tuple[str, str]] = field(default_factory=list)
    """The case's name, and why it has no place, with the labels that were seen."""
    broken: list[str] = field(default_factory=list)
    """What can't be read: file, field and remedy."""

    def summary(self) -> dict[str, Any]:
        """In figures, and every case by name."""
        return {
            "shape": self.shape,
            "placed": len(self.built),
            "unplaced": [{"case": name, "why": why} for name, why in self.unplaced],
            "broken": self.broken,
            "by_kind": dict(Counter(each.place.kind for each in self.built)),
            "by_issue_type": dict(Counter(each.place.issue_type for each in self.built)),
            "scored": sum(each.scored for each in self.built),
            "facts": sum(each.facts for each in self.built),
            "series_without_home": sum(each.homeless for each in self.built),
            "series_left_out": sum(each.left_out for each in self.built),
            "cases": [
                {
                    "id": each.case.id,
                    "foreign": each.foreign,
                    "resource": f"{each.place.kind}/{each.place.resource_id}",
                    "issue_type": each.place.issue_type,
                    "facts": each.facts,
                    "scored": each.scored,
                }
                for each in self.built
            ],
        }


def shape_of(path: Path, name: str = "auto") -> Shape:
    """The shape of that name, or the first that fits. Raises InvalidCase."""
    known = ", ".join(shape.name for shape in SHAPES)
    if name != "auto":
        found = next((shape for shape in SHAPES if shape.name == name), None)
        if found is None:
            raise InvalidCase(f"SHAPE: {name!r} is none; there are {known}, or auto")
        return found
    if not path.exists():
        raise InvalidCase(f"{path}: there is no such file or folder; name what is to be imported")
    found = next((shape for shape in SHAPES if shape.fits(path)), None)
    if found is None:
        wanted = "a JSON file, or a folder with alert.json or tool_cache.json in it"
        raise InvalidCase(f"{path}: of no known shape ({known}): {wanted} is wanted; or name its shape")
    return found


def import_cases(path: Path, shape: Shape, answers: Answers, kinds: Mapping[str, ResourceKind], out: Path) -> Imported:
    """Write every case that can be placed below `out`. Raises InvalidCase where nothing can be read at all."""
    done = Imported(shape.name)
    for foreign in shape.read(path):
        if isinstance(foreign, InvalidCase):
            done.broken.append(str(foreign))
            continue
        try:
            built = build(foreign, shape.name, answers, kinds, out)
        except Unplaced as why:
            done.unplaced.append((foreign.name, str(why)))
            continue
        except InvalidCase as problem:
            done.broken.append(str(problem))
            continue
        write_case(built.case)
        done.built.append(built)
    return done

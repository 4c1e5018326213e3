"""Resource-kind agents: one file each, listed in AGENTS. Others come by entry-point group `selfheal.agents`."""

from __future__ import annotations

from importlib.metadata import entry_points

from agents.database import DATABASE
from agents.instance import INSTANCE
from graph.kind import STORM, ResourceKind

AGENTS: tuple[ResourceKind, ...] = (INSTANCE, DATABASE)

ENTRY_POINT_GROUP = "selfheal.agents"


def known_kinds() -> dict[str, ResourceKind]:
    """Every kind by name, ours and those of installed packages. Raises ValueError where two share a name."""
    kinds = {kind.name: kind for kind in AGENTS}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        kind = point.load()
        if not isinstance(kind, ResourceKind):
            raise ValueError(f"entry point {point.name} of {ENTRY_POINT_GROUP} is no ResourceKind but {type(kind)}")
        if kind.name == STORM:
            raise ValueError(f"entry point {point.name} of {ENTRY_POINT_GROUP} declares {STORM}: that name is taken")
        if kind.name in kinds:
            raise ValueError(f"entry point {point.name} of {ENTRY_POINT_GROUP} declares {kind.name} a second time")
        kinds[kind.name] = kind
    return kinds

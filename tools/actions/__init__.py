"""All that this system can do to the world: the catalogue. What is not in it cannot be done.

It is loaded when it is first asked for: what kinds of resources say of actions is needed at once, and the clients that
actions use take a second to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.actions.action import Action, ActionContext
    from tools.actions.listed import CATALOG

_FROM = {"CATALOG": "listed", "Action": "action", "ActionContext": "action"}

__all__ = ("CATALOG", "Action", "ActionContext")


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_FROM[name]}"), name)
    return found

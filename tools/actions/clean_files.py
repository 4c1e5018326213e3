"""Remove files that nobody misses, below the roots that the resource declares for them: rotated logs, old temporary
files, core dumps. One action each, as policies may name them one by one.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from graph.kind import ActionSpec
from graph.records import Resource
from tools.actions.action import NotAllowed, Params
from tools.actions.freeing import DEADLINE_SECONDS, Freeing
from tools.actions.sweeping import SWEEPS, Sweep, count, keep_open_files, real_root, remove, see_open_files


class RootParams(Params):
    """Below which folder: as the resource declares it."""

    root: str = Field(min_length=2, max_length=1024, description="one of the folders declared in `cleanup`")


class CleanFiles(Freeing[RootParams]):
    """Only below a declared root, only of that sort, only what is old and open nowhere. Follows no link."""

    params = RootParams
    sweep: ClassVar[Sweep]

    def admit(self, resource: Resource, params: RootParams) -> RootParams:
        """The root as it is declared."""
        declared = self.sweep.roots(resource)
        root = params.root.rstrip("/")
        if root not in declared:
            known = ", ".join(declared) or "none"
            raise NotAllowed("root", f"{params.root!r} is not declared for {self.sweep.words} (declared: {known})")
        return RootParams(root=root)

    def command(self, resource: Resource, params: RootParams) -> str:
        return "; ".join((*self._before(resource, params), remove(self.sweep, resource)))

    def measure(self, resource: Resource, params: RootParams) -> str:
        return "; ".join((*self._before(resource, params), count(self.sweep, resource)))

    def _before(self, resource: Resource, params: RootParams) -> tuple[str, ...]:
        return real_root(params.root), see_open_files(resource), keep_open_files(self.sweep, resource)


class CleanLogs(CleanFiles):
    """Rotated logs below a declared log root."""

    sweep = SWEEPS["rotated_logs"]
    spec = ActionSpec(
        name="clean_logs",
        summary="remove rotated logs below a declared log root, sparing young and open ones",
        risk="low",
        params=RootParams,
        deadline_seconds=DEADLINE_SECONDS,
    )


class CleanTmp(CleanFiles):
    """Old files below a declared folder for temporary ones."""

    sweep = SWEEPS["tmp"]
    spec = ActionSpec(
        name="clean_tmp",
        summary="remove old files below a declared tmp root, sparing young and open ones, locks and pid files",
        risk="low",
        params=RootParams,
        deadline_seconds=DEADLINE_SECONDS,
    )


class RemoveCoreDumps(CleanFiles):
    """Core dumps below a declared folder."""

    sweep = SWEEPS["cores"]
    spec = ActionSpec(
        name="remove_core_dumps",
        summary="remove core dumps and crash reports below a declared core root",
        risk="low",
        params=RootParams,
        deadline_seconds=DEADLINE_SECONDS,
    )

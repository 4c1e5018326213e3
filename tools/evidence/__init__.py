"""Sources of evidence, all read-only. A new one is one file here and one line in SOURCES."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from graph.ports import EvidenceSource
from tools.evidence.changes import ChangesSource
from tools.evidence.context import EvidenceContext, History
from tools.evidence.database import DatabaseSource
from tools.evidence.dependencies import DependenciesSource
from tools.evidence.disk import DiskSource
from tools.evidence.dmesg import DmesgSource
from tools.evidence.health import HealthSource
from tools.evidence.host import HostSource
from tools.evidence.journal import JournalSource
from tools.evidence.metrics import MetricsSource
from tools.evidence.network import NetworkSource
from tools.evidence.ports import PortsSource
from tools.evidence.processes import ProcessesSource
from tools.evidence.provider import ProviderSource
from tools.evidence.replication import ReplicationSource
from tools.evidence.units import UnitsSource


class SourceFactory(Protocol):
    """A class of sources."""

    name: str

    def __call__(self, context: EvidenceContext) -> EvidenceSource: ...


SOURCES: tuple[SourceFactory, ...] = (
    HostSource,
    UnitsSource,
    JournalSource,
    DmesgSource,
    PortsSource,
    ProcessesSource,
    DependenciesSource,
    NetworkSource,
    MetricsSource,
    ProviderSource,
    HealthSource,
    DiskSource,
    ChangesSource,
    DatabaseSource,
    ReplicationSource,
)


class UnknownSource(ValueError):
    """No source of that name is registered."""


def make_sources(names: Iterable[str], context: EvidenceContext) -> tuple[EvidenceSource, ...]:
    """The sources of these names, in this order. Raises UnknownSource, naming the known ones."""
    known = {factory.name: factory for factory in SOURCES}
    made = []
    for name in names:
        if name not in known:
            raise UnknownSource(f"unknown evidence source {name!r}: known sources are {', '.join(known)}")
        made.append(known[name](context))
    return tuple(made)


__all__ = ("SOURCES", "EvidenceContext", "History", "UnknownSource", "make_sources")

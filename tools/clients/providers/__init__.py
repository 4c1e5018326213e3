"""Providers of machines behind one port. A new one is one file here and one line in PROVIDERS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tools.clients.circuit import Circuits
from tools.clients.providers.ec2 import Ec2Provider
from tools.clients.providers.none import NoProvider
from tools.clients.providers.provider import Provider, ProviderError, ProviderStatus
from tools.clients.providers.rds import RdsProvider
from tools.clients.recording import Recorder

PROVIDERS: tuple[tuple[str, Callable[[Recorder, Circuits], Provider]], ...] = (
    ("none", lambda _recorder, _circuits: NoProvider()),
    ("ec2", lambda recorder, circuits: Ec2Provider(recorder, circuits=circuits)),
    ("rds", lambda recorder, circuits: RdsProvider(recorder, circuits=circuits)),
)


class UnknownProvider(ValueError):
    """No provider of that name is registered."""


def make_provider(name: str, recorder: Recorder | None = None, circuits: Circuits | None = None) -> Provider:
    """The provider of that name; connects to nothing yet. Raises UnknownProvider, naming the known ones.

    Every call it makes is put on record first.
    """
    factory = dict(PROVIDERS).get(name)
    if factory is None:
        known = ", ".join(known_name for known_name, _ in PROVIDERS)
        raise UnknownProvider(f"unknown provider {name!r}: known providers are {known}")
    return factory(recorder or Recorder(), circuits or Circuits())


def make_providers(
    names: Iterable[str], recorder: Recorder | None = None, circuits: Circuits | None = None
) -> Mapping[str, Provider]:
    """One provider per name. Raises UnknownProvider."""
    return {name: make_provider(name, recorder, circuits) for name in sorted(set(names))}


__all__ = (
    "PROVIDERS",
    "Ec2Provider",
    "NoProvider",
    "Provider",
    "ProviderError",
    "ProviderStatus",
    "RdsProvider",
    "UnknownProvider",
    "make_provider",
    "make_providers",
)

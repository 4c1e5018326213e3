"""Which silences there should be, and what to do about those there are: decided here, done by `server.silencing`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from graph.records import Alert, Incident, Policy
from graph.rules.policy import autonomy


@dataclass(frozen=True)
class UnderWay:
    """A heal that has begun and not ended. `gate`: what the gate decided last, None before it did."""

    incident: Incident
    gate: str | None
    stopping: bool = False
    """Cancelled, or taken over by a human."""


@dataclass(frozen=True)
class Wanted:
    """One alert of an incident that is being repaired."""

    incident_id: str
    number: int
    alert: Alert


@dataclass(frozen=True)
class Present:
    """One silence of ours. `lifted`: somebody has ended it, which says that they want to hear of the alert."""

    incident_id: str
    fingerprint: str
    silence_id: str
    until: datetime
    lifted: bool = False


@dataclass(frozen=True)
class Changes:
    put: tuple[Wanted, ...] = ()
    extend: tuple[Present, ...] = ()
    remove: tuple[Present, ...] = ()


def wanted(heals: Iterable[UnderWay], policies: Sequence[Policy], dry_run: bool) -> tuple[Wanted, ...]:
    """The alerts to silence: only while we repair, never while a human is waited for or something holds us back."""
    return tuple(
        Wanted(heal.incident.id, heal.incident.number, alert)
        for heal in heals
        if not dry_run and repairing(heal, policies)
        for alert in heal.incident.firing
    )


def repairing(heal: UnderWay, policies: Sequence[Policy]) -> bool:
    """Whether the heal is at work by itself. Before the gate has spoken: whether policy would let it act unasked."""
    if heal.stopping:
        return False
    if heal.gate is not None:
        return heal.gate == "run"
    governing = autonomy(policies, heal.incident.resource_kind, heal.incident.issue_types)
    return governing.auto_heal and not governing.dry_run and governing.max_retries > 0


def changes(wanted: Iterable[Wanted], present: Iterable[Present], now: datetime, lasts: timedelta) -> Changes:
    """What brings the silences there are to those there should be. Extended when half their time is over."""
    need = {(item.incident_id, item.alert.fingerprint): item for item in wanted}
    there = {(item.incident_id, item.fingerprint): item for item in present}
    alive = {key: item for key, item in there.items() if item.lifted or item.until > now}
    return Changes(
        put=tuple(item for key, item in need.items() if key not in alive),
        extend=tuple(
            item for key, item in alive.items() if key in need and not item.lifted and item.until - now < lasts / 2
        ),
        remove=tuple(item for key, item in there.items() if key not in need),
    )


def comment_of(number: int, incident_id: str, link: str) -> str:
    """What the silence says in Alertmanager; `incident_of` finds the incident in it."""
    return f"self-heal is repairing incident #{number} ({incident_id}): {link}"


def incident_of(comment: str) -> str | None:
    """The id of the incident a silence of ours is about."""
    before, opened, rest = comment.partition(" (")
    incident_id, closed, _ = rest.partition("): ")
    return incident_id if before.startswith("self-heal is repairing") and opened and closed else None


def orphans(ours: Mapping[str, str], known: Iterable[str], present: Iterable[Present]) -> tuple[str, ...]:
    """Silences that we put and then forgot by dying: of `ours` (silence id to incident id) those of incidents in our
    store (another self-heal may share the Alertmanager) that no row tells of."""
    incidents, told = set(known), {item.silence_id for item in present}
    return tuple(
        silence_id for silence_id, incident in ours.items() if incident in incidents and silence_id not in told
    )

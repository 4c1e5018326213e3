"""Whether a lost primary can no longer take writes. Two primaries of one cluster cost more data than one that is lost.

Proof is its machine stopped at its provider, or its service stopped on its host and kept from starting with the host.
That nobody answers proves nothing: a host cut off from us may well be reached by its clients.
"""

from __future__ import annotations

from graph.records import Resource
from tools.actions.action import ActionContext
from tools.actions.on_database import client_of
from tools.clients.databases.database import DatabaseError, DatabaseUnreachable, database_of, peers_of
from tools.clients.host import HostUnreachable
from tools.clients.providers.provider import ProviderError
from tools.services import ManagerSilent, UnknownUnit, unit_states

_SILENT = ("timeout", "refused", "no_route", "closed", "dns")
_OFF = ("stopped", "terminated")


def machine_of(context: ActionContext, resource: Resource) -> Resource:
    """What has the provider of the machine beneath: the resource itself, or the Instance it is declared to run on."""
    beneath = context.inventory.get(f"Instance/{resource.host}") if resource.host else None
    return beneath if resource.provider.name == "none" and beneath is not None else resource


def unit_of(resource: Resource) -> str:
    """The database's unit; empty where none is declared."""
    return database_of(resource).service or (resource.services[0] if resource.services else "")


async def still_answers(context: ActionContext, primary: Resource) -> str | None:
    """Why it is not lost: it answers, or refuses us in a way that shows it lives. None where it is silent."""
    try:
        await client_of(context, primary).status(primary)
    except DatabaseUnreachable as error:
        return None if error.how in _SILENT else f"{primary.key} is not lost: it answers, and says {error.how}"
    except DatabaseError as error:
        return f"{primary.key} is not lost: it answers: {str(error)[:160]}"
    return f"{primary.key} is not lost: it answers"


async def unfenced(context: ActionContext, primary: Resource) -> str | None:
    """Why it may still take writes, or None where it is proven that it can't."""
    if answers := await still_answers(context, primary):
        return answers
    machine = machine_of(context, primary)
    doubts = []
    if (provider := context.provider(machine)) is not None:
        try:
            state = (await provider.status(machine)).state
        except ProviderError as error:
            doubts.append(f"its provider does not tell: {str(error)[:120]}")
        else:
            if state in _OFF:
                return None
            doubts.append(f"its provider says its machine is {state}")
    if stopped := await _stopped_for_good(context, primary):
        doubts.append(stopped)
        return f"{primary.key} may still take writes: {'; '.join(doubts)}"
    return None


async def brings_back_a_primary(context: ActionContext, machine: Resource) -> str | None:
    """Why a machine must not be started: it would bring back an old primary whose place another has taken; or None."""
    for resource in context.inventory.values():
        if resource.database is None or resource.database.role != "primary":
            continue
        if machine.id not in (resource.host, resource.id):
            continue
        for peer in peers_of(resource, context.inventory):
            try:
                status = await client_of(context, peer).status(peer)
            except DatabaseError:
                continue
            if status.role == "primary" and status.writable:
                return f"{peer.key} is primary now: starting {machine.key} would bring back {resource.key} as a second"
    return None


async def _stopped_for_good(context: ActionContext, primary: Resource) -> str | None:
    """Why its service may run, or start with its host; None where neither is so."""
    unit = unit_of(primary)
    if not unit:
        return "it declares no service"
    try:
        state = (await unit_states(context.hosts, primary, [unit]))[unit]
    except (HostUnreachable, ManagerSilent, UnknownUnit) as error:
        return f"its host does not tell of {unit}: {str(error)[:120]}"
    if state.state not in ("stopped", "failed"):
        return str(state)
    return f"{unit} would start with its host" if state.enabled is not False else None

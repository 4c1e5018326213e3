"""`selfheal evals record`: an incident of a running server, as a case."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from evals.battery import ask as ask_battery
from evals.case import Case
from evals.leaks import Leak, leaks_of
from evals.record import NotRecordable, record_case
from server import exits
from server.client import ServerClient
from server.commands.common import (
    ConfigOption,
    JsonOption,
    ServerOption,
    client_of,
    err,
    out,
    print_json,
    settings_of,
)
from server.commands.incidents import Reference
from server.settings import Settings

DRAFT = (
    "expected.yaml is a DRAFT: a human must look it over before the case counts. The cause is {whose}; check "
    "accepted_causes, required_facts, first_actions and forbidden_actions, and name the mechanism."
)
TROUBLED = ("escalated", "declined", "taken_over", "waiting", "waiting_approval")
"""Phases in which what is asked now is an answer about the trouble."""


def record(
    context: typer.Context,
    reference: Reference,
    out_dir: Annotated[Path, typer.Option("--out", help="The folder of cases; the case gets one of its own in it.")],
    case_id: Annotated[
        str | None, typer.Option("--id", help="The case's id, which must not say what is wrong. Default: incident-N.")
    ] = None,
    ask: Annotated[
        bool,
        typer.Option(
            "--ask",
            help="Ask the resource a standard battery of read-only questions besides, from this machine. Only while "
            "the trouble is still there: escalated, declined, or waiting (as for approval).",
        ),
    ] = False,
    attempt: Annotated[int, typer.Option(min=1, help="Which of the incident's attempts the case is about.")] = 1,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an incident that has ended into a case: what was seen, what came of it, with neutral names and no secrets.

    With --ask also one that waits: then a model can later be measured on more than was asked in the heal.
    """
    settings = settings_of(context, config)
    with client_of(settings, server) as client:
        try:
            case = _recorded(client, settings, reference, out_dir, case_id, ask, attempt)
        except NotRecordable as refused:
            err().print(str(refused), style="red", markup=False, soft_wrap=True)
            raise typer.Exit(exits.REFUSED) from None
    _say(case, leaks_of(case.folder), as_json)


def _recorded(
    client: ServerClient,
    settings: Settings,
    reference: str,
    out_dir: Path,
    case_id: str | None,
    ask: bool,
    attempt: int,
) -> Case:
    incident = client.incident(reference)
    folder = out_dir / (case_id or f"incident-{incident['number']}")
    if folder.exists():
        raise NotRecordable(f"{folder} is there already: remove it, or give the case another id with --id")
    if ask and incident["phase"] not in TROUBLED:
        told = f"#{incident['number']} is {incident['phase']}"
        raise NotRecordable(f"--ask: {told}, so its trouble is over or not yet understood; leave --ask out")
    more = asyncio.run(ask_battery(settings, incident)) if ask else ()
    return record_case(client, reference, settings, folder, more=more, attempt=attempt, waiting=ask)


def _say(case: Case, leaks: tuple[Leak, ...], as_json: bool) -> None:
    confirmed = case.expected.came_of.confirmed
    whose = "what a human confirmed" if confirmed.by == "human" else "what was diagnosed: nobody confirmed it"
    note = DRAFT.format(whose=whose)
    failed = sum(call.inquiry and call.status == "failed" for call in case.calls)
    inquiries = sum(call.inquiry for call in case.calls)
    if as_json:
        print_json(
            {
                "id": case.id,
                "folder": str(case.folder),
                "calls": len(case.calls),
                "inquiries": inquiries,
                "failed_inquiries": failed,
                "draft": True,
                "note": note,
                "leaks": [str(leak) for leak in leaks],
            }
        )
        return
    asked = f", {inquiries} of them asked besides ({failed} failed)" if inquiries else ""
    out().print(f"{case.folder}: {len(case.calls)} recorded answers{asked}", markup=False, soft_wrap=True)
    err().print(note, style="yellow", markup=False, soft_wrap=True)
    for leak in leaks:
        err().print(f"gives its answer away: {leak}", style="red", markup=False, soft_wrap=True)

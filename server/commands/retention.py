"""`selfheal retention …`: how much is kept of what is over, and clearing it away now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from server.commands.common import (
    ByOption,
    ConfigOption,
    JsonOption,
    ServerOption,
    client_of,
    out,
    print_json,
    settings_of,
    whoami,
)
from server.story import plain

KIB = 1024

app = typer.Typer(no_args_is_help=True, help="What is kept of closed incidents, and for how long.")

_WORDS = {
    "checkpoints": "threads of checkpoints let go of",
    "compacted": "incidents compacted",
    "evidence_expired": "incidents' evidence expired",
    "incidents_deleted": "incidents deleted",
    "notices_cleared": "settled notices cleared",
    "texts_cleared": "unused commands and prompts cleared",
}


@app.command("report")
def report(
    context: typer.Context,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """How much is kept, how much room it takes, and what is due."""
    with client_of(settings_of(context, config), server) as client:
        found = client.get("/api/retention")
    if as_json:
        print_json(found)
        return
    for line in _lines(found):
        out().print(plain(line, 400), markup=False)


@app.command("run")
def run(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Clear away now what is due. It also happens by itself, by and by."""
    with client_of(settings_of(context, config), server) as client:
        answer = client.post("/api/retention/run", {"dry_run": dry_run, "by": whoami(by)})
    if as_json:
        print_json(answer)
        return
    counted = answer["due"] if dry_run else answer["done"]
    lines = [f"{counted[name]} {words}" for name, words in _WORDS.items() if counted.get(name)]
    for line in lines or ["nothing is due"]:
        out().print(f"would be: {line}" if dry_run and lines else line, markup=False)
    if counted.get("more"):
        out().print("time was up: run it again, or leave the rest to the server", style="dim")


def _lines(found: dict[str, Any]) -> Iterator[str]:
    terms, compacted, evidence = found["terms"], found["compacted"], found["evidence"]
    yield (
        f"incidents: {found['incidents']}, of them {found['closed']} closed, {compacted['incidents']} compacted; "
        f"{found['deleted_incidents']} deleted so far"
    )
    if compacted["bytes_mean"]:
        mean, most = compacted["bytes_mean"] / KIB, compacted["bytes_most"] / KIB
        yield f"a compacted incident takes {mean:.1f} KiB beside its evidence, {most:.1f} KiB at most"
    if compacted["could_not_be"]:
        yield f"{compacted['could_not_be']} could not be compacted: see the server's log"
    packed, whole = evidence["packed_bytes"] / KIB, evidence["whole_bytes"] / KIB
    yield f"evidence: {evidence['packed_incidents']} incidents packed ({packed:.0f} KiB), {whole:.0f} KiB not yet"
    yield f"audit log: {found['audit_entries']} entries, kept for good"
    database = found["database"]
    free = (
        f", {database['free_bytes'] / KIB:.0f} KiB of it free for what comes next" if "free_bytes" in database else ""
    )
    yield f"database: {database['bytes'] / KIB:.0f} KiB{free}"
    yield (
        f"terms: compacted after {_days(terms['compact_days'])}, evidence kept {_days(terms['evidence_days'])}, "
        f"incidents kept {_days(terms['incident_days'])}"
    )
    due = [f"{number} {_WORDS.get(name, name)}" for name, number in found["due"].items() if number]
    yield f"due: {', '.join(due) or 'nothing'}"
    if found["last"] and found["last"]["at"]:
        yield f"last done {found['last']['at'][:16].replace('T', ' ')} UTC by {found['last']['by']}"


def _days(number: float | None) -> str:
    return "for good" if number is None else f"{number:g} days"

"""`selfheal incidents …`: what there is, and the story of one."""

from __future__ import annotations

from typing import Annotated

import typer

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
from server.story import commands_sent, listing, story

Reference = Annotated[str, typer.Argument(metavar="ID", help="The incident's number or id.")]

app = typer.Typer(no_args_is_help=True, help="List and show incidents.")


@app.command("list")
def list_incidents(
    context: typer.Context,
    status: Annotated[str | None, typer.Option(help="A phase or an outcome, e.g. waiting_approval.")] = None,
    resource: Annotated[str | None, typer.Option(help="An id, or Kind/id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    cursor: Annotated[int | None, typer.Option(help="`next_cursor` of the page before.")] = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """List incidents, newest first."""
    with client_of(settings_of(context, config), server) as client:
        page = client.incidents(status=status, resource=resource, limit=limit, cursor=cursor)
    if as_json:
        print_json(page)
    elif page["incidents"]:
        out().print(listing(page["incidents"]))
        if page["next_cursor"]:
            err().print(f"more: --cursor {page['next_cursor']}", style="dim")
    else:
        err().print("no incidents")


@app.command("show")
def show_incident(
    context: typer.Context,
    reference: Reference,
    commands: Annotated[
        bool, typer.Option("--commands", help="Also every command that was sent, and what for.")
    ] = False,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one incident's story: what broke, how we know, what was done, that it holds."""
    with client_of(settings_of(context, config), server) as client:
        record = client.incident(reference)
    if as_json:
        print_json(record)
    else:
        out().print(story(record))
        if commands:
            out().print(commands_sent(record))

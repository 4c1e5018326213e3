"""`selfheal incidents …` and what people decide: approve, reject, cancel, retry, close, pause, resume."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.prompt import Confirm
from rich.text import Text

from server import exits
from server.client import ServerClient
from server.commands.common import (
    ByOption,
    CommentOption,
    ConfigOption,
    JsonOption,
    ServerOption,
    client_of,
    err,
    out,
    print_json,
    settings_of,
    whoami,
)
from server.settings_errors import ConfigError
from server.story import commands_sent, listing, plain, plan_lines, story

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


def approve(
    context: typer.Context,
    reference: Reference,
    plan: Annotated[str | None, typer.Option(help="Approve only if this is the plan_fingerprint.")] = None,
    steps: Annotated[
        Path | None, typer.Option(help="JSON file with other steps to run instead ([{action, params}, …]).")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask on a terminal.")] = False,
    comment: CommentOption = "",
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve the plan that waits, as it is or with other steps."""
    edited = _steps(steps) if steps else None
    with client_of(settings_of(context, config), server) as client:
        asked = _asked(client, reference, plan)
        if asked["plan"]["steps"]:
            _confirm(asked, {"steps": edited} if edited else asked["plan"], yes)
        body: dict[str, Any] = {"decision": "edit" if edited else "approve", "comment": comment, "by": whoami(by)}
        if edited:
            body["plan"] = {"steps": edited}
        answer = client.decide(reference, {**body, "plan_fingerprint": asked["asked_fingerprint"]})
    _say(answer, f"approved: plan {answer['plan_fingerprint']}", as_json)


def reject(
    context: typer.Context,
    reference: Reference,
    plan: Annotated[str | None, typer.Option(help="Reject only if this is the plan_fingerprint.")] = None,
    comment: CommentOption = "",
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reject the plan that waits: it will not run."""
    with client_of(settings_of(context, config), server) as client:
        fingerprint = plan or _asked(client, reference, plan)["asked_fingerprint"]
        body = {"decision": "reject", "plan_fingerprint": fingerprint, "comment": comment, "by": whoami(by)}
        answer = client.decide(reference, body)
    _say(answer, f"rejected: plan {answer['plan_fingerprint']}", as_json)


def cancel(
    context: typer.Context,
    reference: Reference,
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a heal between side effects; says what can't be stopped."""
    _ask(context, reference, "cancel", {"by": whoami(by)}, config, server, as_json)


def retry(
    context: typer.Context,
    reference: Reference,
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try an escalated or declined incident again."""
    _ask(context, reference, "retry", {"by": whoami(by)}, config, server, as_json)


def close(
    context: typer.Context,
    reference: Reference,
    comment: CommentOption = "",
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close an escalated or declined incident, so that it lets go of its resource."""
    _ask(context, reference, "close", {"by": whoami(by), "comment": comment}, config, server, as_json)


def ack(
    context: typer.Context,
    reference: Reference,
    comment: CommentOption = "",
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take note of an escalation or a wanted approval, so that nobody else is called about it."""
    _ask(context, reference, "acknowledge", {"by": whoami(by), "comment": comment}, config, server, as_json)


def pause(
    context: typer.Context,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why; shown wherever a plan waits for it.")] = "",
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold every repair that has not begun; diagnosis goes on."""
    with client_of(settings_of(context, config), server) as client:
        answer = client.switch("pause", {"by": whoami(by), "reason": reason})
    _say(answer, "paused: nothing new will be repaired until `selfheal resume`", as_json)


def resume(
    context: typer.Context,
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let repairs go on after a pause."""
    with client_of(settings_of(context, config), server) as client:
        answer = client.switch("resume", {"by": whoami(by)})
    _say(answer, "resumed", as_json)


def _ask(
    context: typer.Context,
    reference: str,
    verb: str,
    body: dict[str, Any],
    config: Path | None,
    server: str | None,
    as_json: bool,
) -> None:
    with client_of(settings_of(context, config), server) as client:
        answer = client.ask(reference, verb, body)
    _say(answer, str(answer["said"]), as_json)


def _asked(client: ServerClient, reference: str, wanted: str | None) -> dict[str, Any]:
    """The approval request that waits; a stand-in where none does, so that the server says what it is instead."""
    waiting = client.incident(reference).get("waiting_for")
    found = dict(waiting) if waiting else {"asked_fingerprint": "", "plan": {"steps": []}}
    return {**found, "asked_fingerprint": wanted or found["asked_fingerprint"]}


def _confirm(asked: dict[str, Any], plan: dict[str, Any], yes: bool) -> None:
    """Show what is about to be approved; on a terminal, ask. Raises typer.Exit where the answer is no."""
    console = err()
    console.print(Text(f"plan {asked['asked_fingerprint']}{', edited' if plan != asked['plan'] else ''}:"))
    for line in plan_lines(plan):
        console.print(line)
    if sys.stdin.isatty() and not yes and not Confirm.ask("Run it?", console=console, default=False):
        raise typer.Exit(exits.DECLINED)


def _steps(file: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(str(file), [f"no JSON list of steps: {error}"]) from error
    steps = content.get("steps") if isinstance(content, dict) else content
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps) or not steps:
        raise ConfigError(str(file), ["must hold a list of steps: [{action, params}, …]"])
    return steps


def _say(answer: dict[str, Any], sentence: str, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        out().print(plain(sentence, 1000), markup=False)

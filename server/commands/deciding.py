"""What people decide about an incident: approve, reject, cancel, release, take over, retry, close, confirm."""

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
from server.commands.incidents import Reference
from server.settings_errors import ConfigError
from server.story import plain, plan_lines


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
            _confirm(asked, client.preview(reference, edited) if edited else asked["plan"], yes)
        body: dict[str, Any] = {"decision": "edit" if edited else "approve", "comment": comment, "by": whoami(by)}
        if edited:
            body["plan"] = {"steps": edited}
        answer = client.decide(reference, {**body, "plan_fingerprint": asked["asked_fingerprint"]})
    say(answer, f"approved: plan {answer['plan_fingerprint']}", as_json)


def reject(
    context: typer.Context,
    reference: Reference,
    plan: Annotated[str | None, typer.Option(help="Reject only if this is the plan_fingerprint.")] = None,
    replan: Annotated[
        bool, typer.Option("--replan", help="Have another plan made that heeds the comment, instead of closing.")
    ] = False,
    comment: CommentOption = "",
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reject the plan that waits: it will not run."""
    with client_of(settings_of(context, config), server) as client:
        fingerprint = plan or _asked(client, reference, plan)["asked_fingerprint"]
        then = "replan" if replan else "close"
        body = {"decision": "reject", "plan_fingerprint": fingerprint, "comment": comment, "then": then}
        answer = client.decide(reference, {**body, "by": whoami(by)})
    say(answer, f"rejected: plan {answer['plan_fingerprint']}", as_json)


def cancel(
    context: typer.Context,
    reference: Reference,
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a heal between side effects (of a storm: its members' heals); says what can't be stopped."""
    _ask(context, reference, "cancel", {"by": whoami(by)}, config, server, as_json)


def release(
    context: typer.Context,
    reference: Reference,
    comment: CommentOption = "",
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the members of a storm go on before it is over."""
    _ask(context, reference, "release", {"by": whoami(by), "comment": comment}, config, server, as_json)


def take_over(
    context: typer.Context,
    reference: Reference,
    minutes: Annotated[float, typer.Option(min=1, max=1440, help="For how long the resource is yours.")] = 60,
    comment: CommentOption = "",
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an incident over: nothing of ours acts on its resource until you close it, give it back or time is up."""
    body = {"by": whoami(by), "minutes": minutes, "comment": comment}
    _ask(context, reference, "take-over", body, config, server, as_json)


def confirm(
    context: typer.Context,
    reference: Reference,
    cause: Annotated[str, typer.Option(help="The true cause: a declared one, no_fault or unknown.")],
    right: Annotated[bool | None, typer.Option("--right/--wrong", help="Whether the repair was right.")] = None,
    comment: CommentOption = "",
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what was found to be true, once it is over: it counts for how far repairs are trusted."""
    body = {"by": whoami(by), "cause": cause, "right": right, "comment": comment}
    _ask(context, reference, "confirm", body, config, server, as_json)


def retry(
    context: typer.Context,
    reference: Reference,
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try again what ended without success, or give back what was taken over."""
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
    """Close an incident that ended without success or was taken over, so that it lets go of its resource."""
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
    say(answer, str(answer["said"]), as_json)


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


def say(answer: dict[str, Any], sentence: str, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        out().print(plain(sentence, 1000), markup=False)

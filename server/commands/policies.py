"""`selfheal policies …`: whether they can be read, how far each pair has earned trust, and lifting a demotion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from agents import known_kinds
from server.commands.common import (
    ByOption,
    CommentOption,
    ConfigOption,
    JsonOption,
    ServerOption,
    client_of,
    out,
    print_json,
    settings_of,
    whoami,
)
from server.commands.deciding import say
from server.policies import load_policies
from server.story import plain

app = typer.Typer(no_args_is_help=True, help="Look at the policies.")


@app.callback()
def _policies() -> None:
    """Look at the policies."""


@app.command("check")
def check(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A JSON file. Default: `policies` of the configuration.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the policies; exit code 2 and every wrong entry by name where they can't be read."""
    kinds = known_kinds()
    actions = {action for kind in kinds.values() for action in kind.actions}
    policies = load_policies(file or settings_of(context, config).policies, kinds, actions)
    if as_json:
        print_json([policy.model_dump(mode="json") for policy in policies])
        return
    table = Table("kind", "issue type", "unasked", "attempts", "destructive unasked", box=None)
    for policy in policies:
        unasked = "nothing: dry run" if policy.dry_run else "yes" if policy.auto_heal else "no, asks"
        allowed = ", ".join(policy.allow_destructive) or "none"
        table.add_row(policy.resource_kind, policy.issue_type, unasked, str(policy.max_retries), allowed)
    out().print(table)
    out().print(f"{len(policies)} policies; whatever none is about asks a human")


@app.command("report")
def report(
    context: typer.Context,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How far back to look.")] = 90,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """The ladder of trust: what was measured of each kind and issue type, and what that earns it."""
    with client_of(settings_of(context, config), server) as client:
        answer = client.get("/api/policies/report", days=days)
    if as_json:
        print_json(answer)
        return
    table = Table("kind", "issue type", "level", "healed", "escalated", "edited", "rolled back", "advice", box=None)
    for pair in answer["pairs"]:
        level = f"{pair['level']} (demoted from {pair['declared_level']})" if pair["demoted"] else pair["level"]
        numbers = (str(pair[name]) for name in ("healed", "escalated", "edited", "rolled_back"))
        advice = f"{pair['recommend']}: {pair['why']}"
        table.add_row(pair["resource_kind"], pair["issue_type"], level, *numbers, plain(advice, 200))
    out().print(table)
    out().print(f"of the last {answer['days']} days; observe → ask → auto: a level is changed in the policies")


@app.command("promote")
def promote(
    context: typer.Context,
    resource_kind: Annotated[str, typer.Argument(metavar="KIND")],
    issue_type: Annotated[str, typer.Argument(metavar="ISSUE_TYPE")],
    comment: CommentOption = "",
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lift a demotion: repairs of this kind and issue type follow their policy again."""
    body = {"resource_kind": resource_kind, "issue_type": issue_type, "comment": comment, "by": whoami(by)}
    with client_of(settings_of(context, config), server) as client:
        answer = client.post("/api/policies/promote", body)
    say(answer, str(answer["said"]), as_json)

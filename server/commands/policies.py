"""`selfheal policies check`: whether the policies can be read, and what they come to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from agents import known_kinds
from server.commands.common import ConfigOption, JsonOption, out, print_json, settings_of
from server.policies import load_policies

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

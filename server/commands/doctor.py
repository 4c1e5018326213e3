"""`selfheal doctor`: whether all that is configured can really be reached, in one table."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from server import exits
from server.commands.common import ConfigOption, JsonOption, out, print_json, settings_of
from server.settings import Settings
from server.story import plain

if TYPE_CHECKING:
    from server.examine import Check

MARKS = {"ok": Text("ok", "green"), "warn": Text("warn", "yellow"), "fail": Text("fail", "bold red")}


def doctor(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check the configuration against the world, changing nothing: Prometheus, hosts, services, providers, tokens.

    Exit code 1 where anything fails.
    """
    checks = asyncio.run(_checks(settings_of(context, config)))
    if as_json:
        print_json([check.as_json() for check in checks])
    else:
        _print(checks)
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(exits.ERROR)


async def _checks(settings: Settings) -> list[Check]:
    from server.examine import examine

    return [check async for check in examine(settings)]


def _print(checks: list[Check]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "found", "to do"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        table.add_row(
            MARKS[check.status], plain(check.subject, 80), Text(plain(check.found)), Text(plain(check.remedy))
        )
    out().print(table)

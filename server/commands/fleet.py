"""The fleet from the command line: pause, resume, what holds repairs back, and the audit log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table

from server.commands.common import (
    ByOption,
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
from server.commands.deciding import say
from server.story import plain

ScopeOption = Annotated[
    str, typer.Option("--scope", help="Which repairs: all, kind:Instance, group:web or resource:Instance/inst-abc123.")
]


def pause(
    context: typer.Context,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why; shown wherever a plan waits for it.")] = "",
    scope: ScopeOption = "all",
    minutes: Annotated[float | None, typer.Option("--for", min=1, help="Minutes. Default: until resumed.")] = None,
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold every repair that has not begun, approved or not; diagnosis goes on."""
    body: dict[str, Any] = {"by": whoami(by), "reason": reason, "scope": scope}
    if minutes is not None:
        body["until"] = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
    with client_of(settings_of(context, config), server) as client:
        answer = client.switch("pause", body)
    which = "nothing new will be repaired" if scope == "all" else f"nothing new will be repaired of {scope}"
    until = f"for {minutes:g} minutes, or " if minutes is not None else ""
    again = "selfheal resume" if scope == "all" else f"selfheal resume --scope {scope}"
    say(answer, f"paused: {which} {until}until `{again}`", as_json)


def resume(
    context: typer.Context,
    scope: ScopeOption = "all",
    by: ByOption = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let repairs go on after a pause."""
    with client_of(settings_of(context, config), server) as client:
        answer = client.switch("resume", {"by": whoami(by), "scope": scope})
    still = ", ".join(item["scope"] for item in answer["pauses"])
    say(answer, "resumed" + (f"; still paused: {still}" if still else ""), as_json)


def fleet(
    context: typer.Context,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """What holds repairs back now: storms, pauses, freezes, budgets, limits, cool-downs, demotions; and all leases."""
    with client_of(settings_of(context, config), server) as client:
        state = client.get("/api/fleet")
    if as_json:
        print_json(state)
        return
    lines = list(_lines(state))
    for line in lines or ["nothing is paused, frozen or rate-limited, and nothing is leased"]:
        out().print(plain(line, 400), markup=False)


def audit(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 30,
    cursor: Annotated[int | None, typer.Option(help="`next_cursor` of the page before.")] = None,
    who: Annotated[str | None, typer.Option(help="Only what they did.")] = None,
    what: Annotated[str | None, typer.Option(help="Only this, e.g. approve.")] = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Who did what, when, from where and on what; newest first."""
    with client_of(settings_of(context, config), server) as client:
        page = client.get("/api/audit", limit=limit, cursor=cursor, who=who, what=what)
    if as_json:
        print_json(page)
        return
    table = Table("when (UTC)", "who", "what", "incident", "detail", box=None)
    for entry in page["entries"]:
        detail = ", ".join(f"{key}={value}" for key, value in entry["detail"].items() if value not in ("", None))
        number = f"#{entry['number']}" if entry["number"] else ""
        at = entry["at"][:19].replace("T", " ")
        table.add_row(at, plain(entry["who"], 60), plain(entry["what"]), number, plain(detail, 200))
    out().print(table)
    if page["next_cursor"]:
        err().print(f"more: --cursor {page['next_cursor']}", style="dim")


def _lines(state: dict[str, Any]) -> Any:
    for item in state["storms"]:
        yield f"storm #{item['number']}: {item['reason']}; {item['members']} repairs wait"
    for item in state["pauses"]:
        until = f" until {item['until'][:16].replace('T', ' ')} UTC" if item["until"] else ""
        yield f"paused: {item['scope']}{until} by {item['by']}" + (f": {item['reason']}" if item["reason"] else "")
    for window in state["freeze_windows"]:
        when = "until" if window["active"] else "from"
        at = window["next_until" if window["active"] else "next_from"][:16].replace("T", " ")
        word = "frozen" if window["active"] else "freeze window"
        reason = f": {window['reason']}" if window["reason"] else ""
        yield f"{word}: {window['name']} ({window['scope']}) {when} {at} UTC{reason}"
    for item in state["rate_limited"]:
        at = item["until"][11:16]
        yield f"rate-limited: {item['resource']}: {item['actions']} actions in the last hour; again from {at} UTC"
    for item in state["rates_reached"]:
        yield f"rate-limited: {item['why']}; again from {item['until'][11:16]} UTC"
    for item in state["budgets"]:
        if line := _budget(item):
            yield line
    for item in state["cool_downs"]:
        yield f"left alone: {item['resource']} until {item['until'][11:19]} UTC, as #{item['number']} was escalated"
    for item in state["demotions"]:
        yield f"demoted to asking: ({item['resource_kind']}, {item['issue_type']}): {item['why']}"
    for item in state["circuits"]:
        yield f"not asked: {item['kind']} {item['target']} failed {item['failures']} times in a row: {item['last']}"
    for item in state["workers"]:
        if not item["alive"]:
            yield f"not heard of: {item['role']} {item['name']}, last seen {item['seen_at'][:19].replace('T', ' ')} UTC"
    for item in state["leases"]:
        yield f"leased: {item['target']} by #{item['number']} ({item['phase'].replace('_', ' ')})"


def _budget(item: dict[str, Any]) -> str:
    """`under repair in group web: 1 of at most 2 (8 machines): #12 Instance/web-1; waiting: #14`; or nothing."""
    using = ", ".join(
        f"#{one['number']} {one['resource']}{' (next in turn)' if one['promised'] else ''}" for one in item["incidents"]
    )
    waiting = ", ".join(f"#{one['number']}" for one in item["waiting"])
    if not using and not waiting:
        return ""
    if not item["group"]:
        return f"under repair, of no group: {using}"
    of = f" ({item['machines']} machines)" if item["machines"] is not None else ""
    line = f"under repair in group {item['group']}: {item['used']} of at most {item['allowed']}{of}"
    return line + (f": {using}" if using else "") + (f"; waiting: {waiting}" if waiting else "")

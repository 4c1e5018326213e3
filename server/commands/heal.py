"""`selfheal heal FILE`: one alert body, healed with live progress; at the server where one runs, else right here."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.prompt import Prompt
from rich.text import Text

from server import exits
from server.alert_bodies import ReceivedGroup, read_group
from server.auth import read_token
from server.bodies import read_json
from server.client import ServerClient, ServerUnreachable
from server.commands.common import ConfigOption, JsonOption, ServerOption, err, out, print_json, settings_of, whoami
from server.errors import ApiError
from server.follow import Ask, Feed, Progress, follow
from server.logs import set_up_logging
from server.settings import Settings
from server.settings_errors import ConfigError
from server.story import plain, plan_lines, state_of, story

POLL_SECONDS = 10.0


def heal(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="An alert body as Alertmanager posts it, or - for stdin.")
    ],
    ask: Annotated[bool, typer.Option("--ask/--no-ask", help="Ask here where a plan wants approval.")] = True,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Heal what an alert body is about, with live progress. --json gives the record on stdout.

    Where the configured server answers, it heals and this follows; else it is done here, in the foreground.
    """
    settings = settings_of(context, config)
    body = _read(file)
    try:
        received = read_group(read_json(body))
    except ApiError as error:
        raise ConfigError(file, [f"{error.body['error']} ({error.body['remedy']})"]) from error
    # What would be logged is what is shown here as it happens.
    set_up_logging(False)
    logging.getLogger("selfheal").setLevel(logging.ERROR)
    asker = _ask_here if ask and file != "-" and sys.stdin.isatty() else None
    with ServerClient(settings.server_url) as probe:
        at_server = server is not None or probe.alive()
    if at_server:
        records = asyncio.run(_at_server(settings, server, body, asker))
    else:
        records = asyncio.run(_here(settings, received, asker))
    if as_json:
        print_json(records[0] if len(records) == 1 else records)
    raise typer.Exit(max((_ended(record, as_json) for record in records), default=exits.OK))


async def _at_server(settings: Settings, server: str | None, body: bytes, ask: Ask | None) -> list[dict[str, Any]]:
    with ServerClient(server or settings.server_url, read_token(settings.operator.token_file)) as client:
        told = (await asyncio.to_thread(client.post_alerts, body))["incidents"]
        err().print(Text(f"healing at {client.url}; it goes on there if you leave"), style="dim")
        return await _followed(AtServer(client), told, ask)


async def _here(settings: Settings, received: ReceivedGroup, ask: Ask | None) -> list[dict[str, Any]]:
    from server.foreground import foreground

    async with foreground(settings) as here:
        accepted = await here.take_on(received)
        told = [{"id": item.incident_id, "decision": item.decision, "reason": item.reason} for item in accepted]
        return await _followed(here, told, ask)


async def _followed(feed: Feed, told: Sequence[Mapping[str, Any]], ask: Ask | None) -> list[dict[str, Any]]:
    """Follow each incident of the answer, one after the other."""
    records = []
    with Progress(err()) as progress:
        for item in told:
            progress.say(f"{item['decision']}: {item['reason']}")
        for incident_id in dict.fromkeys(str(item["id"]) for item in told if item["id"]):
            records.append(await follow(feed, incident_id, progress, ask))
    return records


class AtServer:
    """A heal at a server, followed over HTTP."""

    def __init__(self, client: ServerClient) -> None:
        self._client = client

    async def events(self, reference: str, seen: str) -> dict[str, Any]:
        """As the server says; a server that restarts is waited for."""
        for pause in (1, 2, 4, 8, 15):
            with suppress(ServerUnreachable):
                return await asyncio.to_thread(self._client.events, reference, seen, POLL_SECONDS)
            await asyncio.sleep(pause)
        return await asyncio.to_thread(self._client.events, reference, seen, POLL_SECONDS)

    async def record(self, reference: str) -> dict[str, Any]:
        return await asyncio.to_thread(self._client.incident, reference)

    async def decide(self, reference: str, body: Mapping[str, Any]) -> None:
        await asyncio.to_thread(self._client.decide, reference, body)


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(file, [f"can't be read: {error.strerror or error}"]) from error


def _ask_here(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Ask on the terminal; None is for later."""
    console, asked = err(), record["waiting_for"]
    console.print(Text(f"#{record['number']} asks: {plain(record.get('wait_reason') or '')}", "yellow"))
    for line in plan_lines(asked["plan"]):
        console.print(line)
    answer = Prompt.ask("Run it?", choices=["approve", "reject", "later"], default="later", console=console)
    if answer == "later":
        return None
    return {"decision": answer, "plan_fingerprint": asked["asked_fingerprint"], "by": whoami(None)}


def _ended(record: Mapping[str, Any], quiet: bool) -> int:
    """Tell the story and how to go on; returns the exit code."""
    if not quiet:
        out().print(story(record))
    code = exits.BY_OUTCOME.get(state_of(record), exits.UNFINISHED)
    if record.get("phase") == "waiting_approval":
        code = exits.WAITING
        asked = (record.get("waiting_for") or {}).get("asked_fingerprint", "")
        remedy = "with `selfheal serve` running: " if not quiet else ""
        said = f"{remedy}selfheal approve {record['number']} --plan {asked}"
        err().print(Text(f"waits for approval; to decide, {said}"))
    return code

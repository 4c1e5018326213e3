"""`selfheal notify test`: whether what is configured really reaches somebody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from server import exits
from server.commands.common import ConfigOption, JsonOption, err, out, print_json, settings_of
from server.notice_story import test_message
from server.settings import Settings
from server.settings_errors import ConfigError, known_instead
from server.story import plain

app = typer.Typer(no_args_is_help=True, help="What people are told by: try it.")


@app.callback()
def _notify() -> None:
    """Keeps `test` a command of its own while it is the only one."""


@app.command("test")
def send_test(
    context: typer.Context,
    target: Annotated[str | None, typer.Argument(help="Only this target. Default: every one.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test notice to every target, or to one. Exit code 1 where one does not take it."""
    results = asyncio.run(_send(settings_of(context, config), target))
    if as_json:
        print_json(results)
    for result in () if as_json else results:
        console = out() if result["taken"] else err()
        console.print(plain(f"{result['target']}: {result['said']}", 400), markup=False)
    if not all(result["taken"] for result in results):
        raise typer.Exit(exits.ERROR)


async def _send(settings: Settings, target: str | None) -> Sequence[dict[str, Any]]:
    from server.notify_targets import make_directory

    directory = make_directory(settings.notify)
    if not directory.notifiers:
        raise ConfigError("notify", ["nobody is configured to be told: add `targets`, or `url`"])
    if target is not None and target not in directory.notifiers:
        problem = f"no target is named {target!r:.80}{known_instead(target, list(directory.notifiers))}"
        raise ConfigError("notify", [problem])
    results = []
    try:
        for name in [target] if target is not None else list(directory.notifiers):
            try:
                await directory.notifiers[name].send(test_message(name, settings.public_url))
                results.append({"target": name, "taken": True, "said": "took the test notice"})
            except Exception as error:  # the next one is tried all the same
                results.append({"target": name, "taken": False, "said": str(error)})
    finally:
        await directory.close()
    return results

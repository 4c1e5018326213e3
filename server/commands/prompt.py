"""`selfheal prompt show`: what a model was sent for an incident, and what it answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from server.commands.common import ConfigOption, JsonOption, ServerOption, client_of, err, out, print_json, settings_of
from server.commands.incidents import Reference
from server.story import plain

app = typer.Typer(no_args_is_help=True, help="What models are asked.")


@app.callback()
def prompt() -> None:
    """What models are asked."""


@app.command("show")
def show(
    context: typer.Context,
    reference: Reference,
    call: Annotated[int | None, typer.Option(min=1, help="Only this call, counted from 1.")] = None,
    config: ConfigOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what the model was sent for an incident, call by call, and what it answered; secrets are redacted."""
    with client_of(settings_of(context, config), server) as client:
        calls = client.model_calls(reference)["calls"]
    if call is not None and call > len(calls):
        raise typer.BadParameter(f"there are {len(calls)} calls", param_hint="--call")
    chosen = list(enumerate(calls, 1))[slice(call - 1, call) if call else slice(None)]
    if as_json:
        print_json({"calls": [item for _, item in chosen]})
    elif not chosen:
        err().print("no model was asked: the runbook reasoner needs none")
    for number, item in chosen if not as_json else ():
        _print(number, item)


def _print(number: int, call: Mapping[str, Any]) -> None:
    told = "" if call["reported"] else ", estimated"
    cost = f", ≈ ${call['cost_usd']:.4f}" if call["cost_usd"] is not None else ""
    head = (
        f"call {number}: {call['purpose']}, attempt {call['attempt']}, {call['model']} by {call['method']}, "
        f"prompt {call['prompt']}, {call['input_tokens']} tokens in, {call['output_tokens']} out{told}, "
        f"{call['seconds']:.1f} s{cost}: {call['status']}"
    )
    problem = f" ({plain(call['problem'])})" if call["problem"] else ""
    out().print(Text(plain(head) + problem, "bold"))
    for message in call["messages"]:
        _part(message["role"], message["text"])
    _part("answer", call["answer"] or "(none)")


def _part(title: str, text: str) -> None:
    """Printable characters only, line by line: it may stem from hostile telemetry."""
    out().print(Text(f"-- {plain(title)}", "cyan"))
    lines = ("".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in line)
             for line in text.split("\n"))  # fmt: skip
    out().print(Text("\n".join(lines)), soft_wrap=True)

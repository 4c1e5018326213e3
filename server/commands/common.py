"""What all commands share: options, the way to the server, and how data and errors are printed."""

from __future__ import annotations

import getpass
import json
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from server.auth import read_token
from server.client import ServerClient
from server.settings import CONFIG_VARIABLE, Settings, load, personal_token

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help=f"The configuration. Default: {CONFIG_VARIABLE}, else ./selfheal.yaml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server", envvar="SELFHEAL_SERVER", help="URL of the server. Default: `listen` of the configuration."
    ),
]
ByOption = Annotated[str | None, typer.Option("--by", help="Who is recorded. Default: you@this-host.")]
CommentOption = Annotated[str, typer.Option("--comment", "-m", help="Why; recorded.")]


PIPED_WIDTH = 120


@dataclass
class Common:
    """Options given before the command."""

    config: Path | None = None


def out() -> Console:
    """Stdout, made anew as tests and pipes change it."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def err() -> Console:
    return Console(stderr=True, width=None if sys.stderr.isatty() else PIPED_WIDTH, highlight=False)


def print_json(data: Any) -> None:
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n")


def settings_of(context: typer.Context, config: Path | None) -> Settings:
    """The settings, from the command's --config, the one before the command, or the default place."""
    common = context.find_root().obj
    return load(config or (common.config if isinstance(common, Common) else None))


def client_of(settings: Settings, server: str | None) -> ServerClient:
    """A client with one's own token, else the operator's. Raises ConfigError where there is neither."""
    token = personal_token() or read_token(settings.operator.token_file)
    return ServerClient(server or settings.server_url, token)


def whoami(by: str | None) -> str | None:
    """Who is to be recorded; None with a token of one's own, which says who it is."""
    if by or personal_token():
        return by
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # In a container without a passwd entry.
        user = "operator"
    return f"{user}@{socket.gethostname()}"

"""`selfheal users …`: hashes and tokens for the settings, and who may do what by them. None of it asks a server."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer
from rich.table import Table

from server.access.settings import NAME, AccessSettings
from server.commands.common import ConfigOption, JsonOption, out, print_json, settings_of

app = typer.Typer(no_args_is_help=True, help="Who may do what: people, their passwords and tokens.")


@app.callback()
def _users() -> None:
    """Who may do what: people, their passwords and tokens."""


@app.command("hash")
def hash_password(as_json: JsonOption = False) -> None:
    """Hash a password (asked for, or the first line of stdin): prints the line for access.users in the settings."""
    from server.access.secrets import password_hash

    try:
        made = password_hash(_asked())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="password") from None
    if as_json:
        print_json({"password_hash": made})
    else:
        typer.echo(f"password_hash: {made}")


@app.command("token")
def token(
    name: Annotated[str, typer.Argument(help="The user it is for.")],
    as_json: JsonOption = False,
) -> None:
    """Make a personal token: prints it this once, and the line for access.users in the settings."""
    from server.access.secrets import new_token, token_hash

    if not NAME.fullmatch(name):
        raise typer.BadParameter("1 to 64 letters, digits and . _ @ + -", param_hint="NAME")
    made = new_token(name)
    if as_json:
        print_json({"name": name, "token": made, "token_hash": token_hash(made)})
    else:
        typer.echo(f"token: {made}\ntoken_hash: {token_hash(made)}")


@app.command("list")
def list_users(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Who may come in by the settings, and as what."""
    settings = settings_of(context, config)
    found = rows(settings.access)
    if as_json:
        oidc = settings.access.oidc
        print_json({"users": found, "oidc": oidc.model_dump(mode="json", exclude=_SECRETS) if oidc else None})
        return
    table = Table("who", "role", "comes in by", box=None)
    for row in found:
        table.add_row(str(row["name"]), str(row["role"]), " or ".join(row["by"]))
    table.add_row("operator", "admin", f"the token in {settings.operator.token_file}")
    if (oidc := settings.access.oidc) is not None:
        for value, role in oidc.roles.items():
            table.add_row(f"{oidc.roles_claim} contains {value}", role, oidc.issuer)
        table.add_row("anybody else there", oidc.default_role or "nothing", oidc.issuer)
    out().print(table)
    if not settings.access.configured:
        out().print("nobody is configured: `selfheal serve` prints a one-time admin token")


_SECRETS = {"client_secret", "client_secret_file"}


def rows(access: AccessSettings) -> list[dict[str, str | list[str]]]:
    """Each user with role and ways in; no secrets, and no hashes."""
    return [
        {
            "name": user.name,
            "role": user.role,
            "by": [way for way, kept in (("password", user.password_hash), ("token", user.token_hash)) if kept],
        }
        for user in access.users
    ]


def _asked() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise typer.BadParameter("the two are not the same", param_hint="password")
    return password

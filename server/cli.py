"""The command line. Commands of installed packages come in by entry-point group `selfheal.commands`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points, version

import typer

from server import exits
from server.client import ServerRefused, ServerUnreachable
from server.commands import deciding, fleet, incidents, notify, policies, prompt, retention, users
from server.commands.common import Common, ConfigOption, err
from server.commands.doctor import doctor
from server.commands.heal import heal
from server.commands.rules import rules
from server.commands.serve import serve
from server.commands.worker import worker
from server.lock import Locked
from server.settings_errors import ConfigError
from server.store import StoreError

ENTRY_POINT_GROUP = "selfheal.commands"
INTERRUPTED = 130


def make_app(extra: Sequence[EntryPoint] = ()) -> typer.Typer:
    """The whole command line, with these entry points (each a Typer app or a function)."""
    app = typer.Typer(
        name="selfheal",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="Agents that repair infrastructure on Prometheus alerts.",
        epilog=exits.EXPLAINED,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for command in (serve, worker, heal, doctor, rules, *_DECISIONS):
        app.command()(command)
    app.add_typer(incidents.app, name="incidents")
    app.add_typer(notify.app, name="notify")
    app.add_typer(policies.app, name="policies")
    app.add_typer(prompt.app, name="prompt")
    app.add_typer(retention.app, name="retention")
    app.add_typer(users.app, name="users")
    for point in extra:
        loaded = point.load()
        if isinstance(loaded, typer.Typer):
            app.add_typer(loaded, name=point.name)
        else:
            app.command(point.name)(loaded)
    return app


_DECISIONS = (
    deciding.approve,
    deciding.reject,
    deciding.cancel,
    deciding.release,
    deciding.take_over,
    deciding.retry,
    deciding.close,
    deciding.confirm,
    deciding.ack,
    fleet.pause,
    fleet.resume,
    fleet.fleet,
    fleet.audit,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"selfheal {version('selfheal')}")
        raise typer.Exit


def _root(
    context: typer.Context,
    config: ConfigOption = None,
    show_version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    context.obj = Common(config)


def run(arguments: Sequence[str]) -> int:
    """Run a command; returns its exit code. Errors go to stderr in words, never as a traceback."""
    try:
        make_app(_wanted(arguments))(args=list(arguments), prog_name="selfheal")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else exits.ERROR
    except ConfigError as error:
        return _said(str(error), exits.USAGE)
    except ServerRefused as error:
        return _said(str(error), exits.REFUSED)
    except (ServerUnreachable, Locked, StoreError) as error:
        return _said(str(error), exits.ERROR)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `selfheal … | head`
        sys.stderr.close()
        return exits.OK
    return exits.OK


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def _wanted(arguments: Sequence[str]) -> list[EntryPoint]:
    """Only the entry point that is asked for is loaded, all of them for the help: they may be slow, or broken."""
    found = list(entry_points(group=ENTRY_POINT_GROUP))
    named = [point for point in found if point.name in arguments]
    plain_help = not arguments or arguments[0] in ("-h", "--help")
    return named if not plain_help else [point for point in found if _loads(point)]


def _loads(point: EntryPoint) -> bool:
    try:
        point.load()
    except Exception as error:  # somebody else's code; our own help must still be shown
        _said(f"command {point.name} of {point.value} can't be loaded: {error}", exits.ERROR)
        return False
    return True


def _said(message: str, code: int) -> int:
    err().print(message, style="red", markup=False, soft_wrap=True)
    return code


if __name__ == "__main__":
    main()

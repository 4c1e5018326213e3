"""What the commands that run cases share: which cases, how they are shown while they run, and errors in words."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import evals
from evals.case import Case, InvalidCase, Split, load_cases
from evals.gate import InvalidBaseline
from evals.reasoners import NoModel
from evals.running import Told
from evals.split import InvalidLock, split_of
from server import exits
from server.commands.common import err

RootOption = Annotated[
    Path | None, typer.Option("--root", help="The folder of the cases. Default: those of the checkout.")
]


def default_root() -> Path:
    """The cases that come with the sources; an installed package has none."""
    return Path(evals.__file__).parent / "cases"


def cases_of(root: Path | None, globs: Sequence[str] | None = None, split: Split | None = None) -> tuple[Case, ...]:
    """The cases that are wanted. Exits where there are none, or one is invalid."""
    folder = root or default_root()
    found = load_cases(folder, tuple(globs or ("*",)))
    wanted = tuple(case for case in found if split is None or split_of(case) == split)
    if wanted:
        return wanted
    if not folder.is_dir() or (not found and not globs):
        fail(f"{folder}: no cases are here; use a checkout of the sources, or give --root", exits.USAGE)
    fail(f"{folder}: no case fits {', '.join(globs or ['*'])}{f' in the {split} split' if split else ''}", exits.USAGE)


def fail(message: str, code: int) -> NoReturn:
    err().print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)


@contextmanager
def errors_in_words() -> Iterator[None]:
    """What is wrong with a case is an error of the store (1), what is not set or not there one of usage (2)."""
    try:
        yield
    except (InvalidCase, InvalidLock) as error:
        fail(str(error), exits.ERROR)
    except (NoModel, InvalidBaseline, ValueError) as error:
        fail(str(error), exits.USAGE)


@contextmanager
def quiet() -> Iterator[None]:
    """Without a warning for every answer that was turned down: results say who answered instead, and why."""
    logger = logging.getLogger("agents.reasoning")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def shown(total: int, console: Console) -> Iterator[Told]:
    """A bar for that many cases; nothing where nobody watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("cases", total=total)
        yield lambda case: bar.update(task, advance=1, description=case.id)

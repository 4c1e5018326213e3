"""`selfheal evals …`: measure diagnosis, hold a change to the baseline, make cases and reports."""

from __future__ import annotations

import typer

from evals.commands.baseline import baseline, gate
from evals.commands.run import run
from evals.commands.split import split

EXIT_CODES = (
    "Exit codes: 0 done (of `run`: measured, whatever the scores; of `gate`: nothing is worse); 1 `gate`: something is "
    "worse, `split`: it does not hold, or an error; 2 usage: no case, no model, no baseline."
)

app = typer.Typer(no_args_is_help=True, help="Measure diagnosis on recorded incidents.", epilog=EXIT_CODES)
for command in (run, gate, baseline, split):
    app.command()(command)

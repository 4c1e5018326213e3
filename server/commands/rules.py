"""`selfheal rules`: the alerting rules we ship, to look at or to copy to where Prometheus reads them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.table import Table
from rich.text import Text

from server.alerting import OWN_RULES, alerting_files, rule_files
from server.commands.common import JsonOption, out, print_json
from server.settings_errors import ConfigError


def rules(
    to: Annotated[Path | None, typer.Option("--out", help="Copy the files into this folder.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the Prometheus rules, or copy them with --out.

    Rules for all five issue types, what their exporters need, and rules and a Grafana dashboard about Self-Heal itself.
    """
    if to is not None:
        copied = _copied(to, force)
        if as_json:
            print_json({"copied": [str(path) for path in copied]})
            return
        for path in copied:
            out().print(str(path), markup=False, soft_wrap=True)
        return
    found = shipped((*rule_files(), OWN_RULES))
    if as_json:
        print_json(found)
        return
    table = Table("alert", "issue type", "for", "file", box=None)
    for rule in found:
        table.add_row(*(Text(str(rule[key] or "self-heal")) for key in ("alert", "issue_type", "for", "file")))
    out().print(table)


def shipped(files: Sequence[Path] = rule_files()) -> list[dict[str, str]]:
    """Every rule: alert, issue_type (empty in those about Self-Heal itself), severity, for, expr, file."""
    found = []
    for path in files:
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                found.append(
                    {
                        "alert": rule["alert"],
                        "issue_type": rule["labels"].get("issue_type", ""),
                        "severity": rule["labels"]["severity"],
                        "for": rule.get("for", "0s"),
                        "expr": rule["expr"],
                        "file": path.name,
                    }
                )
    return found


def _copied(to: Path, force: bool) -> list[Path]:
    """All files into `to`. Raises ConfigError, before anything is written, where that would overwrite other content."""
    wanted = {to / path.name: path for path in alerting_files()}
    differing = [at for at, path in wanted.items() if at.exists() and at.read_bytes() != path.read_bytes()]
    if differing and not force:
        names = ", ".join(path.name for path in differing)
        raise ConfigError(str(to), [f"{names} there differ from ours: use --force to overwrite them"])
    try:
        to.mkdir(parents=True, exist_ok=True)
        for at, path in wanted.items():
            shutil.copyfile(path, at)
    except OSError as error:
        raise ConfigError(str(to), [f"cannot be written: {error}"]) from error
    return list(wanted)

"""Prometheus rules for all five issue types, and what the exporters behind them need: files to be copied."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def alerting_files() -> tuple[Path, ...]:
    """All shipped files, rules first."""
    return (*rule_files(), *sorted(path for path in FOLDER.glob("*.yml") if not path.name.endswith(".rules.yml")))


def rule_files() -> tuple[Path, ...]:
    """The rule files, for `rule_files` of prometheus.yml."""
    return tuple(sorted(FOLDER.glob("*.rules.yml")))

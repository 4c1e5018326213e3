"""Prometheus rules for all five issue types, what the exporters behind them need, and what watches Self-Heal itself.

Files to be copied."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
OWN_RULES = FOLDER / "selfheal.rules.yml"
"""Alerts about Self-Heal itself: for people, as it can't repair itself."""
DASHBOARD = FOLDER / "selfheal.dashboard.json"
"""For Grafana: import it and choose the Prometheus."""


def alerting_files() -> tuple[Path, ...]:
    """All shipped files, rules first."""
    others = sorted(path for path in FOLDER.glob("*.yml") if not path.name.endswith(".rules.yml"))
    return (*rule_files(), OWN_RULES, *others, DASHBOARD)


def rule_files() -> tuple[Path, ...]:
    """The files of rules about what is repaired, for `rule_files` of prometheus.yml."""
    return tuple(path for path in sorted(FOLDER.glob("*.rules.yml")) if path != OWN_RULES)

"""What the spans of a run say of where the time went."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals.bench.healed import evidence_ms


def test_queries_that_run_side_by_side_count_once(tmp_path: Path) -> None:
    lines = [
        ("selfheal.evidence first", "a", 10.000, 10.010),
        ("selfheal.evidence second", "a", 10.004, 10.012),
        ("selfheal.evidence third", "a", 10.020, 10.023),
        ("selfheal.node gather_context", "a", 9.990, 10.100),
        ("selfheal.evidence first", "b", 20.000, 20.015),
        ("selfheal.model", "c", 30.0, 32.0),
    ]
    (tmp_path / "spans.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert evidence_ms(tmp_path) == pytest.approx(15.0)


def test_of_two_heals_the_median_is_told(tmp_path: Path) -> None:
    lines = [("selfheal.evidence first", heal, 0.0, seconds) for heal, seconds in (("a", 0.01), ("b", 0.02))]
    (tmp_path / "spans.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert evidence_ms(tmp_path) == pytest.approx(15.0)

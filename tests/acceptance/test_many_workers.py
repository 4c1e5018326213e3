"""Real worker processes on one real PostgreSQL share the heals among them, and no leg is run by two."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.bench.scaling import heal_together
from evals.postgres_server import NoPostgres, running_postgres

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize("workers", [2, 8])
def test_each_leg_is_run_by_one_worker(tmp_path: Path, workers: int) -> None:
    try:
        with running_postgres(durable=True) as postgres:
            rate, twice = heal_together(tmp_path / "together", postgres, workers, rounds=3, concurrency=1)
    except NoPostgres as error:
        pytest.skip(str(error))
    assert twice == 0 and rate > 0

"""A sample of the crash matrix (`make chaos` runs all of it): the real processes die, the target's own log is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evals.chaos.cases import play, restart_database
from evals.chaos.ground import Database, Ground, ground
from evals.chaos.points import How, Point
from evals.postgres_server import NoPostgres, running_postgres
from tests.acceptance.stages import needs

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    needs("local")
    try:
        with running_postgres(durable=True) as postgres, ground(tmp_path_factory.mktemp("c"), postgres) as made:
            yield made
    except NoPostgres as error:
        pytest.skip(str(error))


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("database", "event", "side", "nth", "how"),
    [
        ("sqlite", "finish", "before", 1, "kill"),
        ("sqlite", "tell", "after", 2, "term"),
        ("postgresql", "claim", "after", 1, "kill"),
        # a worker that stands still past its lease: before it begins, the lease stops it; then the claim on the target
        ("postgresql", "start", "before", 1, "stop"),
        ("postgresql", "start", "after", 1, "stop"),
    ],
)
def test_nothing_is_lost_and_nothing_done_twice(
    field: Ground, database: Database, event: str, side: str, nth: int, how: How
) -> None:
    point = Point(event, "before" if side == "before" else "after", nth)
    result = play(field, database, point, how)
    assert (result.verdict, result.effects) == ("once", 1), result.story


def test_a_heal_goes_on_though_postgresql_is_restarted_in_its_middle(field: Ground) -> None:
    result = restart_database(field)
    assert (result.verdict, result.effects) == ("once", 1), result.story

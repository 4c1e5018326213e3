"""The whole chain on booted systemd hosts and real databases: some faults of each kind and issue type, as `make lab`
runs them all, and every command that came to a host accounted for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evals.lab.faults import fault
from evals.lab.runner import LabRunner, lab_up, offences_shown
from evals.lab.verdict import roles_for
from tests.acceptance.stages import needs

pytestmark = [pytest.mark.acceptance, pytest.mark.lab, pytest.mark.timeout(500)]

GROUPS = (
    (
        "service_killed",
        "bad_config",
        "service_disk_full",
        "disk_rotated_logs",
        "cpu_unit_runs_away",
        "port_shut_nft",
        "host_hung",
        "watcher_away",
    ),
    ("pg_replay_paused", "pg_log_recycled", "pg_server_killed"),
    ("my_replication_stopped", "my_replica_differs"),
)


@pytest.fixture(scope="module", params=GROUPS, ids=lambda group: group[0].partition("_")[0])
def group(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LabRunner, tuple[str, ...]]]:
    needs("lab")
    names: tuple[str, ...] = request.param
    with lab_up(roles_for(fault(names[0])), tmp_path_factory.mktemp("lab"), print) as lab:
        lab.quiet()
        yield lab, names


def test_each_fault_is_taken_for_what_it_is_and_ends_as_it_should_and_all_that_was_sent_is_on_record(
    group: tuple[LabRunner, tuple[str, ...]],
) -> None:
    lab, names = group
    verdicts = [lab.run(fault(name)) for name in names]
    wrong = {verdict.fault.name: verdict.problems for verdict in verdicts if not verdict.ok}
    assert not wrong
    offences = lab.audit()
    assert not offences, offences_shown(offences)

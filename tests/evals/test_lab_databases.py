"""A stage with a database pair of each engine: replicating, watched, and put back after a promotion."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from evals.lab import pairs
from evals.lab.detect import lab_refusal
from evals.lab.faults import on_mariadb, on_postgres
from evals.lab.hosts import LabStage
from evals.lab.postgres import sql
from evals.lab.stage import LabError, StageOptions

REFUSAL = lab_refusal()
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(400),
    pytest.mark.skipif(REFUSAL is not None, reason=f"no lab here: {REFUSAL}"),
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabStage]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "token").write_text("not asked for here")
    stage = LabStage(
        StageOptions(
            folder / "stage", "http://127.0.0.1:9/hook", folder / "token",
            roles=("pg_primary", "pg_replica", "my_primary", "my_replica"),
        )
    )  # fmt: skip
    stage.up()
    try:
        stage.enter()
        yield stage
    finally:
        stage.down()


def test_what_is_written_to_a_primary_arrives_on_its_replica(stage: LabStage) -> None:
    assert on_postgres.in_step(stage)
    assert on_mariadb.in_step(stage)


def test_each_server_is_declared_on_its_host_with_its_peer(stage: LabStage) -> None:
    declared = {entry["id"]: entry for entry in stage.resources() if entry["kind"] == "Database"}

    assert {name: entry["database"]["peers"] for name, entry in declared.items()} == {
        "pg-1": ["pg-2"], "pg-2": ["pg-1"], "my-1": ["my-2"], "my-2": ["my-1"],
    }  # fmt: skip
    hosts = {host.resource_id: host.address for host in stage.hosts}
    assert all(hosts[entry["host"]] == entry["address"] for entry in declared.values())


def test_every_command_over_ssh_is_noted_byte_for_byte(stage: LabStage) -> None:
    host, ssh = stage.hosts[0], stage.resources()[0]["ssh"]
    command = "echo 'a  b'\n\techo \u00fc \\\\x; exit 3"
    before = len(stage.commands(host))

    options = ("-i", ssh["key_file"], "-o", f"UserKnownHostsFile={ssh['known_hosts']}", "-o", "BatchMode=yes")
    argv = ["ssh", *options, f"{ssh['user']}@{host.address}", command]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=15)

    assert (done.returncode, done.stdout) == (3, "a  b\n\u00fc \\x\n")
    assert stage.commands(host)[before:] == [command]


def test_a_replica_that_was_promoted_is_put_back(stage: LabStage) -> None:
    replica = on_postgres.replica_of(stage)
    sql(stage, replica, "select pg_promote()")

    stage.recover(replica)

    assert sql(stage, replica, "select pg_is_in_recovery()") == "t"
    assert on_postgres.in_step(stage)


def test_half_a_pair_is_refused() -> None:
    with pytest.raises(LabError, match="one pg_primary and one pg_replica"):
        pairs.check_roles(("app", "pg_primary"))

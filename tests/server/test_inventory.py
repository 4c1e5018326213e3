"""Resources that name each other must fit together, or the start is refused with the entry named."""

from __future__ import annotations

from typing import Any

import pytest

from graph.records import Resource
from server.inventory import misfits

SSH = {"user": "ops", "key_file": "k", "known_hosts": "h"}
EC2 = {"name": "ec2", "instance_id": "i-1"}


def instance(name: str, **more: Any) -> Resource:
    return Resource.model_validate({"id": name, "kind": "Instance", "address": "192.0.2.1", "ssh": SSH, **more})


def database(name: str, *peers: str, cluster: str = "orders", engine: str = "postgresql", **more: Any) -> Resource:
    own = {"engine": engine, "cluster": cluster, "role": "replica", "port": 5432, "peers": peers}
    entry = {"id": name, "kind": "Database", "address": "192.0.2.2", "ssh": SSH, "database": own, **more}
    return Resource.model_validate(entry)


def test_a_pair_and_its_hosts_fit_together() -> None:
    pair = (database("db-1", "db-2", host="inst-1"), database("db-2", "db-1"))
    hosts = (
        instance("inst-1", provider=EC2, failover={"to": "inst-2", "allocation_id": "eipalloc-1"}),
        instance("inst-2", provider=EC2),
    )
    web = instance("web", depends_on=["Database/db-1", "10.0.0.7:6379", "[fd00::1]:53"], zone="a")
    assert misfits((*hosts, *pair, web)) == []


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ((database("db-1", host="gone"),), "host: no Instance 'gone'"),
        ((database("db-1", "db-9"),), "database.peers: no Database 'db-9'"),
        ((database("db-1", "db-1"),), "names itself"),
        ((database("db-1", "db-2"), database("db-2", cluster="other")), "another cluster"),
        ((database("db-1", "db-2"), database("db-2", engine="mariadb")), "another cluster or engine"),
        ((instance("a", provider=EC2, failover={"to": "b", "allocation_id": "e"}),), "failover.to: no Instance 'b'"),
        ((instance("a", depends_on=["Database/db-9"]),), "depends_on: no 'Database/db-9' is declared"),
        ((instance("a", depends_on=["Instance/a"]),), "depends_on: names itself"),
        ((instance("a", depends_on=["db"]),), "neither the key of a resource (Kind/id) nor host:port"),
        (
            (instance("a", provider=EC2, failover={"to": "b", "allocation_id": "e"}), instance("b")),
            "must be of the same provider",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_the_entry(resources: tuple[Resource, ...], said: str) -> None:
    [problem] = misfits(resources)
    assert said in problem and problem.startswith("resources[0]")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"cleanup": {"log_roots": ["/"]}}, "cleanup"),
        ({"cleanup": {"tmp_roots": ["/home"]}}, "holds more"),
        ({"cleanup": {"log_roots": ["/var/log/../lib"]}}, "without `..`"),
        ({"failover": {"to": "b"}}, "exactly one"),
        ({"scaling": {"auto_scaling_group": "web"}}, "max_capacity"),
        ({"database": {"engine": "mariadb", "cluster": "c", "role": "primary", "port": 1}}, "kind: Database"),
    ],
)
def test_a_declaration_that_would_allow_too_much_is_refused(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        instance("a", **entry)


def test_a_database_without_its_entry_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a `database` entry"):
        Resource.model_validate({"id": "d", "kind": "Database", "address": "192.0.2.2", "ssh": SSH})

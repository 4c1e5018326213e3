"""The causes of a full disk told apart, and what is planned for each: facts in, cause and steps out, as tables."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agents.instance import INSTANCE
from agents.reasoning.runbook import THRESHOLD
from graph.facts import Facts, FactValue, fact_key
from graph.kind import Match
from graph.records import PlanStep, ProviderAccess, Resource, SshAccess
from graph.resources import Cleanup, Volume

RESOURCE = Resource(
    id="inst-1",
    kind="Instance",
    address="192.0.2.1",
    ssh=SshAccess(user="ops", key_file="k", known_hosts="h"),
    provider=ProviderAccess(name="ec2", instance_id="i-1"),
    services=("web",),
    cleanup=Cleanup(restart_units=("courier",)),
    volumes=(Volume(mount="/srv/data", max_gib=30, step_gib=10, volume_id="vol-1"),),
)
ROOT = "/"
DATA = "/srv/data"
UP: dict[str, FactValue] = {"host.reachable": True, fact_key("unit.state", unit="web"): "running"}


def full(mount: str = ROOT, avail: int = 0, size: int = 10_000, over: str = "bytes") -> dict[str, FactValue]:
    values: dict[str, FactValue] = {
        "over": over, "used_percent": 100.0, "avail_mib": avail, "size_mib": size, "inodes_used_percent": 20.0,
    }  # fmt: skip
    return {fact_key(f"disk.{name}", mount=mount): value for name, value in values.items()} | UP


def gone(what: str, mib: int, root: str = "/var/log", mount: str = ROOT) -> dict[str, FactValue]:
    return {fact_key("disk.reclaimable_mib", mount=mount, what=what, root=root): mib}


def log(path: str, mib: int) -> dict[str, FactValue]:
    return {fact_key("disk.big_log_mib", mount=ROOT, path=path): mib}


def held(unit: str, mib: int, pid: str = "42") -> dict[str, FactValue]:
    labels = {"mount": ROOT, "pid": pid, "started": "777", "unit": unit, "name": "python3"}
    return {fact_key("disk.deleted_open_mib", **labels): mib}


def wal(mib: int) -> dict[str, FactValue]:
    return {fact_key("disk.wal_mib", mount=ROOT, path="/var/lib/postgresql/15/main/pg_wal"): mib}


def data(mib: int, mount: str = ROOT) -> dict[str, FactValue]:
    return {fact_key("disk.user_data_mib", mount=mount, path=f"{mount.rstrip('/')}/orders"): mib}


def unit(**values: FactValue) -> dict[str, FactValue]:
    return {fact_key(f"unit.{name}", unit="web"): value for name, value in values.items()}


INODES = full(avail=5000, over="inodes") | {
    fact_key("disk.inodes_used_percent", mount=ROOT): 100.0,
    fact_key("disk.inode_eater", mount=ROOT, path="/var/tmp/sessions"): 90_000,
}
FAILED = unit(state="failed", result="exit-code", exit_code=1)
NO_SPACE: dict[str, FactValue] = {fact_key("journal.no_space", unit="web"): True}
FIRES: dict[str, FactValue] = {fact_key("alert.firing", alertname="DiskFull"): True}


def ranked(facts: Mapping[str, FactValue]) -> list[tuple[float, str, Match]]:
    known = Facts.of([("E1", facts)])
    found = [
        (match.score, cause.name, match) for cause in INSTANCE.causes if (match := cause.signature(known, RESOURCE))
    ]
    if nothing := INSTANCE.no_fault(known, RESOURCE):
        found.append((nothing.score, "no_fault", nothing))
    return sorted(found, key=lambda item: -item[0])


def best(facts: Mapping[str, FactValue]) -> str:
    return next((name for score, name, _match in ranked(facts) if score >= THRESHOLD), "unknown")


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (full() | gone("rotated_logs", 2000), "rotated_logs"),
        (full() | gone("rotated_logs", 2000) | gone("tmp", 300, "/tmp") | log("/var/log/a", 100), "rotated_logs"),
        (full() | log("/var/log/app/x.log", 2000) | gone("rotated_logs", 200), "log_growth"),
        (full() | gone("journal", 3000, "/var/log/journal"), "journal_growth"),
        (full() | gone("package_cache", 1500, "/var/cache/apt"), "package_cache"),
        (full() | gone("tmp", 1500, "/var/tmp"), "tmp_files"),
        (full() | gone("cores", 1500, "/var/crash") | gone("tmp", 100, "/tmp"), "core_dumps"),
        (full() | held("courier.service", 4000) | gone("tmp", 50, "/tmp"), "deleted_open_file"),
        (full() | wal(6000) | data(1000), "wal_growth"),
        # a log of the usual size is no fault: the data is what fills it
        (full() | wal(1000) | data(6000), "data_growth"),
        (INODES, "inodes_exhausted"),
        (INODES | gone("tmp", 2000, "/tmp"), "inodes_exhausted"),
        # a little of what may go does not explain it
        (full() | gone("rotated_logs", 30) | data(8000), "data_growth"),
        (full() | gone("rotated_logs", 300) | gone("tmp", 300, "/tmp") | data(8000), "data_growth"),
        (full() | data(8000), "data_growth"),
        # too slow to tell all that is on it: what is missing is no evidence that it is data
        (full() | data(8000) | {fact_key("disk.partly_seen", mount=ROOT): True}, "unknown"),
        (full(), "data_growth"),
        # all of it together would do
        (full() | gone("rotated_logs", 700) | gone("tmp", 500, "/tmp") | data(8000), "rotated_logs"),
        # only the alert's own limit is reached
        (full(over="alert", avail=2000) | FIRES | gone("rotated_logs", 700), "rotated_logs"),
        (full(over="alert", avail=2000) | gone("rotated_logs", 700), "unknown"),
        # a service that fails for it is the more specific cause
        (full() | FAILED | NO_SPACE | gone("rotated_logs", 2000), "no_space_left"),
        (full() | FAILED | gone("rotated_logs", 2000), "no_space_left"),
        (full() | FAILED | NO_SPACE | data(8000), "no_space_left"),
        (INODES | FAILED, "no_space_left"),
        # a disk that is rather full takes no service down
        (full(avail=400) | FAILED | gone("rotated_logs", 2000), "rotated_logs"),
        (UP | {fact_key("disk.used_percent", mount=ROOT): 40.0}, "no_fault"),
    ],
)
def test_the_facts_tell_why_a_disk_is_full(facts: dict[str, FactValue], cause: str) -> None:
    assert best(facts) == cause, [(score, name) for score, name, _match in ranked(facts)]


def test_every_match_cites_what_it_rests_on_and_names_its_mount() -> None:
    for score, name, match in ranked(full() | gone("rotated_logs", 2000) | wal(6000) | held("web", 500) | INODES):
        assert match.cites and match.summary, name
        assert 0.5 < score <= 0.99


def plans(cause_name: str, facts: Mapping[str, FactValue], resource: Resource = RESOURCE) -> list[tuple[PlanStep, ...]]:
    known, cause = Facts.of([("E1", facts)]), INSTANCE.cause(cause_name)
    assert cause is not None
    match = cause.signature(known, resource)
    assert match is not None
    return [steps for remedy in cause.remedies if (steps := remedy.steps(resource, match.target, known))]


def actions(steps: tuple[PlanStep, ...]) -> list[str]:
    return [step.action for step in steps]


@pytest.mark.parametrize(
    ("cause", "facts", "first"),
    [
        ("rotated_logs", full() | gone("rotated_logs", 900) | gone("rotated_logs", 99, "/srv/log"), ["clean_logs"] * 2),
        ("log_growth", full() | log("/var/log/a", 900) | log("/var/log/b", 99), ["rotate_logs"] * 2),
        ("journal_growth", full() | gone("journal", 3000, "/var/log/journal"), ["vacuum_journal"]),
        ("package_cache", full() | gone("package_cache", 1500, "/var/cache/apt"), ["clean_package_cache"]),
        ("tmp_files", full() | gone("tmp", 1500, "/var/tmp"), ["clean_tmp"]),
        ("core_dumps", full() | gone("cores", 1500, "/var/crash"), ["remove_core_dumps"]),
        ("deleted_open_file", full() | held("courier.service", 4000), ["restart_holder"]),
    ],
)
def test_each_cause_is_first_mended_by_what_it_names(cause: str, facts: dict[str, FactValue], first: list[str]) -> None:
    assert actions(plans(cause, facts)[0]) == first


def test_the_largest_goes_first_and_another_mount_is_left_alone() -> None:
    facts = full() | gone("rotated_logs", 99, "/var/log") | gone("rotated_logs", 900, "/srv/log")
    facts |= gone("rotated_logs", 5000, "/mnt/log", mount="/mnt")
    [own, *_] = plans("rotated_logs", facts)
    assert [step.params["root"] for step in own] == ["/srv/log", "/var/log"]


def test_when_one_kind_was_not_enough_all_kinds_go() -> None:
    facts = full() | gone("rotated_logs", 900) | gone("tmp", 200, "/tmp") | gone("journal", 100, "/var/log/journal")
    own, everything = plans("rotated_logs", facts | log("/var/log/a", 50))
    assert actions(own) == ["clean_logs"]
    assert actions(everything) == ["clean_logs", "clean_tmp", "vacuum_journal", "rotate_logs"]


def test_a_holder_that_nobody_declared_is_left_to_a_human() -> None:
    assert plans("deleted_open_file", full() | held("sshd.service", 4000)) == []
    both = full() | held("sshd.service", 4000) | held("web.service", 3000, pid="43")
    [[step]] = plans("deleted_open_file", both)
    assert step.params == {"unit": "web", "pid": 43, "started": 777, "name": "python3"}


def test_inodes_are_freed_where_their_files_may_go_and_otherwise_not() -> None:
    files = {fact_key("disk.reclaimable_files", mount=ROOT, what="tmp", root="/var/tmp"): 80_000}
    [[step]] = plans("inodes_exhausted", INODES | files)
    assert (step.action, step.params) == ("clean_tmp", {"root": "/var/tmp"})
    assert plans("inodes_exhausted", INODES) == []


@pytest.mark.parametrize(
    ("known", "size_gib"),
    [
        ({"disk.volume_gib": 10}, 20),
        ({"disk.volume_gib": 25}, 30),
        ({"disk.volume_gib": 30}, None),
        ({"disk.volume_gib": 10, "disk.volume_modifying": True}, None),
        ({}, None),
    ],
)
def test_data_only_ever_gets_more_room_and_no_more_than_is_declared(
    known: dict[str, FactValue], size_gib: int | None
) -> None:
    size = int(known.get("disk.volume_gib", 10)) * 1020
    facts = (
        full(DATA, size=size) | data(9000, DATA) | {fact_key(name, mount=DATA): value for name, value in known.items()}
    )
    assert best(facts) == "data_growth"
    wanted = [] if size_gib is None else [{"mount": DATA, "size_gib": size_gib}]
    assert [step.params for steps in plans("data_growth", facts) for step in steps] == wanted


def test_a_mount_without_a_declared_volume_never_grows() -> None:
    assert plans("data_growth", full() | data(9000)) == []


def test_a_database_s_log_is_never_removed() -> None:
    assert plans("wal_growth", full() | wal(6000)) == []
    cause = INSTANCE.cause("wal_growth")
    assert cause is not None and "replication slot" in cause.human_must


# -- a service with a full disk beneath it -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (full() | gone("rotated_logs", 2000), [["clean_logs", "restart_service"]]),
        (full() | gone("tmp", 90, "/tmp") | log("/var/log/a", 50), [["clean_tmp", "rotate_logs", "restart_service"]]),
        (full() | held("courier.service", 900), [["restart_holder", "restart_service"]]),
        (full() | data(8000), []),
        (
            full(DATA) | {fact_key("disk.volume_gib", mount=DATA): 10} | data(8000, DATA),
            [["expand_volume", "restart_service"]],
        ),
        # by now it has room
        (UP | {fact_key("disk.used_percent", mount=ROOT): 40.0}, [["restart_service"]]),
    ],
)
def test_a_service_gets_room_before_it_is_started(facts: dict[str, FactValue], expected: list[list[str]]) -> None:
    found = plans("no_space_left", facts | FAILED | NO_SPACE)
    assert [actions(steps) for steps in found] == expected

"""When many failures are one, and what they share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from graph.records import Resource
from graph.rules.sharing import Share, shares_of
from graph.rules.storms import Failing, StormRules, Thresholds, UnderWay, weather

TEN = datetime(2026, 1, 1, 10, 2, tzinfo=UTC)
WEB = Share("group", "web")


def resource(name: str, kind: str = "Instance", **more: Any) -> Resource:
    entry = {"id": name, "kind": kind, "address": f"{name}.test", "transport": "local", **more}
    if kind == "Database":
        entry["database"] = {"engine": "postgresql", "cluster": "c", "role": "primary", "port": 5432}
    return Resource.model_validate(entry)


def webs(count: int = 9, **more: Any) -> list[Resource]:
    return [resource(f"web-{number}", group="web", **more) for number in range(1, count + 1)]


def failing(*names: str, every: float = 10, kind: str = "Instance") -> list[Failing]:
    return [Failing(f"{kind}/{name}", (TEN + timedelta(seconds=every * n),)) for n, name in enumerate(names)]


def web_names(count: int) -> list[str]:
    return [f"web-{number}" for number in range(1, count + 1)]


def rules(*resources: Resource, **more: Any) -> StormRules:
    return StormRules(shares_of(resources), Thresholds(**more))


def test_six_of_nine_in_a_group_that_fail_together_are_a_storm() -> None:
    [storm] = weather(failing(*web_names(6)), (), rules(*webs())).begun
    assert storm.share == WEB and len(storm.members) == 6
    assert storm.reason == "6 of 9 in group web fail since 10:02 UTC"


@pytest.mark.parametrize(
    ("names", "every", "resources"),
    [
        (web_names(4), 10, webs(4)),  # fewer than five are never many, be they all there are
        (web_names(5), 10, webs(11)),  # not half
        (web_names(6), 60, webs(9)),  # not within two minutes
        (web_names(6), 10, [resource(name) for name in web_names(9)]),  # nothing that they share
    ],
)
def test_few_or_slow_or_unrelated_failures_are_none(names: list[str], every: float, resources: list[Resource]) -> None:
    assert weather(failing(*names, every=every), (), rules(*resources)).begun == ()


def test_a_resource_counts_once_however_many_alerts_it_has() -> None:
    twice = [Failing(item.key, (*item.began, *item.began)) for item in failing(*web_names(4))]
    assert weather(twice, (), rules(*webs(5), min_share=0.1)).begun == ()


def test_an_alert_that_joins_an_old_trouble_counts_as_of_now() -> None:
    old = [Failing(item.key, (TEN - timedelta(days=1), *item.began)) for item in failing(*web_names(6))]
    [storm] = weather(old, (), rules(*webs())).begun
    assert len(storm.members) == 6


def test_a_dependency_that_fails_itself_is_the_cause_and_is_not_held() -> None:
    db = resource("db-1", "Database", group="web")
    inventory = [db, *webs(6, depends_on=["Database/db-1"]), resource("other", group="web")]
    down = [*failing(*web_names(6)), *failing("db-1", kind="Database")]
    [storm] = weather(down, (), rules(*inventory)).begun
    assert storm.share == Share("dependency", "Database/db-1") and storm.spared == {"Database/db-1"}
    assert "Database/db-1" not in storm.members
    assert storm.reason == "6 of 8 in group web fail since 10:02 UTC, all depend on Database/db-1, which fails too"


def test_a_dependency_nobody_watches_is_named_where_all_share_it() -> None:
    inventory = [*webs(6, depends_on=["cache:6379"]), *[resource(f"w{n}", group="web") for n in range(3)]]
    [storm] = weather(failing(*web_names(6)), (), rules(*inventory)).begun
    assert storm.reason == "6 of 9 in group web fail since 10:02 UTC, all depend on cache:6379"


def test_what_is_beneath_a_dependency_is_shared_too() -> None:
    """An application needs a database, which runs on a host: the host is down."""
    db = resource("db-1", "Database", host="host-1")
    inventory = [resource("host-1"), db, *webs(6, depends_on=["db-1.test:5432"])]
    down = [*failing(*web_names(6), "host-1"), *failing("db-1", kind="Database")]
    [storm] = weather(down, (), rules(*inventory)).begun
    assert storm.share == Share("dependency", "Instance/host-1") and storm.spared == {"Instance/host-1"}
    assert "Database/db-1" in storm.members


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"zone": "a"}, "6 of 6 in zone a fail"),
        ({"provider": {"name": "ec2", "region": "eu-west-1", "instance_id": "i-1"}}, "6 of 6 at ec2 eu-west-1 fail"),
    ],
)
def test_zones_and_providers_are_shared_across_groups(more: dict[str, Any], said: str) -> None:
    here = [resource(f"r{n}", group=f"g{n}", **more) for n in range(6)]
    elsewhere = [resource(f"e{n}", group=f"g{n}") for n in range(3)]
    [storm] = weather(failing(*(f"r{n}" for n in range(6))), (), rules(*here, *elsewhere)).begun
    assert storm.reason.startswith(said)


def test_what_explains_more_wins_and_the_rest_may_be_a_storm_of_its_own() -> None:
    a = [resource(f"a{n}", group="a", zone="z") for n in range(5)]
    b = [resource(f"b{n}", group="b", zone="z") for n in range(5)]
    c = [resource(f"c{n}", group="c") for n in range(5)]
    names = [item.id for item in (*a, *b, *c)]
    first, second = weather(failing(*names, every=1), (), rules(*a, *b, *c)).begun
    assert (first.share, second.share) == (Share("zone", "z"), Share("group", "c"))


def test_a_storm_goes_on_until_fewer_than_half_of_what_began_it_still_fail() -> None:
    lasting = [UnderWay(7, WEB, TEN)]
    assert weather(failing(*web_names(3)), lasting, rules(*webs())).over == {}
    over = weather(failing(*web_names(2)), lasting, rules(*webs()))
    assert over.over == {7: "2 of 9 in group web still fail"} and over.begun == ()


def test_whoever_fails_later_joins_the_storm_that_goes_on() -> None:
    late = [*failing(*web_names(6)), *failing("web-9", every=0)]
    seen = weather([late[-1], *late[:-1]], [UnderWay(7, WEB, TEN)], rules(*webs()))
    assert seen.begun == () and "Instance/web-9" in seen.going[7].members
    assert seen.going[7].reason.startswith("7 of 9")


def test_a_storm_learns_later_what_its_members_depend_on() -> None:
    inventory = [resource("db-1", "Database"), *webs(9, depends_on=["Database/db-1"])]
    down = [*failing(*web_names(6)), *failing("db-1", kind="Database")]
    storm = weather(down, [UnderWay(7, WEB, TEN)], rules(*inventory)).going[7]
    assert storm.spared == {"Database/db-1"} and storm.reason.endswith("which fails too")


def test_what_a_human_has_let_go_of_begins_no_storm_again() -> None:
    let_go = [f"Instance/{name}" for name in web_names(6)]
    assert weather(failing(*web_names(6)), (), rules(*webs()), let_go).begun == ()


def test_two_that_depend_on_each_other_are_members_both() -> None:
    pair = [resource("a", depends_on=["Instance/b"], group="g"), resource("b", depends_on=["Instance/a"], group="g")]
    [storm] = weather(failing("a", "b"), (), rules(*pair, min_resources=2)).begun
    assert storm.members == {"Instance/a", "Instance/b"} and not storm.spared


def test_how_many_more_must_fail_is_never_told_too_high() -> None:
    inventory, names = rules(*webs(12)), web_names(12)
    for count in range(12):
        short = weather(failing(*names[:count], every=1), (), inventory).short_of
        assert not any(
            weather(failing(*names[: count + more], every=1), (), inventory).begun
            for more in range(1, short)
            if count < 6
        )

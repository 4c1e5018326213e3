"""The quick way to read a body must come to what the careful one comes to, or leave the body to it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.bench.bodies import alert, body
from graph.records import MAX_LABEL_CHARS
from server.alert_bodies import ReceivedGroup, read_group
from server.bodies import read_json
from server.errors import ApiError
from server.plain_bodies import read_plain
from tests.server.hostile import ACCEPTED, REFUSED, Hostile


def carefully(content: bytes) -> ReceivedGroup | None:
    try:
        return read_group(read_json(content))
    except ApiError:
        return None


def same(quick: ReceivedGroup, careful: ReceivedGroup | None) -> bool:
    if careful is None:
        return False
    shown = [(one.group.model_dump(), one.positions, one.bad) for one in (quick, careful)]
    return shown[0] == shown[1]


def test_what_alertmanager_sends_is_read_the_quick_way() -> None:
    content = body([alert("a1", "inst-1"), alert("a2", "inst-2")])
    quick = read_plain(content)
    assert quick is not None and same(quick, carefully(content))
    assert [one.ends_at for one in quick.group.alerts] == [None, None]


def test_go_escapes_ampersands_and_angles_and_that_is_plain() -> None:
    content = body([alert("a1", "inst-1")]).replace(b"+0&g0", b"+0\\u0026g0").replace(b"up+", b"\\u003cup\\u003e+")
    quick = read_plain(content)
    assert quick is not None and same(quick, carefully(content))
    assert "&g0.tab=1" in quick.group.alerts[0].generator_url


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one["labels"].update(x="a\x00b"),
        lambda one: one["labels"].update(x="caf\u00e9"),
        lambda one: one["labels"].update(x="a\x7fb"),
        lambda one: one["labels"].update(x="\ud800"),
        lambda one: one["labels"].update(x="a" * (MAX_LABEL_CHARS + 1)),
        lambda one: one.update(fingerprint="../../etc"),
        lambda one: one.pop("fingerprint"),
        lambda one: one.update(annotations=None),
        lambda one: one.update(labels={}),
        lambda one: one.update(startsAt="yesterday"),
        lambda one: one.update(generatorURL="x" * 3_000),
        lambda one: one.update(more={"deep": [[[[]]]]}),
    ],
)
def test_whatever_is_unusual_is_left_to_the_careful_way(change: Any) -> None:
    one = alert("a1", "inst-1")
    change(one)
    assert read_plain(json.dumps({"alerts": [one]}).encode("utf-8", "surrogatepass")) is None


@pytest.mark.parametrize("hostile", (*REFUSED, *ACCEPTED), ids=lambda hostile: hostile.name)
def test_no_hostile_body_is_taken_for_another_than_it_is(hostile: Hostile) -> None:
    content = hostile.body if isinstance(hostile.body, bytes) else bytes(hostile.body)
    quick = read_plain(content)
    assert quick is None or same(quick, carefully(content))


TEXT = st.text(st.characters(codec="utf-8", max_codepoint=0x2100), max_size=12) | st.sampled_from(
    ["\\", '"', "\n", "\t"]
)
TIMES = st.sampled_from(["2026-11-01T12:00:00.123456789Z", "0001-01-01T00:00:00Z", "2026-11-01T12:00:00+02:00", 12, ""])
PLAIN = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["firing", "resolved"]),
        "labels": st.dictionaries(TEXT, TEXT, max_size=3),
        "fingerprint": st.sampled_from(["0123456789abcdef", "x"]),
    },
    optional={"annotations": st.dictionaries(TEXT, TEXT, max_size=2), "startsAt": TIMES, "endsAt": TIMES},
)


@settings(max_examples=300, deadline=None)
@given(alerts=st.lists(PLAIN, max_size=3), indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_both_ways_come_to_the_same(alerts: list[dict[str, Any]], indent: int | None, ascii_only: bool) -> None:
    content = json.dumps({"alerts": alerts}, indent=indent, ensure_ascii=ascii_only).encode()
    quick = read_plain(content)
    assert quick is None or same(quick, carefully(content))

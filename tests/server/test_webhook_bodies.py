"""What is made of a webhook's body before anything is stored."""

from __future__ import annotations

import json

import pytest

from server.alert_bodies import read_group
from server.bodies import read_json
from server.errors import ApiError
from tests.server.hostile import ACCEPTED, LABELS, REFUSED, Hostile, alert, body


@pytest.mark.parametrize("hostile", REFUSED, ids=lambda hostile: hostile.name)
def test_a_body_that_makes_no_sense_is_refused_by_field(hostile: Hostile) -> None:
    with pytest.raises(ApiError) as caught:
        read_group(read_json(hostile.body))
    assert caught.value.status_code == hostile.status
    assert str(caught.value.body["field"]).startswith(hostile.field)
    assert caught.value.body["remedy"]
    caught.value.response()


@pytest.mark.parametrize("hostile", ACCEPTED, ids=lambda hostile: hostile.name)
def test_a_strange_body_with_a_whole_alert_is_understood(hostile: Hostile) -> None:
    received = read_group(read_json(hostile.body))
    (found,) = received.group.alerts
    for text in (*found.labels, *found.labels.values(), found.fingerprint):
        assert len(text) < 2200
        assert "\x00" not in text and "\x1b" not in text
        text.encode()
    assert found.model_dump_json()


def test_the_place_where_json_breaks_is_named() -> None:
    with pytest.raises(ApiError, match="line 2, column 3"):
        read_json(b"{\n  x}")


def test_a_broken_alert_does_not_take_its_siblings_with_it() -> None:
    received = read_group(read_json(body("broken", alert(), alert(labels=None), alert(status="resolved"))))
    assert received.positions == (1, 3)
    assert [(bad.index, bad.field) for bad in received.bad] == [(0, "alerts[0]"), (2, "alerts[2].labels")]


def test_the_zero_time_means_not_yet() -> None:
    (found,) = read_group(read_json(body(alert(endsAt="0001-01-01T00:00:00Z")))).group.alerts
    assert found.ends_at is None and found.starts_at is not None


def test_alertmanagers_whole_message_is_read() -> None:
    message = {
        "version": "4",
        "groupKey": '{}:{alertname="InstanceDown"}',
        "truncatedAlerts": 2,
        "status": "firing",
        "receiver": "self-heal",
        "groupLabels": {"alertname": "InstanceDown"},
        "commonLabels": LABELS,
        "commonAnnotations": {},
        "externalURL": "http://am:9093",
        "alerts": [alert(fingerprint="c0ffee0123456789", generatorURL="http://prom/graph?g0.expr=up")],
    }
    received = read_group(read_json(json.dumps(message).encode()))
    assert received.group.truncated_alerts == 2
    assert received.group.alerts[0].fingerprint == "c0ffee0123456789"

"""Alerts about Self-Heal itself. It repairs none of them; one of them it wants to hear, as it proves the way to us."""

from __future__ import annotations

from graph.records import Alert

DEAD_MANS_SWITCH = "SelfHealDeadMansSwitch"
"""Always fires. Sent to the webhook as every alert is, it shows in `/metrics` that alerts arrive."""


def is_switch(alert: Alert) -> bool:
    """Whether it is that alert, and about no resource of anybody's."""
    return alert.name == DEAD_MANS_SWITCH and "resource_id" not in alert.labels

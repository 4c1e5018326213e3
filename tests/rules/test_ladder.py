"""What a record earns on the ladder of trust, and what a demotion takes."""

from __future__ import annotations

from typing import Any

import pytest

from graph.records import Policy
from graph.rules.policy import autonomy, demoted
from server.ladder import Level, Measured, count, level_of, recommended, report

NOTHING = Measured()


def policy(**more: Any) -> Policy:
    fields = {"resource_kind": "Instance", "issue_type": "service_down", "auto_heal": True, "max_retries": 3}
    return Policy.model_validate(fields | more)


def ended(status: str = "mitigated", **more: Any) -> dict[str, Any]:
    plain = {"edited": False, "rejected": False, "rolled_back": False, "right": None, "rule": "", "ended_at": 100.0}
    return {"resource_kind": "Instance", "issue_types": ["service_down"], "status": status, **plain, **more}


@pytest.mark.parametrize(
    ("given", "level"),
    [(None, "ask"), (policy(), "auto"), (policy(auto_heal=False), "ask"), (policy(dry_run=True), "observe")],
)
def test_the_level_is_what_the_policy_says_and_none_asks(given: Policy | None, level: Level) -> None:
    assert level_of(given) == level


@pytest.mark.parametrize(
    ("level", "seen", "recommend"),
    [
        ("observe", Measured(rehearsed=4), "keep"),
        ("observe", Measured(rehearsed=5), "promote"),
        ("observe", Measured(rehearsed=9, confirmed_wrong=1), "keep"),
        ("ask", Measured(healed=4, unaided=4), "keep"),
        ("ask", Measured(healed=5, unaided=5), "promote"),
        ("ask", Measured(healed=5, unaided=5, rejected=1), "keep"),
        ("ask", Measured(healed=9, unaided=5, edited=4), "keep"),
        ("ask", Measured(healed=20, unaided=20, rolled_back=1), "keep"),
        ("ask", Measured(healed=6, unaided=6, escalated=7), "keep"),
        ("auto", Measured(healed=9, unaided=9), "keep"),
        ("auto", Measured(healed=9, unaided=8, rolled_back=1), "demote"),
        ("auto", Measured(healed=9, unaided=9, confirmed_wrong=1), "demote"),
        ("auto", Measured(healed=2, escalated=3), "demote"),
        ("auto", Measured(healed=1, escalated=3), "keep"),
        ("auto", NOTHING, "keep"),
    ],
)
def test_trust_is_earned_by_the_record_and_lost_by_harm(level: Level, seen: Measured, recommend: str) -> None:
    found, why = recommended(level, seen, None, NOTHING)
    assert found == recommend and why


def test_a_demoted_pair_earns_its_way_back_by_what_went_well_since() -> None:
    assert recommended("auto", Measured(healed=99, unaided=99), "#3 rolled back x", NOTHING)[0] == "keep"
    found, why = recommended("auto", NOTHING, "#3 rolled back x", Measured(healed=5, unaided=5))
    assert found == "promote" and "5 healed as planned since" in why
    assert recommended("auto", NOTHING, "x", Measured(healed=9, unaided=9, rolled_back=1))[0] == "keep"


def test_rehearsals_and_what_a_human_took_over_are_no_failures_of_the_healer() -> None:
    seen = count(
        [
            ended(),
            ended(edited=True),
            ended("declined", rule="dry_run"),
            ended("declined", rule="rejected", rejected=True),
            ended("escalated", rule="taken_over"),
            ended("escalated", rule="max_retries", rolled_back=True),
            ended("self_resolved", right=False),
        ]
    )
    assert (seen.healed, seen.unaided, seen.escalated, seen.declined, seen.rehearsed) == (2, 1, 1, 1, 1)
    assert (seen.edited, seen.rejected, seen.rolled_back, seen.self_resolved, seen.confirmed_wrong) == (1, 1, 1, 1, 1)


def test_the_report_has_a_line_for_every_pair_with_a_policy_or_a_record_and_says_what_was_demoted() -> None:
    fallen = {"resource_kind": "Instance", "issue_type": "service_down", "at": "…", "why": "#1 rolled back restart"}
    measured = {
        "ended": [ended(ended_at=200.0), ended("escalated", issue_types=["disk_full"])],
        "demotions": [fallen],
        "last_demoted": {("Instance", "service_down"): 150.0},
    }
    down, disk = sorted(report([policy()], measured), key=lambda line: line["issue_type"] == "disk_full")
    assert (down["declared_level"], down["level"], down["demoted"]) == ("auto", "ask", fallen)
    assert down["why"].endswith("1 of 5 healed as planned since")
    assert (disk["has_policy"], disk["level"], disk["escalated"]) == (False, "ask", 1)


def test_a_demotion_makes_what_ran_unasked_ask_and_takes_what_was_allowed_by_name() -> None:
    trusted = autonomy([policy(allow_destructive=["rebuild"])], "Instance", ["service_down"])
    fallen = demoted(trusted, {"service_down": "demoted: #1 rolled back restart"}, ["service_down"])
    assert (fallen.auto_heal, fallen.allow_destructive) == (False, frozenset())
    assert fallen.why == "demoted: #1 rolled back restart"
    assert demoted(trusted, {"disk_full": "x"}, ["service_down"]) == trusted

"""Every command that came to a host is on a record, as often as it came, or the run fails and names it."""

from __future__ import annotations

from typing import Any

from evals.lab.audit import address_of, unaccounted

HOST = "10.77.1.11"
ODD = "printf '%s\\n' \"a  b\"\t; echo \N{SNOWMAN}"


def sent(command: str, purpose: str = "evidence", step: str = "", count: int = 1) -> dict[str, Any]:
    return {"target": f"selfheal@{HOST}:22", "command": command, "purpose": purpose, "step": step, "count": count}


def record(*commands: dict[str, Any], steps: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"commands": list(commands), "actions": [{"idempotency_key": step} for step in steps]}


def test_what_is_on_record_is_accounted_for_byte_for_byte() -> None:
    assert unaccounted({HOST: [ODD, "true"]}, [record(sent(ODD)), record(sent("true"))]) == []


def test_a_command_that_differs_in_one_byte_is_not() -> None:
    [offence] = unaccounted({HOST: [ODD + " "]}, [record(sent(ODD))])
    assert offence.command == ODD + " " and "0 of them on record" in offence.why


def test_a_command_that_came_more_often_than_it_was_recorded_is_not() -> None:
    [offence] = unaccounted({HOST: ["true", "true", "true"]}, [record(sent("true", count=2))])
    assert "came 3 times, 2 of them" in offence.why


def test_a_command_that_never_arrived_is_no_offence() -> None:
    assert unaccounted({HOST: []}, [record(sent("true"))]) == []


def test_a_command_recorded_for_another_host_is_no_excuse() -> None:
    assert len(unaccounted({"10.77.1.12": ["true"]}, [record(sent("true"))])) == 1


def test_what_acts_must_belong_to_a_step_that_was_begun() -> None:
    acting = sent("systemctl restart web", "action", "i:1:0")
    assert unaccounted({HOST: ["systemctl restart web"]}, [record(acting, steps=("i:1:0",))]) == []
    [offence] = unaccounted({HOST: ["systemctl restart web"]}, [record(acting)])
    assert "outside of a plan" in offence.why


def test_what_a_fault_itself_sent_is_not_ours() -> None:
    assert unaccounted({HOST: ["nohup x &"]}, [], own=["nohup x &"]) == []
    assert len(unaccounted({HOST: ["nohup x &"] * 2}, [], own=["nohup x &"])) == 1


def test_places_are_known_by_their_address() -> None:
    assert address_of("selfheal@10.0.0.5:22") == "10.0.0.5"
    assert address_of("local") == "local"
    assert address_of("postgresql://u@10.0.0.5:5432/db") == "postgresql://u@10.0.0.5:5432/db"

"""What a diagnosis must show before anybody acts on it: checked by code, whoever says it."""

from __future__ import annotations

import pytest

from agents.reasoning.proof import Claim, Unproven, prove
from graph.facts import Facts
from graph.kind import Cause, Match
from graph.records import Resource
from tests.agents.reasoning_examples import diagnosis_request, kind_of, seen, sign, unseen

HEALTHY = seen("E3", {"s.healthy": True}, "health")


def refused(claim: Claim, **given: object) -> str:
    with pytest.raises(Unproven) as caught:
        prove(claim, diagnosis_request(**given))  # type: ignore[arg-type]
    return str(caught.value)


def test_a_cause_that_its_evidence_speaks_for_is_proven() -> None:
    proof = prove(Claim("crashed", ["E1"], "web"), diagnosis_request())
    assert (proof.evidence_ids, proof.target) == (("E1",), "web")


def test_the_proof_is_made_whole_by_evidence_that_the_claim_left_out() -> None:
    def both(facts: Facts, resource: Resource) -> Match | None:
        found = [facts.first("s.slow"), facts.first("s.full")]
        return Match(0.9, [fact for fact in found if fact], "slow as it is full") if all(found) else None

    kind = kind_of(Cause("full", "it is full", "disk_full", both))
    evidence = [seen("E1", {"s.slow": True}), seen("E2", {"s.full": True}), seen("E3", {"load": 1})]
    assert prove(Claim("full", ["E2"]), diagnosis_request(evidence, kind)).evidence_ids == ("E2", "E1")


@pytest.mark.parametrize("cited", ["E1", "I1"])
def test_what_was_looked_at_again_and_found_the_same_may_be_cited_either_way(cited: str) -> None:
    evidence = [seen("E1", {"s.crashed": True}), seen("I1", {"s.crashed": True})]
    assert prove(Claim("crashed", [cited]), diagnosis_request(evidence)).evidence_ids == (cited,)


def test_what_was_found_otherwise_when_looked_at_again_proves_nothing() -> None:
    evidence = [seen("E1", {"s.crashed": True}), seen("I1", {"s.crashed": False})]
    assert "no fact speaks for crashed" in refused(Claim("crashed", ["E1"]), evidence=evidence)


def test_evidence_that_does_not_exist_proves_nothing_not_even_unknown() -> None:
    assert "E99 does not exist; there is E1, E2" in refused(Claim("crashed", ["E1", "E99"]))
    assert "E99 does not exist" in refused(Claim("unknown", ["E99"]))


def test_a_cause_that_no_fact_speaks_for_is_refused_with_what_the_facts_speak_for() -> None:
    reason = refused(Claim("killed", ["E1"]))
    assert 'no fact speaks for killed; facts speak for crashed (E1 s.crashed{unit="web"} = True)' in reason
    assert "else it is unknown" in reason


def test_citing_what_says_nothing_of_the_cause_is_refused_with_what_does() -> None:
    evidence = [seen("E1", {"s.crashed": True}), seen("E2", {"load": 0.1}), unseen("E3", "journal", "timed out")]
    assert "nothing cited speaks for crashed; what does: E1 s.crashed" in refused(
        Claim("crashed", ["E2"]), evidence=evidence
    )
    assert "E3 carries no fact" in refused(Claim("crashed", ["E1", "E3"]), evidence=evidence)


def test_a_healthy_resource_is_not_overdiagnosed() -> None:
    evidence = [seen("E1", {"s.crashed": True}), HEALTHY]
    assert "the facts show a healthy resource: E3 s.healthy" in refused(Claim("crashed", ["E1"]), evidence=evidence)


def test_no_fault_needs_facts_of_health() -> None:
    assert prove(Claim("no_fault", ["E3"]), diagnosis_request([HEALTHY])).evidence_ids == ("E3",)
    assert "no fact speaks for no_fault" in refused(Claim("no_fault", ["E1"]))


def test_unknown_needs_no_proof() -> None:
    assert prove(Claim("unknown", []), diagnosis_request()).evidence_ids == ()
    assert "needs at least one piece of evidence" in refused(Claim("crashed", []))


def test_a_target_that_facts_speak_for_as_well_is_accepted_and_another_is_not() -> None:
    both = [seen("E1", {'s.crashed{unit="web"}': True, 's.crashed{unit="db"}': True, 's.idle{unit="cron"}': True})]
    assert prove(Claim("crashed", ["E1"], "db"), diagnosis_request(both)).target == "db"
    assert "what was seen of crashed is about 'web'" in refused(Claim("crashed", ["E1"], "cron"), evidence=both)


def test_a_signature_that_raises_proves_nothing() -> None:
    def broken(facts: Facts, resource: Resource) -> Match | None:
        raise KeyError("unit")

    kind = kind_of(Cause("odd", "a third party's", "service_down", broken), Cause("x", "x", "unknown", sign("s.x")))
    assert "no fact speaks for odd" in refused(Claim("odd", ["E1"]), kind=kind)

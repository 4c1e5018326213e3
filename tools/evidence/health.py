"""The health checks before anything is done: what the repair will be measured by, and the alert's own condition."""

from __future__ import annotations

from graph.facts import FactValue, fact_key
from graph.ports import Finding
from graph.records import Incident, Observation
from tools.evidence.context import SOURCE_SECONDS, EvidenceContext, asked_of, line, resource_of, text_of, whole
from tools.health import NOT_CHECKED

_MOST_CHECKS = 8
_OBSERVED_CHARS = 70
_ALERT = "alert "


class HealthSource:
    """One round of the same observations that verify the repair."""

    name = "health"
    deadline_seconds = SOURCE_SECONDS

    def __init__(self, context: EvidenceContext) -> None:
        self._context = context

    async def gather(self, incident: Incident) -> Finding:
        """Facts health.ok{check}, health.observed{check}, alert.firing{alertname}."""
        resource_of(incident)
        seen = await self._context.health.observe(incident)
        if not seen:
            return Finding("(nothing declared)", "no health check and no alert condition to ask for", status="no_data")
        asked = asked_of(", ".join(item.criterion for item in seen))
        facts: dict[str, FactValue] = {}
        # Trouble first, as only so many are kept in the state.
        for item in sorted(seen, key=lambda item: item.status == "pass")[:_MOST_CHECKS]:
            facts |= health_facts(item)
        good = [item.criterion for item in seen if item.status == "pass"]
        bad = [item.criterion for item in seen if item.status != "pass"]
        text = text_of(f"not: {', '.join(bad)}" if bad else "", f"pass: {', '.join(good)}" if good else "")
        raw = "\n".join(f"{item.criterion}: {item.status}: {item.observed}" for item in seen)
        return Finding(asked, text, facts, raw=whole(raw))


def health_facts(item: Observation) -> dict[str, FactValue]:
    """What could not be looked at is neither well nor ill: it gets only the words."""
    observed = fact_key("health.observed", check=item.criterion)
    facts: dict[str, FactValue] = {observed: line(item.observed, _OBSERVED_CHARS)}
    if item.status == "unknown" or item.observed.startswith(NOT_CHECKED):
        return facts
    if item.criterion.startswith(_ALERT):
        name = item.criterion.removeprefix(_ALERT)
        return facts | {fact_key("alert.firing", alertname=name): item.status != "pass"}
    return facts | {fact_key("health.ok", check=item.criterion): item.status == "pass"}

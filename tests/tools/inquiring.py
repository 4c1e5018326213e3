"""How tests ask an inquiry: by the port, as a node would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from agents.database import DATABASE
from agents.instance import INSTANCE
from graph.fakes import FakeClock, FakeHealth
from graph.ports import Finding, Inquiry
from graph.records import Alert, Incident, Resource, SshAccess
from tools.clients.memory import Answer, MemoryHosts
from tools.evidence import EvidenceContext
from tools.inquiries import InquiryTools

NOW = datetime(2026, 11, 24, 14, 10, tzinfo=UTC)
FIRED = datetime(2026, 11, 24, 13, 55, tzinfo=UTC)


def host(*services: str, user: str = "root", **more: Any) -> Resource:
    access = SshAccess(user=user, key_file="k", known_hosts="h")
    return Resource.model_validate(
        {"id": "inst-1", "kind": "Instance", "address": "10.0.0.5", "ssh": access, "services": services, **more}
    )


def incident(resource: Resource | None) -> Incident:
    alert = Alert(status="firing", labels={"alertname": "InstanceDown"}, starts_at=FIRED)
    return Incident(
        id="0190", number=1, resource_kind=resource.kind if resource else "Instance", resource_id="inst-1",
        issue_types=("service_down",), alerts=(alert,), received_at=NOW, resource=resource,
    )  # fmt: skip


def context(answers: dict[str, Answer] | None = None, **more: Any) -> EvidenceContext:
    made = EvidenceContext(hosts=MemoryHosts(answers or {}), clock=FakeClock(NOW), health=FakeHealth(((),)))
    return replace(made, **more)


def inquiries(given: EvidenceContext) -> InquiryTools:
    return InquiryTools(given, {kind.name: kind.sources for kind in (INSTANCE, DATABASE)})


def offered(resource: Resource | None, given: EvidenceContext) -> list[str]:
    return [spec.name for spec in inquiries(given).specs(incident(resource))]


async def ask(
    tool: str, params: dict[str, Any], resource: Resource, given: EvidenceContext, max_chars: int = 1500
) -> Finding:
    source = inquiries(given).source(incident(resource), Inquiry(tool=tool, params=params), max_chars)
    found = await source.gather(incident(resource))
    assert len(found.text.encode()) <= max_chars
    return found


@dataclass
class Past:
    """A history that tells these sentences."""

    told: Sequence[str]

    async def recent(self, resource_key: str, limit: int = 5) -> Sequence[str]:
        return self.told[:limit]

    async def under_way(self, resource_key: str) -> str | None:
        return None

"""A server on a real store, with what heals left out or put in by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from agents.legs import Finished, LegEnd, WaitingForApproval
from graph.fakes import AnyParams, FakeActions
from graph.kind import ActionSpec, ResourceKind
from graph.records import Gate, Outcome, Plan, PlanStep, utc_now
from server.app import create_app
from server.auth import Tokens
from server.services import Runtime, Services
from server.settings import Settings
from server.store import Store

TOKENS = Tokens(webhook="webhook-token", operator="operator-token")
RESTART = ActionSpec("restart", "restart a unit", "disruptive", AnyParams, 5.0)
KIND = ResourceKind(
    name="Instance",
    summary="a made-up host",
    issue_types=("service_down",),
    sources=(),
    causes=(),
    actions=("restart",),
    no_fault=lambda facts, resource: None,
)
RESOURCE = {"id": "inst-abc123", "kind": "Instance", "address": "127.0.0.1", "transport": "local", "services": ["web"]}
PLAN = Plan(
    steps=(PlanStep(action="restart", params={"unit": "web"}, rendered="restart(unit=web)", risk="disruptive"),),
    summary="restart web",
    author="runbook",
)
GATE = Gate(decision="ask", rule="policy", reason="no policy for (Instance, service_down): ask")


def make_services(folder: Path, **settings: Any) -> Services:
    """A server's parts on a new database in that folder."""
    url = f"sqlite:///{folder / 'selfheal.db'}"
    made = Settings.model_validate({"database_url": url, "resources": [RESOURCE], **settings})
    return Services(made, Store.open(url), TOKENS, {KIND.name: KIND})


@asynccontextmanager
async def load_fakes(services: Services) -> AsyncIterator[Runtime]:
    yield Runtime(FakeActions({"restart": RESTART}), lambda: None)


@asynccontextmanager
async def running(services: Services, load: Any = load_fakes) -> AsyncIterator[httpx.AsyncClient]:
    """The application with its lifespan, and an operator's client for it."""
    app = create_app(services, load)
    async with app.router.lifespan_context(app), client_of(app) as client:
        yield client


def client_of(app: Any, token: str = TOKENS.operator) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(
        transport=transport, base_url="http://selfheal", headers={"Authorization": f"Bearer {token}"}
    )


async def end_leg(services: Services, incident_id: str, *ends: LegEnd) -> None:
    """Run legs of an incident that end like this, one after the other."""
    for end in ends:
        runnable = next(item for item in await services.store.runnable() if item.incident_id == incident_id)
        holder = f"test:{runnable.leg}"
        assert await services.store.begin_leg(incident_id, runnable.leg, holder, 15.0)
        assert await services.store.end_leg(incident_id, runnable.leg, holder, end)


def asking(plan: Plan = PLAN, seconds: float = 3600.0) -> WaitingForApproval:
    return WaitingForApproval({}, plan, GATE, utc_now() + timedelta(seconds=seconds))


def finished(status: str, reason: str = "because") -> Finished:
    return Finished(Outcome.model_validate({"status": status, "reason": reason}))


def alert_body(status: str = "firing", names: Sequence[str] = ("InstanceDown",), **labels: str) -> dict[str, Any]:
    """The minimal webhook body about the declared resource."""
    about = {"resource_kind": "Instance", "resource_id": "inst-abc123", **labels}
    return {"alerts": [{"status": status, "labels": {"alertname": name, **about}} for name in names]}


async def opened(client: httpx.AsyncClient, **labels: str) -> str:
    """Post a firing alert; returns the incident's id."""
    answer = await client.post("/webhooks/alertmanager", json=alert_body(**labels))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["incidents"][0]["id"])

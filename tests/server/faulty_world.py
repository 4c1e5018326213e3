"""Whole heals against a world that fails: our real clients, a real sshd, real sockets that misbehave.

All heals of a module run at once in one event loop, each with a server's parts of its own where it needs another
Prometheus: most of their time is waiting for what hangs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agents import known_kinds
from graph.records import Alert, AlertGroup, Policy, Resource
from server.runtime import load_healing
from server.services import Services
from server.settings import Settings
from server.store import Store
from tests.server.web import TOKENS

HEALS = (Policy(resource_kind="Instance", issue_type="service_down", auto_heal=True, max_retries=1),)
HEALING = {"soak_seconds": 0, "verify_timeout_seconds": 1.5, "looks": 1, "look_again_seconds": 0}


def services_for(folder: Path, prometheus_url: str, resources: Sequence[Resource], **more: Any) -> Services:
    folder.mkdir(parents=True)
    settings = Settings.model_validate(
        {
            "database_url": f"sqlite:///{folder / 'selfheal.db'}",
            "resources": [resource.model_dump(mode="json") for resource in resources],
            "prometheus": {"url": prometheus_url, "timeout_seconds": 1.5},
            "healing": HEALING | more,
        }
    )
    return Services(settings, Store.open(settings.database_url), TOKENS, known_kinds(), HEALS)


async def healed(services: Services, alerts: Sequence[Alert] = ()) -> dict[str, dict[str, Any]]:
    """Every resource's service is said to be down; the whole record of each heal, by resource, once all have ended."""
    store = services.store
    try:
        async with load_healing(services) as healing:
            said = tuple(alerts) or tuple(down(resource) for resource in services.settings.resources)
            accepted = await store.accept(AlertGroup(alerts=said), services.place)

            async def drive(incident_id: str) -> Mapping[str, Any]:
                while True:
                    legs = [leg for leg in await store.runnable() if leg.incident_id == incident_id]
                    for leg in legs:
                        await healing.runner.run_leg(leg.incident_id, leg.leg)
                    record = await store.incident(incident_id)
                    assert record is not None
                    if record["outcome"]:
                        return record
                    await asyncio.sleep(0.05)

            async with asyncio.timeout(60):
                records = await asyncio.gather(*(drive(str(item.incident_id)) for item in accepted))
            circuits = [item.told() for item in healing.circuits.open()]
            return {record["resource_id"]: {**record, "circuits": circuits} for record in records}
    finally:
        await store.close()


def down(resource: Resource) -> Alert:
    labels = {"alertname": "ServiceDown", "resource_kind": "Instance", "resource_id": resource.id}
    return Alert(status="firing", labels=labels)

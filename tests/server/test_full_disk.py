"""Our own disk is full: nothing is taken on that can't be kept, nothing breaks, and all goes on once there is room."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, event

from agents import known_kinds
from graph.records import AlertGroup, Policy
from server.runtime import load_server
from server.services import Services
from server.settings import Settings
from server.store import Store, StoreBusy
from tests.server.live import prometheus
from tests.server.small_disk import filled, small_disk
from tests.server.test_runner import until
from tests.server.web import TOKENS, alert_body, running
from tests.server.world import World, alert, placing
from tests.tools.supervised import Supervisor, running_supervisord

HEALS = (Policy(resource_kind="Instance", issue_type="service_down", auto_heal=True, max_retries=3),)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as folder:
        yield folder


@pytest.fixture(scope="module")
def supervisor() -> Iterator[Supervisor]:
    with running_supervisord() as made:
        yield made


def services_on(disk: Path, supervisor: Supervisor, prometheus_url: str) -> Services:
    """The real thing, with every database of ours on that disk."""
    resource = supervisor.resource().model_dump(mode="json") | {"id": "inst-abc123", "services": ["web"]}
    settings = Settings.model_validate(
        {
            "database_url": f"sqlite:///{disk / 'selfheal.db'}",
            "resources": [resource],
            "prometheus": {"url": prometheus_url},
            "healing": {"soak_seconds": 0, "verify_timeout_seconds": 5},
        }
    )
    return Services(settings, Store.open(settings.database_url), TOKENS, known_kinds(), HEALS)


async def post(client: httpx.AsyncClient, resource_id: str = "inst-abc123") -> httpx.Response:
    body = alert_body(names=("ServiceDown",), resource_id=resource_id)
    return await client.post("/webhooks/alertmanager", json=body)


def whole(disk: Path) -> dict[str, str]:
    """What SQLite finds wrong with each of our databases."""
    found = {}
    for file in sorted(disk.glob("*.db")):
        with sqlite3.connect(file) as connection:
            found[file.name] = str(connection.execute("PRAGMA integrity_check").fetchone()[0])
        connection.close()
    return found


async def test_a_heal_in_whose_middle_the_disk_is_full_goes_on_by_itself_and_acts_once(
    disk: Path, supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor.ctl("stop", "web")
    spawned = (supervisor.folder / "log").read_text().count("spawned: 'web'")
    taken: list[str] = []
    with prometheus() as url:
        services = services_on(disk, supervisor, url)
        async with running(services, load_server) as client:
            await until(lambda: services.runtime is not None)
            taken.append((await post(client)).json()["incidents"][0]["id"])
            with filled(disk):
                answers = [await post(client, f"other-{n}") for n in range(20)]
                refused = [answer for answer in answers if answer.status_code != 202]
                taken += [answer.json()["incidents"][0]["id"] for answer in answers if answer.status_code == 202]
                assert refused and {answer.status_code for answer in refused} == {503}
                assert int(refused[-1].headers["Retry-After"]) > 0 and "disk is full" in refused[-1].json()["error"]
                ready = await client.get("/readyz")
                assert ready.status_code == 503 and "disk is full" in ready.json()["error"]
                assert (await client.get("/healthz")).status_code == 200
                assert (await client.get(f"/api/incidents/{taken[0]}")).status_code == 200
                await until(lambda: "database or disk is full" in caplog.text)
            assert (await post(client, "afterwards")).status_code == 202
            assert (await client.get("/readyz")).status_code == 200

            async def ended() -> Any:
                return (await client.get(f"/api/incidents/{taken[0]}")).json()["outcome"]

            await until(ended, 40)
            record = (await client.get(f"/api/incidents/{taken[0]}")).json()
            assert record["outcome"]["status"] == "mitigated", record["outcome"]
            assert (supervisor.folder / "log").read_text().count("spawned: 'web'") == spawned + 1
            for incident_id in taken:
                assert (await client.get(f"/api/incidents/{incident_id}")).status_code == 200
    assert whole(disk) == dict.fromkeys(("selfheal-checkpoints.db", "selfheal.db"), "ok")


async def test_a_store_that_may_not_grow_takes_nothing_on_and_does_again_when_it_may(sqlite_world: World) -> None:
    world = sqlite_world
    """The same without a mount: SQLite's own bound on a real file."""
    pages = [0]

    def bound(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages[0] or 1 << 30}")

    event.listen(world.store._db._engine, "begin", bound)
    first = await world.opened()
    pages[0] = 1  # no more than there are
    kept = [first]
    with pytest.raises(StoreBusy, match="full"):
        for n in range(200):
            [accepted] = await world.store.accept(
                AlertGroup(alerts=(alert(name=f"Alert{n}" * 40, resource_id=f"r{n}"),)), placing
            )
            kept.append(str(accepted.incident_id))
    with pytest.raises(StoreBusy, match="full"):
        await world.store.accept(AlertGroup(alerts=(alert(name="X" * 4000, resource_id="y"),)), placing)
    pages[0] = 0
    [accepted] = await world.store.accept(AlertGroup(alerts=(alert(resource_id="later"),)), placing)
    await world.store.ready()
    page = await world.store.incidents(limit=300)
    assert {item["id"] for item in page.items} == {*kept, accepted.incident_id}
    assert await world.store._db.read(_integrity) == "ok"


def _integrity(connection: Connection) -> str:
    return str(connection.exec_driver_sql("PRAGMA integrity_check").scalar())

"""Budgets, limits that are reached and cool-downs, as people see them on the page and in a terminal."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from agents.legs import Finished, Resting
from graph.records import Outcome, utc_now
from server.commands.fleet import _lines
from server.services import Services
from tests.console import scenes
from tests.console.test_pages import page
from tests.server.web import RESOURCE, running

WEB: list[dict[str, Any]] = [RESOURCE | {"id": f"web-{n}", "group": "web"} for n in (1, 2)]


async def under_repair(services: Services) -> None:
    """#1 is under repair, #2 waits for it."""
    first = await scenes.opened(services, resource_id="web-1")
    holder, _ = await scenes.begun(services, first)
    await scenes.acted(services, first, holder)
    second = await scenes.opened(services, resource_id="web-2")
    await scenes.ended(services, second, Resting(utc_now() + timedelta(seconds=30), "group web", "fleet_budget"))


async def test_who_is_under_repair_and_who_waits_is_on_the_page_and_in_the_terminal(tmp_path: Path) -> None:
    services = scenes.make_console(tmp_path, resources=WEB)
    async with running(services, scenes.load_actions) as client:
        await under_repair(services)
        text = await page(client, "/fleet")
        assert "1 of at most 1" in text and "Instance/web-1" in text and 'href="/incidents/2"' in text
        state = (await client.get("/api/fleet")).json()
    lines = list(_lines(state))
    assert "under repair in group web: 1 of at most 1: #1 Instance/web-1; waiting: #2" in lines


async def test_a_resource_that_is_left_alone_is_shown_and_what_waits_for_it_can_be_retried(tmp_path: Path) -> None:
    services = scenes.make_console(tmp_path)
    async with running(services, scenes.load_actions) as client:
        first = await scenes.opened(services)
        await scenes.ended(services, first, Finished(Outcome(status="escalated", reason="because", rule="x")))
        await services.store.close_incident(first, "ada")
        second = await scenes.opened(services, alertname="Again")
        await scenes.ended(services, second, Resting(utc_now() + timedelta(minutes=9), "#1 was escalated", "cool_down"))
        assert "as <a" in await page(client, "/fleet")
        assert any(line.startswith("left alone: Instance/inst-abc123") for line in _lines(await services.fleet()))
        assert "Act now: retry" in await page(client, "/incidents/2")
        assert (await client.post("/incidents/2/retry", data={"comment": "now"})).status_code == 303
        assert [item.incident_id for item in await services.store.runnable()] == [second]


def test_a_rate_that_is_reached_is_told_with_its_numbers() -> None:
    names = ("storms", "pauses", "freeze_windows", "rate_limited", "budgets", "cool_downs", "demotions", "leases")
    state: dict[str, Any] = dict.fromkeys((*names, "circuits", "workers"), ())
    why = "soft_reboot on all resources: 6 in the last hour (at most 6)"
    state["rates_reached"] = [{"what": "action soft_reboot", "why": why, "until": "2026-01-01T03:40:00+00:00"}]
    assert list(_lines(state)) == [f"rate-limited: {why}; again from 03:40 UTC"]

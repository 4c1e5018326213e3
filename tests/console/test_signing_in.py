"""Signing in and out in a real browser, which sends what browsers send and keeps cookies as they do."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.console.test_browser import browser, pytestmark
from tests.server.live import LiveServer
from tests.server.people import PASSWORD, with_people

__all__ = ["browser", "pytestmark"]


def test_one_signs_in_goes_where_one_wanted_acts_and_signs_out(browser: Browser, tmp_path: Path) -> None:
    live = LiveServer(tmp_path, with_people(tmp_path))
    live.up()
    page = browser.new_context(base_url=f"http://127.0.0.1:{live.port}").new_page()
    page.set_default_timeout(15_000)
    page.goto("/fleet")
    page.wait_for_url("**/login?next=/fleet")
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong name or password")
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/fleet")
    assert page.evaluate("document.cookie") == ""
    page.get_by_text("Pause repairs").click()
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("status")).to_be_visible()
    assert [item["by"] for item in live.do(live.services.store.pauses())] == ["ann"]
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.goto("/fleet")
    page.wait_for_url("**/login?next=/fleet")
    live.down()

"""The console in a real browser, as an operator uses it at 3 a.m.: from a phone, by keyboard, in the dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from sqlalchemy import insert

from agents.legs import Finished
from graph.records import Evidence, Outcome, utc_now
from server.store.schema import alerts, incidents
from tests.console import scenes
from tests.server.live import LiveServer
from tests.server.web import TOKENS

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
PHONE = {"width": 375, "height": 740}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Inside a container nobody but us runs here, and root's Chromium starts in no sandbox.
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveServer]:
    server = LiveServer(tmp_path, scenes.make_console(tmp_path), scenes.load_actions)
    server.up()
    yield server
    server.down()


@contextmanager
def looking(browser: Browser, live: LiveServer, **context: Any) -> Iterator[Page]:
    """A page of somebody signed in. Fails where the browser complains of anything."""
    headers = {"Authorization": f"Bearer {TOKENS.operator}"}
    opened = browser.new_context(base_url=f"http://127.0.0.1:{live.port}", extra_http_headers=headers, **context)
    page = opened.new_page()
    page.set_default_timeout(15_000)
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # What a refused form answers with is a page of ours: the browser calls its status an error all the same.
        if message.type == "error" and "status of 4" not in message.text:
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    yield page
    opened.close()
    assert complaints == []


def record_of(live: LiveServer, number: int = 1) -> dict[str, Any]:
    found = live.do(live.services.store.incident(str(number)))
    assert found is not None
    return found


def test_a_plan_is_approved_by_keyboard_alone(browser: Browser, live: LiveServer) -> None:
    live.do(scenes.waiting(live.services))
    with looking(browser, live) as page:
        page.goto("/incidents")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url("**/incidents/1")
        page.keyboard.press("a")
        expect(page.get_by_role("button", name="Approve and run")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("approved")
        expect(page.locator("#part-decision")).to_contain_text("was approved by operator")
    assert record_of(live)["approvals"][0]["decision"] == "approve"


def test_a_plan_is_edited_to_another_unit_with_a_step_more_and_in_another_order(
    browser: Browser, live: LiveServer
) -> None:
    live.do(scenes.waiting(live.services))
    with looking(browser, live) as page:
        page.goto("/incidents/1")
        page.get_by_role("link", name="Edit…").click()
        page.get_by_label("Action to add").select_option("replace")
        page.get_by_role("button", name="Add it").click()
        expect(page.locator("[data-step]")).to_have_count(2)
        page.locator("[name=param_0_unit]").select_option("db")
        page.locator("[name=param_1_unit]").select_option("web")
        page.get_by_role("button", name="Earlier: replace").click()
        page.get_by_label("Comment").fill("the database first")
        page.get_by_role("button", name="Show what would run").click()
        expect(page.locator(".command").first).to_have_text("replace(patience=5, unit=web)")
        page.get_by_role("button", name="Approve and run as edited").click()
        expect(page.get_by_role("status")).to_contain_text("approved as edited")
    approval = record_of(live)["approvals"][0]
    assert (approval["decision"], approval["comment"]) == ("edit", "the database first")
    assert approval["plan_fingerprint"] != approval["asked_fingerprint"]
    answer = live.do(live.services.store.runnable())
    leg = live.do(live.services.store.begin_leg(record_of(live)["id"], answer[0].leg, "w", 15.0))
    assert leg is not None and leg.decision is not None
    steps = leg.decision["decisions"][0]["edited_action"]["args"]["steps"]
    assert [(step["action"], step["params"]["unit"]) for step in steps] == [("replace", "web"), ("restart", "db")]


@pytest.mark.parametrize(("button", "said"), [("Reject and close", "rejected"), ("Reject, plan again", "another plan")])
def test_a_plan_is_rejected_with_a_comment(browser: Browser, live: LiveServer, button: str, said: str) -> None:
    live.do(scenes.waiting(live.services))
    with looking(browser, live) as page:
        page.goto("/incidents/1")
        page.get_by_placeholder("recorded; a rejection's").fill("not during the sale")
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("status")).to_contain_text(said)
        expect(page.locator("#part-decision")).to_contain_text("rejected by operator")
        expect(page.locator("#part-decision")).to_contain_text("not during the sale")


def test_what_nobody_decided_in_time_can_not_be_approved_and_is_told_as_expired(
    browser: Browser, live: LiveServer
) -> None:
    incident_id = live.do(scenes.waiting(live.services, seconds=-1))
    with looking(browser, live) as page:
        page.goto("/incidents/1")
        page.get_by_role("button", name="Approve and run").click()
        expect(page.get_by_role("alert")).to_contain_text("expired at")
        outcome = Outcome(status="escalated", rule="approval_expired", reason="nobody decided in time")
        live.do(scenes.ended(live.services, incident_id, Finished(outcome)))
        expect(page.locator("#part-decision")).to_contain_text("Nobody decided about plan")
        expect(page.locator("h1 + .badge")).to_have_text("escalated")


def test_a_page_tells_what_happens_as_it_happens_and_leaves_alone_what_is_being_typed(
    browser: Browser, live: LiveServer
) -> None:
    incident_id = live.do(scenes.waiting(live.services))
    with looking(browser, live) as page:
        page.goto("/incidents/1")
        page.evaluate("window.sameDocument = true")
        typing = page.get_by_placeholder("recorded; a rejection's")
        typing.fill("half a sentence")
        live.do(scenes.tell(live.services, incident_id, "gate", "bob is looking at this"))
        expect(page.locator(".timeline")).to_contain_text("bob is looking at this")
        expect(typing).to_have_value("half a sentence")
        live.do(live.services.store.take_over(incident_id, "bob", 30, "mine"))
        expect(page.locator("#part-headline")).to_contain_text("bob has it until")
        expect(page.locator("#decide")).to_have_count(0)
        assert page.evaluate("window.sameDocument"), "nothing was loaded anew"


def test_of_two_operators_at_once_one_wins_and_the_other_is_told_who(browser: Browser, live: LiveServer) -> None:
    incident_id = live.do(scenes.waiting(live.services))
    with looking(browser, live, java_script_enabled=False) as late:
        late.goto("/incidents/1")
        live.do(live.services.store.decide(incident_id, "approve", scenes.PLAN.plan_fingerprint, "ada"))
        late.get_by_role("button", name="Reject and close").click()
        expect(late.get_by_role("alert")).to_contain_text("already decided: approve by ada")


def test_without_scripts_everything_can_be_read_and_decided(browser: Browser, live: LiveServer) -> None:
    live.do(scenes.waiting(live.services))
    with looking(browser, live, java_script_enabled=False) as page:
        page.goto("/incidents/1")
        expect(page.locator("body")).to_contain_text("systemctl restart web.service")
        expect(page.locator("body")).to_contain_text("node_exporter answers")
        page.get_by_role("link", name="Edit…").click()
        page.locator("[name=param_0_patience]").fill("9")
        expect(page.locator("[name=order_0]")).to_be_visible()
        page.get_by_role("button", name="Show what would run").click()
        expect(page.locator(".command")).to_have_text("restart(patience=9, unit=web)")
        page.get_by_role("button", name="Approve and run as edited").click()
        expect(page.get_by_role("status")).to_contain_text("approved as edited")


def test_ten_thousand_incidents_are_listed_searched_and_paged(browser: Browser, live: LiveServer) -> None:
    live.do(many(live, 10_000))
    with looking(browser, live) as page:
        page.goto("/incidents")
        expect(page.locator(".incidents li")).to_have_count(50)
        expect(page.locator(".incidents li").first).to_contain_text("#10000")
        page.get_by_role("link", name="Older →").click()
        expect(page.locator(".incidents li").first).to_contain_text("#9950")
        page.keyboard.press("/")
        page.keyboard.type("Alert4711")
        page.keyboard.press("Enter")
        expect(page.locator(".incidents li")).to_have_count(1)
        page.get_by_label("Search").fill("")
        page.get_by_label("State").select_option("escalated")
        page.get_by_role("button", name="Show").click()
        expect(page.locator(".incidents li")).to_have_count(50)
        expect(page.locator(".incidents .badge").first).to_have_text("escalated")


def test_hostile_strings_are_text_and_nothing_they_say_is_run(browser: Browser, live: LiveServer) -> None:
    hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)><a href=javascript:alert(3)>x</a>"
    incident_id = live.do(scenes.waiting(live.services, alertname=hostile))
    live.do(scenes.tell(live.services, incident_id, "plan", hostile + "\N{RIGHT-TO-LEFT OVERRIDE}" + "x" * 3000))
    with looking(browser, live, viewport=PHONE) as page:
        for path in ("/incidents", "/incidents/1", "/incidents/1/edit"):
            page.goto(path)
            expect(page.locator("main")).to_contain_text("<script>alert(1)</script>")
            assert page.locator("main script, main img, main a[href^=javascript]").count() == 0
            assert overflow(page) <= 0
        live.do(scenes.tell(live.services, incident_id, "verify", hostile + " live"))
        page.goto("/incidents/1")
        live.do(scenes.tell(live.services, incident_id, "close", hostile + " later"))
        expect(page.locator(".timeline")).to_contain_text("later")
        assert page.locator("main script, main img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_by_day_and_by_night(browser: Browser, live: LiveServer, scheme: Any) -> None:
    live.do(scenes.mitigated(live.services))
    live.do(scenes.waiting(live.services))
    live.do(live.services.store.pause("ada", "migration", "kind:Instance"))
    with looking(browser, live, viewport=PHONE, color_scheme=scheme) as page:
        paths = ("/incidents", "/incidents/1", "/incidents/2", "/incidents/2/edit", "/fleet", "/policies", "/audit")
        for path in paths:
            page.goto(path)
            assert overflow(page) <= 0, path
        light = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0] > 128")
        assert light is (scheme == "light")
        page.goto("/incidents/2")
        button = page.get_by_role("button", name="Approve and run").bounding_box()
        assert button is not None and button["height"] >= 44, "a thumb's size"


def test_a_citation_leads_to_its_evidence(browser: Browser, live: LiveServer) -> None:
    live.do(scenes.mitigated(live.services))
    with looking(browser, live) as page:
        page.goto("/incidents/1")
        page.locator(".story .cite", has_text="E2").click()
        expect(page.locator("#E2")).to_be_in_viewport()
        page.locator("#E2").get_by_text("How it was asked").click()
        page.get_by_role("link", name="The whole answer").click()
        expect(page.locator("pre.raw")).to_contain_text("exited on signal 9")


def test_enter_in_a_comment_decides_nothing(browser: Browser, live: LiveServer) -> None:
    live.do(scenes.waiting(live.services))
    with looking(browser, live) as page:
        page.goto("/incidents/1")
        page.get_by_placeholder("recorded; a rejection's").press_sequentially("no: the sale is on\n")
        page.goto("/incidents/1/edit")
        page.locator("[name=param_0_patience]").fill("9")
        page.keyboard.press("Enter")
        page.wait_for_url("**/incidents/1/edit")
        expect(page.locator("[name=param_0_patience]")).to_have_value("9")
    assert record_of(live)["phase"] == "waiting_approval"


def test_the_place_in_a_list_and_what_was_unfolded_outlive_news(browser: Browser, live: LiveServer) -> None:
    incident_id = live.do(scenes.mitigated(live.services))
    live.do(scenes.waiting(live.services))
    with looking(browser, live) as page:
        page.goto("/incidents")
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.locator(".incidents").evaluate("list => list.dataset.old = 'yes'")
        expect(page.locator(".incidents:not([data-old])")).to_be_visible(timeout=15_000)
        expect(page.locator("#incident-1")).to_be_focused()
        page.goto("/incidents/1")
        page.locator("#E2-asked > summary").click()
        more = Evidence(id="E4", source="disk", asked="df", observed_at=utc_now(), text="half full")
        known = tuple(Evidence.model_validate(item) for item in record_of(live)["evidence"])
        live.do(scenes.tell(live.services, incident_id, "gather_context", "asked 1 source", evidence=(*known, more)))
        expect(page.locator("#E4")).to_contain_text("half full")
        expect(page.locator("#E2-asked")).to_have_attribute("open", "")


def test_a_page_that_no_longer_follows_says_so(browser: Browser, live: LiveServer) -> None:
    incident_id = live.do(scenes.waiting(live.services))
    with looking(browser, live) as page:
        page.goto("/incidents/1")
        expect(page.locator("#stale")).to_be_hidden()
        live.do(scenes.tell(live.services, incident_id, "gate", "it follows"))
        expect(page.locator(".timeline")).to_contain_text("it follows")
        page.evaluate("htmx.trigger(document.querySelector('[sse-connect]'), 'htmx:sseError')")
        expect(page.locator("#stale")).to_contain_text("Not live", timeout=15_000)
        page.evaluate("htmx.trigger(document.querySelector('[sse-connect]'), 'htmx:sseOpen')")
        expect(page.locator("#stale")).to_be_hidden()


def test_no_link_can_make_a_page_say_that_something_was_done(browser: Browser, live: LiveServer) -> None:
    live.do(scenes.waiting(live.services))
    with looking(browser, live) as page:
        page.goto("/incidents/1?said=healed+and+verified")
        expect(page.locator("#decide")).to_be_visible()
        assert "healed and verified" not in page.content()
        page.get_by_role("button", name="Approve and run").click()
        expect(page.locator(".notice.good")).to_contain_text("approved")
        page.reload()
        expect(page.locator(".notice.good")).to_have_count(0)


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


async def many(live: LiveServer, number: int) -> None:
    """So many incidents, written at once."""
    rows, told = [], []
    for index in range(1, number + 1):
        outcome = {"status": "escalated" if index % 3 else "mitigated", "reason": "it ended", "rule": "verified"}
        rows.append(
            {
                "id": f"{index:036d}",
                "number": index,
                "resource_kind": "Instance",
                "resource_id": f"inst-{index}",
                "phase": "closed",
                "issue_types": ["service_down"],
                "attempts": [],
                "outcome": outcome,
                "received_at": 1.7e9 + index,
                "updated_at": 1.7e9 + index,
            }
        )
        body = {"status": "resolved", "labels": {"alertname": f"Alert{index}"}, "fingerprint": str(index)}
        times = {"first_at": 1.7e9, "last_at": 1.7e9, "news_at": 1.7e9}
        told.append(
            {"incident_id": f"{index:036d}", "fingerprint": str(index), "status": "resolved", "body": body, **times}
        )
    await live.services.store._db.write(lambda c: (c.execute(insert(incidents), rows), c.execute(insert(alerts), told)))

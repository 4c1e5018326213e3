"""The report in a real browser: from a file, without a network or JavaScript, on a phone, by keyboard, in the dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from evals.gate import baseline_of
from evals.report.html import render_html
from evals.report.page import page_of
from tests.evals.evaluated import case, evaluation, piece, run

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
PHONE = {"width": 375, "height": 740}
SCRIPT = (
    "</pre><script>document.title = 'taken'</script><img src='http://192.0.2.1/x' onerror=\"document.title='taken'\">"
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Inside a container nobody but us runs here, and root's Chromium starts in no sandbox.
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cases that passed, regressed and asked what was not recorded, with hostile evidence and long names."""
    causes = [f"a_cause_of_a_long_name_{number}" for number in range(14)]
    cases = [
        case(f"calm-{number:02}", run(True, cause), accepted_causes=(cause,)) for number, cause in enumerate(causes)
    ]
    before = evaluation(*cases, case("amber-fox"))
    failed = run(False, "crashed", summary=SCRIPT, evidence=(piece(text=SCRIPT + "x" * 400, required=True),))
    missed = run(number=2, not_recorded=('journal {"unit":"db"}',))
    now = evaluation(*cases, case("amber-fox", failed, missed), reasoner="llm:a-model-with-a-name-that-does-not-end")
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_html(page_of(now, baseline_of(before.results))))
    return path


@contextmanager
def looking(browser: Browser, report: Path, **context: Any) -> Iterator[Page]:
    """The page. Fails where the browser complains of anything, or anything but the file itself was asked for."""
    opened = browser.new_context(**context)
    page = opened.new_page()
    page.set_default_timeout(15_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if request.url != report.as_uri() else None)
    page.goto(report.as_uri())
    yield page
    opened.close()
    assert [each for each in complaints if not each.startswith("data:")] == []


def test_a_case_is_unfolded_by_keyboard_and_shows_hostile_evidence_as_text(browser: Browser, report: Path) -> None:
    with looking(browser, report) as page:
        page.locator(".case > summary").first.focus()
        page.keyboard.press("Enter")
        shown = page.locator(".case").first
        run_summary = shown.locator(".run > summary").first
        run_summary.focus()
        page.keyboard.press("Enter")
        expect(shown.locator(".evidence pre").first).to_contain_text("<script>document.title")
        expect(shown.get_by_text("required, not cited").first).to_be_visible()
        assert page.title().startswith("Self-Heal evals")


def test_without_javascript_a_link_of_the_diff_unfolds_its_case_and_cases_are_filtered(
    browser: Browser, report: Path
) -> None:
    with looking(browser, report, java_script_enabled=False) as page:
        page.locator("#baseline").get_by_role("link", name="amber-fox").click()
        expect(page.locator(".case").first.get_by_text("Accepted causes")).to_be_visible()
        expect(page.locator(".case:visible")).to_have_count(15)
        page.get_by_label("failed").check()
        expect(page.locator(".case:visible")).to_have_count(1)
        page.get_by_label("with calls not recorded").check()
        expect(page.locator(".case:visible .id")).to_have_text("amber-fox")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read(browser: Browser, report: Path, scheme: str) -> None:
    with looking(browser, report, viewport=PHONE, color_scheme=scheme) as page:
        for summary in page.locator("summary").all()[:2]:
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert page.locator(".plot").first.bounding_box()["width"] > 250  # type: ignore[index]
        assert contrast(page, "body") >= 7
        for selector in (
            ".badge.bad",
            ".badge.good",
            "td.bad",
            ".notice",
            ".matrix td.good",
            "dt",
            ".case > summary .dim",
        ):
            assert contrast(page, selector) >= 4.5, selector


def test_a_matrix_scrolls_by_keyboard_with_its_names_in_sight(browser: Browser, report: Path) -> None:
    with looking(browser, report, viewport=PHONE) as page:
        matrix = page.locator(".matrix").first
        matrix.focus()
        expect(matrix).to_be_focused()
        before = page.locator(".matrix tbody th").first.bounding_box()
        matrix.evaluate("it => it.scrollLeft = 200")
        assert page.locator(".matrix tbody th").first.bounding_box() == before


def contrast(page: Page, selector: str) -> float:
    """Of the text against what is behind it, as WCAG counts it."""
    found: float = page.locator(selector).first.evaluate(
        """it => {
            const parse = text => text.match(/[\\d.]+/g).map(Number);
            const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
                .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
                .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
            let behind = it;
            while (parse(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
            const [a, b] = [getComputedStyle(it).color, getComputedStyle(behind).backgroundColor].map(parse).map(light);
            return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        }"""
    )
    return found

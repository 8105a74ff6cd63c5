"""One's own settings in Chromium: by keyboard and without scripts, and accessible on every page (D-174)."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from ..installation import Installation, LiveSite, link_in

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def check(page: Page) -> None:
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}
    assert Axe().run(page, options=rules).generate_report().startswith("Found 0"), page.url
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("code", ["en", "fr"])
def test_every_page_is_accessible(browser: Browser, here: Installation, code: str, scheme: str) -> None:
    here.run("topic", "add", "policy", "--name", "en=Policy", "--name", "fr=Politique")
    here.subscribed("ada@example.org", language=code)
    here.run("digest", "send", here.draft(), "--yes")
    leave = link_in(here.letters("ada@example.org")[0], "unsubscribe")
    here.sign_up("new@example.org", language=code)
    manage = here.manage_link("ada@example.org")
    asked = here.letters("new@example.org")[0]
    settings = [
        manage.replace("?", f"/{name}?") for name in ("language", "frequency", "topics", "pause", "address", "erase")
    ]
    read = [manage, *settings, f"/manage?lang={code}", link_in(asked, "not-me"), link_in(asked, "confirm"), leave]
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_viewport_size({"width": 320, "height": 640})
    with LiveSite(here.app) as site:
        for path in read:
            page.goto(site.url + path)
            check(page)
        for path, field in (
            (settings[3], "#paused_until"),
            (settings[4], "#email"),
            (f"/manage?lang={code}", "#email"),
        ):
            page.goto(site.url + path)
            page.locator(field).fill("2020-01-01" if field == "#paused_until" else "nobody")
            page.locator("main form button").click()
            expect(page.locator(f"{field}-error")).to_be_visible()
            check(page)
        page.goto(site.url + leave)
        page.locator("main button").click()
        check(page)
        page.locator("input[name=reason]").first.check()
        page.locator("main form button").last.click()
        check(page)
        page.locator("button[name=undo]").click()
        check(page)
    context.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_choice_is_changed_by_keyboard_alone(browser: Browser, here: Installation, *, scripts: bool) -> None:
    here.subscribed("ada@example.org")
    manage = here.manage_link("ada@example.org")
    context = browser.new_context(java_script_enabled=scripts)
    page = context.new_page()
    with LiveSite(here.app) as site:
        page.goto(site.url + manage)
        press_tab_until(page, "Change How often")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("How often do you want mail?")
        press_tab_until(page, "Every week")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text("Your change is saved.")
        expect(page.locator("dl.summary")).to_contain_text("Every month")
    context.close()
    assert here.json("subscriber", "show", "ada@example.org")["frequency"] == "monthly"


def words(text: str) -> str:
    """On one line: what is there for ears only stands on a line of its own."""
    return " ".join(text.split())


def press_tab_until(page: Page, name: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() and name in words(focused.inner_text() or focused.locator("xpath=..").inner_text()):
            return
    raise AssertionError(f"{name} is not reached by the keyboard")

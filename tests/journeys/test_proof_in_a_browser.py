"""The page that asks for proof, in Chromium: by itself, by keyboard, without scripts; nothing comes from elsewhere."""

from collections.abc import Iterator
from itertools import cycle

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from mailer.config import Config
from mailer.languages import translations

from ..installation import Installation, LiveSite

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}


@pytest.fixture
def site(here: Installation) -> Iterator[str]:
    """A site that asks everybody: its public address is elsewhere, and one sign-up an hour is free."""
    here.configure(TRUSTED_PROXIES=1, LIMIT_CLIENT="1/1h", LIMIT_FACTOR=1000, ATTACK_RATIO=0)
    here.site.post("/subscribe", data={"email": "first@example.org"}, headers={"X-Forwarded-For": "198.51.100.7"})
    with LiveSite(here.app) as live:
        yield live.url


def asked(browser: Browser, url: str, code: str = "en", **options: object) -> Page:
    """The page that asks, after the form was sent, with all that it loads; without motion: a colour on its way has no
    contrast to measure."""
    elsewhere = {"X-Forwarded-For": "198.51.100.7"}
    context = browser.new_context(**{"extra_http_headers": elsewhere, "reduced_motion": "reduce", **options})  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{url}/?lang={code}")
    page.locator("#email").fill("ada@example.org")
    page.locator("form button").click()
    page.wait_for_url("**/subscribe*")
    page.wait_for_load_state()
    return page


def test_the_work_is_done_by_itself_and_nothing_comes_from_elsewhere(browser: Browser, site: str) -> None:
    """D-123, D-151: no message of the policy in the console, no request to another host."""
    page = asked(browser, site)
    said: list[str] = []
    hosts: set[str] = set()
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.reload()  # sends the form again, so that all of the page is seen
    expect(page.locator("altcha-widget input[type=checkbox]")).to_be_checked(timeout=15_000)
    expect(page.locator("#wait")).to_be_hidden()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")
    assert hosts == {site.split("/")[2]}
    assert [line for line in said if "ontent" in line and "olicy" in line] == []
    page.context.close()


def test_by_keyboard_alone(browser: Browser, site: str) -> None:
    page = asked(browser, site)
    expect(page.locator("altcha-widget input[type=checkbox]")).to_be_checked(timeout=15_000)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Continue":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")
    page.context.close()


def test_without_scripts_the_page_says_how_long_to_wait(browser: Browser, site: str) -> None:
    page = asked(browser, site, java_script_enabled=False)
    expect(page.locator("#wait")).to_contain_text("please wait")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("One more step")
    page.context.close()


@pytest.mark.parametrize(("code", "scheme"), list(zip(Config.languages, cycle(["light", "dark"]), strict=False)))
def test_it_is_accessible_and_speaks_the_persons_language(browser: Browser, site: str, code: str, scheme: str) -> None:
    """D-174: axe finds nothing, while it works and when it is done."""
    page = asked(browser, site, code, color_scheme=scheme, bypass_csp=True, viewport={"width": 320, "height": 640})
    label = translations(code).gettext("Done")
    for _ in range(2):
        assert Axe().run(page, options=RULES).generate_report().startswith("Found 0")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        expect(page.locator("altcha-widget label")).to_contain_text(label, timeout=15_000)
    page.context.close()

"""The whole way in Chromium, with JavaScript and without: form, mailbox, confirm, digest, unsubscribe."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from ..conftest import need
from ..servers.browser import ADVICE, chromium, find_chromium
from ..servers.ports import free_port


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    need("browser", path, ADVICE)
    assert path
    with chromium(path) as opened:
        yield opened


class Demo:
    """`mailer demo` in a process of its own, as in the README."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "mailer", "demo", "--port", str(port)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout
        self.told: list[str] = []
        while not self.told or "digest compose" not in self.told[-1]:
            line = self.process.stdout.readline()
            assert line, "".join(self.told)
            self.told.append(line)

    @property
    def settings(self) -> str:
        return next(line for line in self.told if "MAILER_CONFIG=" in line).split("=")[1].strip()

    def mailer(self, *arguments: str) -> str:
        """A command in a second terminal, as the demo's own text says."""
        environment = {**os.environ, "MAILER_CONFIG": self.settings}
        command = [sys.executable, "-m", "mailer", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def close(self) -> int:
        self.process.terminate()
        code = self.process.wait(20)
        assert self.process.stdout
        self.process.stdout.close()
        return code


@pytest.fixture
def demo() -> Iterator[Demo]:
    running = Demo(free_port())
    yield running
    running.close()
    assert not Path(running.settings).exists(), "the demo leaves nothing behind"


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_the_whole_way(browser: Browser, demo: Demo, *, scripts: bool) -> None:
    context = browser.new_context(java_script_enabled=scripts)
    page = context.new_page()
    sign_up(page, demo.url)
    follow_in_mail(page, demo.url, "Confirm my subscription")
    newest(page).get_by_role("button", name="Confirm my subscription").click()
    expect(newest(page).get_by_role("heading", level=1)).to_have_text("You are subscribed")
    demo.mailer("digest", "send", "1", "--yes")
    follow_in_mail(page, demo.url, "Unsubscribe")
    newest(page).get_by_role("button", name="Unsubscribe").click()
    expect(newest(page).get_by_role("heading", level=1)).to_have_text("You have left the list")
    assert '"confirmed": 0' in demo.mailer("stats", "--json")
    context.close()


def sign_up(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_label("Your e-mail address").fill("ada@example.org")
    page.get_by_role("button", name="Subscribe").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")


def follow_in_mail(page: Page, url: str, link: str) -> None:
    """Open the newest mail in the demo's mailbox and click a link in it; it opens beside the mailbox."""
    for _ in range(100):
        page.goto(f"{url}/demo/mailbox")
        if page.locator(".mails a").count() and link_is_in(page, link):
            break
        page.wait_for_timeout(100)
    with page.context.expect_page():  # by keyboard: a click may be lost while the frame is still scrolling into view
        page.frame_locator("iframe").get_by_role("link", name=link, exact=True).press("Enter")


def link_is_in(page: Page, link: str) -> bool:
    page.locator(".mails a").first.click()
    page.frame_locator("iframe").locator("h1").wait_for()
    return page.frame_locator("iframe").get_by_role("link", name=link, exact=True).count() == 1


def newest(page: Page) -> Page:
    return page.context.pages[-1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("code", ["en", "fr"])
def test_pages_and_letters_are_accessible(browser: Browser, demo: Demo, code: str, scheme: str) -> None:
    demo.mailer("subscriber", "add", "ada@example.org", "--language", code)
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_viewport_size({"width": 320, "height": 640})
    follow = ["/", "/archive", "/privacy", "/nowhere", "/demo/mailbox"]
    for path in follow:
        page.goto(f"{demo.url}{path}?lang={code}")
        check_page(page)
    page.goto(f"{demo.url}/?lang={code}")
    page.get_by_role("button").click()
    expect(page.locator("#email-error")).to_be_visible()
    check_page(page)
    context.close()


def check_page(page: Page) -> None:
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}
    assert Axe().run(page, options=rules).generate_report().startswith("Found 0"), page.url
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 320, f"{page.url} is {width} px wide"


def test_the_form_works_by_keyboard_alone(browser: Browser, demo: Demo) -> None:
    page = browser.new_page()
    page.goto(demo.url)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "email":
            break
    page.keyboard.type("ada@example.org")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")
    page.close()


def test_an_error_stands_beside_the_field_with_what_was_typed(browser: Browser, demo: Demo) -> None:
    page = browser.new_page()
    page.goto(demo.url)
    page.get_by_label("Your e-mail address").fill("ada at example")
    page.get_by_role("button", name="Subscribe").click()
    expect(page.locator("#email-error")).to_be_visible()
    expect(page.get_by_label("Your e-mail address")).to_have_value("ada at example")
    expect(page.get_by_role("alert")).to_be_focused()
    page.get_by_role("alert").get_by_role("link").press("Enter")
    expect(page.get_by_label("Your e-mail address")).to_be_focused()
    page.close()


def test_a_digest_fits_a_narrow_screen(browser: Browser, demo: Demo, tmp_path: Path) -> None:
    demo.mailer("digest", "preview", "1", "--html", str(tmp_path / "digest.html"))
    page = browser.new_page(viewport={"width": 320, "height": 640})
    page.goto((tmp_path / "digest.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert float(page.evaluate("parseFloat(getComputedStyle(document.querySelector('p:not([class])')).fontSize)")) >= 16
    page.close()

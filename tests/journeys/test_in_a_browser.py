"""The demo in Chromium, with JavaScript and without: form, mailbox, confirm, digest, unsubscribe."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from ..servers.ports import free_port


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


def test_a_digest_fits_a_narrow_screen(browser: Browser, demo: Demo, tmp_path: Path) -> None:
    demo.mailer("digest", "preview", "1", "--html", str(tmp_path / "digest.html"))
    page = browser.new_page(viewport={"width": 320, "height": 640})
    page.goto((tmp_path / "digest.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert float(page.evaluate("parseFloat(getComputedStyle(document.querySelector('p:not([class])')).fontSize)")) >= 16
    page.close()

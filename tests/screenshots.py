"""`make screenshots`: the pictures in the README, taken of the demo as it is.

    python -m tests.screenshots FOLDER [--all]

With --all, every page and letter at 320, 768 and 1280 px, light and dark, in each language: to be looked at.
"""

import contextlib
import itertools
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page

from mailer.cli.serve import serving
from mailer.config import Config
from mailer.demo.catcher import free_port
from mailer.demo.instance import instance
from mailer.demo.story import Story

from .conftest import migrate
from .installation import Installation, LiveSite
from .servers.browser import ADVICE, chromium, find_chromium
from .servers.smtp import SmtpServer
from .tour import letters, scenes
from .visitor import visit

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
WIDTHS = (320, 768, 1280)


@contextmanager
def played_demo() -> Iterator[Story]:
    """A demo whose story has been played, so that its mailbox is full."""
    port = free_port()
    with instance(port) as demo, serving(demo.app, "127.0.0.1", port, sender=True) as server:
        threading.Thread(target=server.run, daemon=True).start()
        story = Story(demo, f"http://127.0.0.1:{port}", lambda _line: None)
        story.play()
        yield story


def shoot(browser: Browser, url: str, path: Path, width: int, height: int, scheme: Scheme = "light") -> None:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(url)
    page.evaluate("document.querySelector('.demo')?.remove()")
    page.screenshot(path=path)
    page.close()


def for_readme(browser: Browser, folder: Path) -> None:
    with played_demo() as story:
        url, mails = story.base_url, story.instance.catcher.mails
        digest = next(mail for mail in mails if mail.message["List-Id"])
        story.post("/manage", email="ada@example.org")
        story.arrives("ada@example.org")
        settings = story.link(story.letters("ada@example.org")[-1], "manage")
        shoot(browser, f"{url}/?lang=en", folder / "form.png", 760, 640)
        shoot(browser, f"{url}/?lang=ar", folder / "form-arabic-dark.png", 360, 640, "dark")
        shoot(browser, f"{url}/demo/mailbox/{digest.number}/html", folder / "digest.png", 680, 640)
        shoot(browser, settings, folder / "settings.png", 360, 640)


def everything(browser: Browser, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as name, SmtpServer() as server, contextlib.chdir(name):
        url = f"sqlite:///{name}/mailer.db"
        migrate(url)
        here = Installation(Path(name), url, server)
        # Letters bring their own style, which a page's policy would forbid.
        page = browser.new_page(bypass_csp=True, reduced_motion="reduce")
        tour = scenes(here)
        with LiveSite(here.app) as site:
            for scene in tour:
                for code, target in looks(page):
                    visit(page, site.url, scene, code)
                    shot = folder / f"{scene.name.replace(',', '').replace(' ', '-')}-{target}"
                    page.screenshot(path=shot, full_page=True)
        mails = letters(here, Config.languages)
        for code, target in looks(page):
            for number, mail in enumerate(each for each in mails if each.message["Content-Language"] == code):
                page.set_content(mail.part("html"))
                page.screenshot(path=folder / f"letter-{number}-{target}", full_page=True)
        here.close()


def looks(page: Page) -> Iterator[tuple[str, str]]:
    """(language, end of a file's name), while the page has each width and scheme in turn."""
    for width, scheme in itertools.product(WIDTHS, SCHEMES):
        page.set_viewport_size({"width": width, "height": 640})
        page.emulate_media(color_scheme=scheme)
        yield from ((code, f"{code}-{width}-{scheme}.png") for code in Config.languages)


def main(folder: Path, *, wants_all: bool) -> None:
    path = find_chromium()
    if path is None:
        sys.exit(ADVICE)
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with chromium(path) as browser:
        (everything if wants_all else for_readme)(browser, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), wants_all="--all" in sys.argv)

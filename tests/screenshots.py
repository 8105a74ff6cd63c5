"""`make screenshots`: the pictures in the README, taken of the demo as it is.

    python -m tests.screenshots FOLDER [--all | --only LETTER [LANGUAGE…]]

With --all, every page and letter at 320, 768 and 1280 px, light and dark, in each language: to be looked at.
With --only, one letter (`confirmation`, or `digest-14` for one of 14 announcements) at 320, 600 and 1200 px, light and
dark, with and without its images, and its text.
"""

import argparse
import contextlib
import itertools
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from email import message_from_bytes
from functools import partial
from html import escape
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, Route

from mailer.cli.serve import serving
from mailer.config import Config
from mailer.demo.catcher import free_port
from mailer.demo.instance import Instance, instance
from mailer.demo.story import Story
from mailer.digests import compose, editions
from mailer.due import at_work

from .conftest import migrate
from .installation import Installation, LiveSite
from .letters import OPERATOR, letter
from .servers.browser import ADVICE, chromium, find_chromium
from .servers.smtp import SmtpServer
from .tour import letters, scenes
from .visitor import visit

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
WIDTHS = (320, 768, 1280)
LETTER_WIDTHS = (320, 600, 1200)
PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" width="1072" height="480">
<rect width="100%" height="100%" fill="#cfe0ef"/><circle cx="536" cy="240" r="150" fill="#0b4f8a"/></svg>"""


@contextmanager
def played_demo() -> Iterator[Story]:
    """A demo whose story has been played, so that its mailbox is full."""
    port = free_port()
    with instance(port) as demo, serving(demo.app, "127.0.0.1", port, at_work(demo.app)) as server:
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
        shoot_languages(browser, story.instance, folder / "digest-languages.png")


def shoot_languages(browser: Browser, demo: Instance, path: Path) -> None:
    """The demo's digest in all of its languages, side by side."""
    frame = '<iframe style="width:340px;height:360px;border:0" srcdoc="{}"></iframe>'
    with demo.app.app_context():
        digest = compose.find(demo.digest_id)
        rendered = [editions.render_edition(digest, code) for code in editions.languages()]
        copies = [message_from_bytes(editions.copy_for(each, editions.sample(digest, each))) for each in rendered]
    page = browser.new_page(viewport={"width": 1044, "height": 732})
    parts = [part for copy in copies for part in copy.walk() if part.get_content_type() == "text/html"]
    frames = [frame.format(escape(part.get_payload(decode=True).decode())) for part in parts]
    grid = "display:grid;grid-template-columns:repeat(3,340px);gap:12px;margin:0"
    page.set_content(f'<body style="{grid}">{"".join(frames)}</body>', wait_until="load")
    page.screenshot(path=path)
    page.close()


@contextmanager
def installation() -> Iterator[Installation]:
    with tempfile.TemporaryDirectory() as name, SmtpServer() as server, contextlib.chdir(name):
        url = f"sqlite:///{name}/mailer.db"
        migrate(url)
        here = Installation(Path(name), url, server)
        yield here
        here.close()


def everything(browser: Browser, folder: Path) -> None:
    with installation() as here:
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


def one(name: str, codes: Sequence[str], browser: Browser, folder: Path) -> None:
    with installation() as here:
        here.configure(**OPERATOR)
        mails = {code: letter(here, name, code) for code in codes}
    for images in (True, False):
        page = browser.new_page()
        page.route("**/*", partial(picture, on=images))
        for code, target in looks(page, LETTER_WIDTHS):
            if code in codes:
                (folder / f"{name}-{code}.txt").write_text(mails[code].part("plain"), encoding="utf-8")
                page.set_content(mails[code].part("html"))
                page.screenshot(path=folder / f"{name}-{'' if images else 'bare-'}{target}", full_page=True)
        page.close()


def picture(route: Route, *, on: bool) -> None:
    if on:
        route.fulfill(body=PICTURE, content_type="image/svg+xml")
    else:
        route.abort()


def looks(page: Page, widths: Sequence[int] = WIDTHS) -> Iterator[tuple[str, str]]:
    """(language, end of a file's name), while the page has each width and scheme in turn."""
    for width, scheme in itertools.product(widths, SCHEMES):
        page.set_viewport_size({"width": width, "height": 640})
        page.emulate_media(color_scheme=scheme)
        yield from ((code, f"{code}-{width}-{scheme}.png") for code in Config.languages)


def main(folder: Path, take: Callable[[Browser, Path], None]) -> None:
    path = find_chromium()
    if path is None:
        sys.exit(ADVICE)
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with chromium(path) as browser:
        take(browser, folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", nargs="+", metavar=("LETTER", "LANGUAGE"))
    given = parser.parse_args()
    if given.only:
        name, *codes = given.only
        main(given.folder, partial(one, name, codes or Config.languages))
    else:
        main(given.folder, everything if given.all else for_readme)

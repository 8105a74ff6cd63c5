"""`make screenshots`: the pictures in the README, taken of the demo as it is.

    python -m tests.screenshots FOLDER [--all]

With --all, every page and letter at 320, 768 and 1280 px, light and dark, in each language: to be looked at.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser

from mailer.cli.serve import serving
from mailer.demo.catcher import free_port
from mailer.demo.instance import Instance, instance
from mailer.demo.story import Story
from mailer.languages import offered

from .servers.browser import ADVICE, chromium, find_chromium

WIDTHS = (320, 768, 1280)
PAGES = ("/", "/archive", "/privacy", "/demo/mailbox", "/nowhere")


@contextmanager
def played_demo() -> Iterator[tuple[Instance, str]]:
    """A demo whose story has been played, so that its mailbox is full."""
    port = free_port()
    with instance(port) as demo, serving(demo.app, "127.0.0.1", port, sender=True) as server:
        threading.Thread(target=server.run, daemon=True).start()
        Story(demo, f"http://127.0.0.1:{port}", lambda _line: None).play()
        yield demo, f"http://127.0.0.1:{port}"


def shoot(browser: Browser, url: str, path: Path, width: int, scheme: str = "light", height: int = 800) -> None:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(url)
    page.screenshot(path=path, full_page=path.name.startswith("all-"))
    page.close()


def for_readme(browser: Browser, base_url: str, digest: int, folder: Path) -> None:
    shoot(browser, f"{base_url}/?lang=en", folder / "form.png", 760, height=720)
    shoot(browser, f"{base_url}/demo/mailbox/{digest}/html", folder / "digest.png", 760, height=900)


def everything(browser: Browser, base_url: str, letters: dict[str, int], folder: Path, demo: Instance) -> None:
    pages = {name.strip("/").replace("/", "-") or "form": name for name in PAGES}
    pages |= {f"letter-{name}": f"/demo/mailbox/{number}/html" for name, number in letters.items()}
    pages |= extra(demo, letters)
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            for code in offered(demo.app.extensions["mailer.config"].languages):
                for name, path in pages.items():
                    target = folder / f"all-{name}-{code}-{width}-{scheme}.png"
                    shoot(browser, f"{base_url}{path}{'&' if '?' in path else '?'}lang={code}", target, width, scheme)


def extra(demo: Instance, letters: dict[str, int]) -> dict[str, str]:
    """Pages that only a letter's link leads to."""
    mail = demo.catcher.find(letters["confirmation-waiting"])
    assert mail
    confirm = next(line for line in mail.part("plain").splitlines() if "/confirm/" in line)
    return {"confirm": "/confirm/" + confirm.split("/confirm/")[1].split("?")[0]}


def main(folder: Path, *, wants_all: bool) -> None:
    path = find_chromium()
    if path is None:
        sys.exit(ADVICE)
    folder.mkdir(parents=True, exist_ok=True)
    with played_demo() as (demo, base_url), chromium(path) as browser:
        digest = next(mail for mail in demo.catcher.mails if mail.message["List-Id"])
        for_readme(browser, base_url, digest.number, folder)
        if wants_all:
            french = next(m for m in demo.catcher.mails if m.message["List-Id"] and "benoit" in m.recipient)
            waiting = next(m for m in demo.catcher.mails if "chen" in m.recipient)
            letters = {"digest": digest.number, "digest-fr": french.number, "confirmation-waiting": waiting.number}
            everything(browser, base_url, letters, folder, demo)


if __name__ == "__main__":
    main(Path(sys.argv[1]), wants_all="--all" in sys.argv)

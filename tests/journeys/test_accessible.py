"""Every page and letter for everybody: WCAG 2.2 AA in six languages, light and dark (D-174, D-175)."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from mailer.config import Config

from ..installation import Installation, LiveSite
from ..letters import digest
from ..tour import letters, scenes
from ..visitor import visit

STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
AXE = Axe().axe_script
RUN = """options => axe.run(document, options).then(({violations}) =>
  violations.map(({id, nodes}) => `${id} at ${nodes.map(node => node.target).join(', ')}`))"""

# The pages are the same on each database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@contextmanager
def tab(browser: Browser) -> Iterator[Page]:
    """Without motion: a colour on its way from light to dark has no contrast to measure."""
    context = browser.new_context(bypass_csp=True, reduced_motion="reduce")
    context.add_init_script(AXE)
    yield context.new_page()
    context.close()


def faults(page: Page, where: str, tags: list[str]) -> Iterator[str]:
    """What axe finds; in the dark only colours differ."""
    for scheme, wanted in (("light", tags), ("dark", ["cat.color"])):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        options = {"runOnly": wanted, "resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
        yield from (f"{where}, {scheme}: {fault}" for fault in page.evaluate(RUN, options))


def too_wide(page: Page, where: str) -> Iterator[str]:
    """1.4.10 and 1.4.4: nothing to scroll sideways on a narrow screen, nor with letters twice as large."""
    for width, size in ((640, "200%"), (320, "100%")):
        page.set_viewport_size({"width": width, "height": 640})
        page.evaluate("size => document.documentElement.style.fontSize = size", size)
        if (needed := page.evaluate("document.documentElement.scrollWidth")) > width:
            yield f"{where}: {needed} px for {width} px with letters at {size}"


@pytest.mark.parametrize("code", Config.languages)
def test_every_page_is_accessible(here: Installation, browser: Browser, code: str) -> None:
    tour, found, titles = scenes(here), list[str](), dict[str, str]()
    with LiveSite(here.app) as site, tab(browser) as page:
        for scene in tour:
            visit(page, site.url, scene, code)
            titles[scene.name] = page.title()
            found += [*too_wide(page, scene.name), *faults(page, scene.name, [*STANDARD, "best-practice"])]
            direction = page.evaluate("[document.documentElement.lang, getComputedStyle(document.body).direction]")
            assert direction == [code, "rtl" if code == "ar" else "ltr"]
    assert found == []
    assert all(title.endswith(" – Frontier Technologies") for title in titles.values())
    assert titles["form"] != titles["form with an error"] == titles["form left empty"]


@pytest.mark.parametrize("code", Config.languages)
def test_every_letter_is_accessible(here: Installation, browser: Browser, code: str) -> None:
    found: list[str] = []
    with tab(browser) as page:
        for mail in [*letters(here, [code]), *digest(here, 5, [code]).values()]:
            page.set_content(mail.part("html"))
            found += [*too_wide(page, mail.subject), *faults(page, mail.subject, STANDARD)]
    assert found == []

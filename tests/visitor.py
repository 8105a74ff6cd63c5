"""Somebody with a browser: by mouse, without JavaScript, or with a keyboard only; in any of our languages."""

from datetime import date
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import Browser, Locator, Page, Route, expect

from mailer.languages import translations

from .tour import Scene

FARTHEST = 60  # steps of the Tab key
# What the focus is on, whether that can be seen, and whether anything lies over it (2.4.7, 2.4.11).
FOCUS = """() => {
  const at = document.activeElement, box = at.getBoundingClientRect(), style = getComputedStyle(at);
  const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  return {element: at.outerHTML,
          outlined: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
          uncovered: at === top || at.contains(top) || (top !== null && top.contains(at))};
}"""

# Whether the Tab key has led to it; to a group of radio buttons it leads as to one.
REACHED = """element => element === document.activeElement ||
  element.type === 'radio' && element.name === document.activeElement.name"""


class Visitor:
    """One person's browser, which asks for pages in the person's language. Texts are named in English."""

    def __init__(self, browser: Browser, site: str, code: str, *, scripts: bool = True, keyboard: bool = False) -> None:
        self.site, self.code, self.keyboard = site, code, keyboard
        self.context = browser.new_context(locale=code, java_script_enabled=scripts)
        self.page: Page = self.context.new_page()

    def close(self) -> None:
        self.context.close()

    def said(self, text: str, **values: str) -> str:
        """A text as it stands on the person's pages."""
        found: str = translations(self.code).gettext(text)
        return found % values if values else found

    def open(self, address: str) -> None:
        """A page by its path, or by a whole address that stood in a mail."""
        parts = urlsplit(address)
        self.page.goto(f"{self.site}{parts.path}{'?' + parts.query if parts.query else ''}")

    def write(self, label: str, text: str) -> None:
        field = self.page.get_by_label(self.said(label), exact=True)
        if self.keyboard:
            self.reach(field)
            self.page.keyboard.press("Control+A")
            self.page.keyboard.type(text)
        else:
            field.fill(text)

    def write_new_year(self, label: str, day: date) -> None:
        """By keyboard only that day: its figures are the same where the day stands first and where the month does."""
        field = self.page.get_by_label(self.said(label), exact=True)
        if self.keyboard:
            self.reach(field)
            self.page.keyboard.type(f"0101{day.year}")
        else:
            field.fill(day.isoformat())

    def choose(self, label: str) -> None:
        """Tick a box, or take one of several."""
        field = self.page.get_by_label(self.said(label), exact=True)
        if not self.keyboard:
            field.check()
            return
        self.reach(field)
        key = "Space" if field.get_attribute("type") == "checkbox" else "ArrowDown"
        while not field.is_checked():
            self.page.keyboard.press(key)

    def press(self, name: str) -> None:
        self.use(self.page.get_by_role("button", name=self.said(name), exact=True))

    def follow(self, *words: str) -> None:
        """A link; what it stands for may be said to screen readers only."""
        name = " ".join(map(self.said, words))
        self.use(self.page.get_by_role("link", name=name, exact=True))

    def use(self, what: Locator) -> None:
        if self.keyboard:
            self.reach(what)
            self.page.keyboard.press("Enter")
        else:
            what.click()

    def reach(self, what: Locator) -> None:
        """Step on with Tab until the focus is on `what`; at each step it must be seen where that is."""
        self.page.wait_for_load_state()  # the sheet, too, which says how the focus looks
        for _ in range(FARTHEST):
            self.page.keyboard.press("Tab")
            state = self.page.evaluate(FOCUS)
            assert state["outlined"], state
            assert state["uncovered"], state
            if what.evaluate(REACHED):
                return
        raise AssertionError(f"the Tab key does not lead to {what}")

    def sees(self, heading: str, **values: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(self.said(heading, **values))
        expect(self.page.locator("html")).to_have_attribute("lang", self.code)

    def reads(self, text: str, **values: str) -> None:
        expect(self.page.get_by_text(self.said(text, **values), exact=True)).to_be_visible()


def visit(page: Page, site: str, scene: Scene, code: str) -> None:
    """Open a page of the tour, or post its form as the page before it would have."""
    url = f"{site}{scene.path}?lang={code}"
    if scene.form is not None:
        page.route(url, lambda route: post(route, scene), times=1)
    answer = page.goto(url)
    assert answer
    assert answer.status == scene.status, scene


def post(route: Route, scene: Scene) -> None:
    headers = {**route.request.headers, **scene.headers, "content-type": "application/x-www-form-urlencoded"}
    route.continue_(method="POST", post_data=urlencode(scene.form or {}), headers=headers)

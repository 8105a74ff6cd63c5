"""Words that want to be code, in everything an operator or another site can write: wherever they are read, they stay
words. In a real browser that runs scripts; letters are opened as mail programs do that forbid nothing."""

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Browser, Route

from mailer.app import create_app
from mailer.config import Config
from mailer.db import now
from mailer.demo.catcher import Catcher, Caught
from mailer.demo.mailbox import VIEWS, mailbox

from ..installation import Installation, LiveSite
from ..payloads import ADDRESSES, CANARY, CONTROLS, LINKS, MARKDOWN, MARKUP, PICTURES, numbered

LETTERS = "http://letters.example"  # where the browser finds what we have to show it
IN_FULL = 12  # announcements in a letter
ATOM = "{http://www.w3.org/2005/Atom}"
# What would be code, whether it ran or not: elements, handlers, addresses. Sheets are ours, in the head.
SUSPECT = """() => [...document.querySelectorAll('*')].flatMap(each => {
  const found = [], name = each.localName;
  if (['script', 'object', 'embed', 'applet', 'svg', 'math', 'template', 'noscript', 'xmp'].includes(name) ||
      ['style', 'link', 'title', 'meta'].includes(name) && !each.closest('head') ||
      name === 'iframe' && !each.src.startsWith(location.origin + '/demo/mailbox/') ||
      name === 'base' && each.hasAttribute('href') || each.httpEquiv)
    found.push(each.outerHTML);
  for (const {name, value} of each.attributes) {
    if (/^on|^srcdoc$/.test(name) || name === 'style' && /url|expression|import/i.test(value))
      found.push(`${name}=${value}`);
    if (/^(href|src|action|formaction|data|poster|background|ping|cite|xlink:href|srcset|manifest)$/.test(name) &&
        !['http:', 'https:', 'mailto:'].includes(new URL(value, document.baseURI).protocol))
      found.push(`${name}=${value}`);
  }
  return found;
})"""


class Watched:
    """A page of the browser at which nothing may happen but that it is shown. It is loaded from the site, or is what
    a test has to show."""

    def __init__(self, browser: Browser) -> None:
        self.context = browser.new_context()
        self.context.expose_function("hit", lambda number: self.happened.append(str(number)))
        self.context.route("**/*", self.gate)
        self.page = self.context.new_page()
        self.page.on("dialog", lambda dialog: (self.happened.append(dialog.message), dialog.dismiss()))
        self.page.on("popup", lambda popup: self.happened.append(popup.url))
        self.page.on("console", lambda said: self.blocked(said.text))
        self.happened: list[str] = []
        self.site, self.body = "", ""

    def gate(self, route: Route) -> None:
        """Nothing leaves. A picture is asked for, and does not come, so that a handler for that would run."""
        url = route.request.url
        if self.site and url.startswith(self.site):
            route.continue_()
        elif url == LETTERS + "/":
            route.fulfill(body=self.body, content_type="text/html; charset=utf-8")
        else:
            if not (url.startswith(PICTURES + "/") and route.request.resource_type == "image"):
                self.happened.append(url)
            route.abort()

    def blocked(self, said: str) -> None:
        if "Content Security Policy" in said:
            self.happened.append(said)

    def show(self, body: str) -> None:
        self.body = body
        self.open(LETTERS + "/")

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.page.wait_for_timeout(20)  # for what begins by itself once the page is there

    def headings(self) -> set[str]:
        found = self.page.evaluate("[...document.querySelectorAll('h2')].map(each => each.textContent)")
        return {" ".join(text.split()) for text in found}

    def is_quiet(self) -> None:
        assert self.happened == [], self.page.url
        assert [found for frame in self.page.frames for found in frame.evaluate(SUSPECT)] == [], self.page.url


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    made = Watched(browser)
    yield made
    made.context.close()


def test_in_a_page_that_does_not_defend_itself_they_run(watched: Watched) -> None:
    """Else nothing would be proved by their silence."""
    frames = (f'<iframe srcdoc="{html.escape(text)}"></iframe>' for _, text in numbered(MARKUP))
    watched.show("".join(frames))
    watched.page.wait_for_timeout(200)
    ran = {found for said in watched.happened if (found := re.sub(rf"https?://{CANARY}/", "", said)).isdigit()}
    assert len(ran) > 40


def announcement(name: str, body: str, **fields: str) -> str:
    head = {"title": name, "date": "2026-03-01", "key": name, **fields}
    lines = "".join(f"{field}: {json.dumps(value, ensure_ascii=False)}\n" for field, value in head.items())
    return f"---\n{lines}---\n{body}\n"


def in_words(name: str, text: str) -> str:
    """It stands wherever an announcement has words, and at every place of its text."""
    places = (text, f"# {text}", f"- {text}", f"> {text}", f"`{text}`", f"*{text}*", f"[{text}](https://example.org/)")
    fields = {"summary": text, "author": text, "image": f"{PICTURES}/{name}.png", "image-alt": text}
    return announcement(name, "\n\n".join(places), title=text, **fields)


def fit(here: Installation, files: Mapping[str, str]) -> list[str]:
    """The names of those that can be added; each of the others is refused in lines that name it and say why."""
    paths = {name: here.write(f"{name}.md", text) for name, text in files.items()}
    said = here.run("announcement", "add", *paths.values(), code=1).stderr.removeprefix("mailer: ").splitlines()
    refused = [re.fullmatch(r".*/([\w-]+)\.md:\d+: .+", line) for line in said]
    assert all(refused), [line for line, found in zip(said, refused, strict=True) if not found]
    return [name for name in paths if name not in {found[1] for found in refused if found}]


def add_all(here: Installation) -> None:
    """Everything as announcement files. Of the addresses, what is refused by itself is left out of one."""
    words = {f"words-{number}": text for number, text in numbered((*MARKUP, *CONTROLS))}
    texts = {f"text-{number}": text for number, text in numbered(MARKDOWN, 300)}
    places = dict(enumerate((*LINKS, "url", "image")))
    tried = {name: in_words(name, text) for name, text in words.items()}
    tried |= {name: announcement(name, text) for name, text in texts.items()}
    for number, address in numbered(ADDRESSES, 200):
        names = {f"{number}-{place}": way for place, way in places.items()}
        tried |= {name: pointing(name, address, [way]) for name, way in names.items()}
    good = fit(here, tried)
    assert [words[name] for name in words if name not in good] == [text for _, text in numbered(CONTROLS, len(MARKUP))]
    files = [tried[name] for name in good if name in words]
    files.append(announcement("texts", "\n\n".join(texts[name] for name in good if name in texts)))
    for number, address in numbered(ADDRESSES, 200):
        ways = [way for place, way in places.items() if f"{number}-{place}" in good]
        files += [pointing(f"address-{number}", address, ways)] if ways else []
    here.run("announcement", "add", *(here.write(f"{number}.md", text) for number, text in enumerate(files)))


def pointing(name: str, address: str, ways: Sequence[str]) -> str:
    """An announcement that leads to an address in these ways."""
    fields = {way: address for way in ways if way in ("url", "image")}
    alt = {"image-alt": "x"} if "image" in fields else {}
    return announcement(name, "\n\n".join(way % address for way in ways if "%s" in way) or "x", **fields, **alt)


def news_page(title: str, author: str, parts: Sequence[str]) -> str:
    """As another site might show it to an import: what `parts` hold is marked up already."""
    title, author = html.escape(title), html.escape(author)
    text = "".join(f"<div>A sentence as it stands in the news. {part}</div>\n" for part in parts)
    links = (f'<a href="{html.escape(address)}">{number}</a>' for number, address in numbered(ADDRESSES, 200))
    picture = html.escape(f'{PICTURES}/"onerror="hit(400)')
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
        <meta property="og:title" content="{title}"><meta name="author" content="{author}">
        <meta name="description" content="{author}"><meta property="og:image" content="{picture}">
        <meta property="og:image:alt" content="{author}"><meta name="date" content="2026-03-01">
        </head><body><article><h1>{title}</h1><p>1 March 2026</p><p>{" ".join(links)} are all the
        addresses that a reader of these news could ever want to go to.</p>{text}</article></body></html>"""


def news_feed(texts: Sequence[str]) -> str:
    """Three to an entry: as its title, its author, its summary, and all of them as its text, marked up and not."""
    root = ElementTree.Element("feed", xmlns=ATOM[1:-1])
    addresses = [address for _, address in numbered(ADDRESSES, 200)]
    for number in range(0, len(texts), 3):
        title, author, summary = (*texts[number : number + 3], "x", "x")[:3]
        entry = ElementTree.SubElement(root, "entry")
        content = "".join(f"<div>{each}</div>" for each in (html.escape(title), title, author, summary, "&#0;&#1;"))
        for name, kind, words in (
            *(("id", "", f"urn:{number}"), ("updated", "", "2026-03-02T12:00:00Z")),
            *(("title", "text", title), ("summary", "text", summary), ("content", "html", content)),
        ):
            ElementTree.SubElement(entry, name, {"type": kind} if kind else {}).text = words
        ElementTree.SubElement(ElementTree.SubElement(entry, "author"), "name").text = author
        ElementTree.SubElement(entry, "link", href=addresses[number // 3 % len(addresses)])
    return ElementTree.tostring(root, encoding="unicode")


def import_all(here: Installation) -> None:
    texts = [text for _, text in numbered(MARKUP)]
    pages = [
        news_page(texts[0] + texts[14], texts[58], [html.escape(text) for text in texts]),
        news_page(texts[58], texts[56], texts),
        news_page(
            texts[63], texts[74], ["".join(f"&#{ord(each)};" for each in text) for _, text in numbered(CONTROLS)]
        ),
    ]
    for number, page in enumerate(pages):
        here.run("announcement", "import", here.write(f"{number}.html", page), "--url", f"https://example.org/{number}")
    here.run("announcement", "import", here.write("feed.xml", news_feed(texts)))


def send_all(here: Installation) -> None:
    """A dozen to a digest; every other one has a title of its own, and the last one an introduction."""
    here.subscribed("ada@example.org")
    texts = [text for _, text in numbered(MARKUP)]
    ids = sorted(each["id"] for each in here.json("announcement", "list"))
    intro = here.write("intro.md", "\n\n".join(texts))
    for start in range(0, len(ids), IN_FULL):
        wanted: list[object] = [*ids[start : start + IN_FULL]]
        wanted += ["--title", texts[start // 2]] if start // IN_FULL % 2 else []
        wanted += ["--intro", intro] if start + IN_FULL >= len(ids) else []
        digest = here.json("digest", "compose", *wanted)["digest"]
        here.run("digest", "send", digest, "--yes")


def correct_one(here: Installation) -> None:
    """With a note that has a bit of everything."""
    edited = announcement("words-0", "Edited.", title="<script>hit(0)</script>")
    here.run("announcement", "add", here.write("0.md", edited))
    here.run("digest", "correct", 1, "--note", "".join(text for _, text in numbered(MARKUP[14:34])))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_wherever_they_are_read_they_stay_words(here: Installation, watched: Watched) -> None:
    add_all(here)
    import_all(here)
    send_all(here)
    correct_one(here)
    letters = here.letters("ada@example.org")
    headings = set[str]()
    for letter in letters:
        watched.show(letter.part("html"))
        watched.is_quiet()
        headings |= watched.headings()
    assert titles() <= headings
    app = create_app(Config.load({}, here.folder))
    with Catcher() as catcher, LiveSite(app) as site:
        catcher.mails += [Caught(number, now(), each.to, each.raw) for number, each in enumerate(letters, 1)]
        app.register_blueprint(mailbox(catcher))
        watched.site = site.url
        headings.clear()
        for path in pages(here, len(letters)):
            watched.open(site.url + path)
            watched.is_quiet()
            headings |= watched.headings()
        assert titles() <= headings
    watched.show(in_feed(here))
    watched.is_quiet()
    assert titles() <= watched.headings()


def titles() -> set[str]:
    """What nobody's defence may swallow, each in one line."""
    return {" ".join(text.split()) for _, text in numbered(MARKUP)}


def pages(here: Installation, letters: int) -> Iterator[str]:
    """Wherever the site shows words of announcements; of the demo's mailbox one letter in every view."""
    listed = here.site.get("/archive").text
    archive = list(dict.fromkeys(re.findall(r'href="(/archive/\d[^"?#]+)', listed)))
    assert len(archive) == letters
    yield from ("/archive", "/archive?lang=ar", "/archive/feed.atom", *archive, f"{archive[0]}?lang=ar")
    yield from ("/demo/mailbox", *(f"/demo/mailbox/1?view={view}" for view in VIEWS))


def in_feed(here: Installation) -> str:
    """What the feed gives to programs to show, as one of them may show all of it."""
    feed = ElementTree.fromstring(here.site.get("/archive/feed.atom").data)
    return "".join(entry.findtext(f"{ATOM}content", "") for entry in feed.iter(f"{ATOM}entry"))

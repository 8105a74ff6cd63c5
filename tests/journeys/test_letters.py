"""What letters look like and say, looked at in the words that `digest preview` and the outbox hold."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from mailer.config import Config
from mailer.digests import compose, editions
from mailer.digests.editions import IN_FULL
from mailer.letters.plain import columns

from ..announcements import announcements
from ..installation import Installation
from ..letters import FOLDER, KINDS, OPERATOR, digest, letter, looked_at
from ..patience import takes_at_most
from ..servers.smtp import Mail

# They are the same on each database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CODES = ("en", "ar", "zh")
WRITTEN: dict[str, dict[str, Mail]] = {}
LINK = re.compile(r'href="(https?://[^"]+)"')


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""

    @property
    def style(self) -> dict[str, str]:
        pairs = (part.partition(":") for part in self.attributes.get("style", "").split(";"))
        return {name.strip(): value.strip() for name, _, value in pairs}


@dataclass
class Document(HTMLParser):
    """A letter's elements in order, each with the text directly in it or in what holds no elements of its own."""

    source: str
    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.open: list[Element] = []
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in ("meta", "br", "img", "hr"):
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def all(self, *tags: str) -> list[Element]:
        return [element for element in self.elements if element.tag in tags]


@pytest.fixture
def operated(here: Installation) -> Installation:
    here.configure(**OPERATOR)
    return here


def kinds(here: Installation, code: str) -> dict[str, Mail]:
    """Every kind of letter; written once, as every installation writes the same."""
    if code not in WRITTEN:
        names = ("digest-1", "digest-5", "digest-14", *KINDS)
        WRITTEN[code] = {name: letter(here, name, code) for name in names}
    return WRITTEN[code]


@pytest.mark.parametrize("code", CODES)
def test_every_letter_is_built_as_mail_programs_want_it(operated: Installation, code: str) -> None:
    """D-19, D-36, D-38, D-189, D-191."""
    for name, mail in kinds(operated, code).items():
        html = mail.part("html")
        page = Document(html)
        assert html.lower().startswith("<!doctype html>"), name
        assert html.index('<meta charset="utf-8">') < 1024
        assert len(html.encode()) < 100_000
        assert not page.all("script", "form", "input", "link", "iframe", "svg", "video", "object", "base"), name
        assert not re.search(r"url\(|background-image|data:|cid:|javascript:", html), name
        outer, column, *_ = page.all("table")
        assert {table.attributes.get("role") for table in page.all("table")} == {"presentation"}
        assert (column.style["width"], column.style["max-width"]) == ("600px", "100%")
        direction = "rtl" if code == "ar" else "ltr"
        for element in (page.all("html")[0], outer):
            assert (element.attributes["lang"], element.attributes["dir"]) == (code, direction)
        assert [len(page.all("h1")), len(page.all("title"))] == [1, 1]


@pytest.mark.parametrize("code", CODES)
def test_every_letter_is_set_as_it_can_be_read(operated: Installation, code: str) -> None:
    """D-189, D-190: contrast is computed in tests/journeys/test_accessible.py."""
    for name, mail in kinds(operated, code).items():
        page = Document(mail.part("html"))
        (sheet,) = page.all("style")
        assert re.sub(r"@media [^{]+\{([^{}]*\{[^{}]*\})*\}\s*", "", sheet.text).strip() == "", "only @media"
        assert len(sheet.text) < 8192
        assert "prefers-color-scheme:dark" in sheet.text
        for cell in page.all("td"):
            if "text" in cell.attributes.get("class", "").split():
                size, leading = re.match(r"(\d+)px/([\d.]+) ", cell.style["font"]).groups()  # type: ignore[union-attr]
                assert int(size) >= 16
                assert float(leading) >= 1.5
        sizes = re.findall(r"font-size:(\d+)px", mail.part("html"))
        assert min(map(int, sizes)) >= 15, name
        plain = [link for link in page.all("a") if link.style.get("text-decoration") == "none"]
        assert len(plain) == len([cell for cell in page.all("td") if cell.attributes.get("class") == "button"])
        assert all(link.text.strip() and not link.text.startswith("http") for link in page.all("a"))
        for image in page.all("img"):
            assert image.attributes["src"].startswith("https://")
            assert image.attributes["alt"]
            assert image.attributes["width"] == "536"


def indented(element: Element) -> set[str]:
    return {side for side in ("left", "right") if element.style.get(f"padding-{side}", "0") != "0"}


def test_lists_and_quotations_are_mirrored_where_their_text_is(operated: Installation) -> None:
    """D-191: an announcement in another direction than the letter's keeps its own."""
    for code, side in (("en", "left"), ("ar", "right")):
        page = Document(kinds(operated, code)["digest-1"].part("html"))
        assert [indented(element) for element in page.all("ul", "ol", "blockquote")] == [{side}] * 3
    operated.configure(LANGUAGES="ar,en")
    alone = operated.write("a.md", next(announcements(1)).replace("key: guide", "key: alone\nlanguage: en"))
    number = operated.json("digest", "compose", alone)["digest"]
    operated.run("digest", "preview", number, "--language", "ar", "--html", "ar.html")
    page = Document((operated.folder / "ar.html").read_text(encoding="utf-8"))
    assert [cell.attributes["dir"] for cell in page.all("td") if cell.attributes.get("lang") == "en"] == ["ltr"]
    assert [indented(element) for element in page.all("ul", "ol", "blockquote")] == [{"left"}] * 3


@pytest.mark.parametrize("code", CODES)
def test_the_text_says_all_that_the_html_says(operated: Installation, code: str) -> None:
    """D-11, D-31."""
    for name, mail in kinds(operated, code).items():
        html, text = mail.part("html"), mail.part("plain").replace("\r\n", "\n")
        linked = {url.replace("&amp;", "&") for url in LINK.findall(html)}
        written = [line.strip() for line in text.splitlines() if "http" in line]
        assert linked <= set(re.findall(r"https?://\S+", text)), name
        if name.startswith("digest"):
            assert all(re.fullmatch(r"https?://\S+", line) for line in written), "one address a line, unwrapped"
        assert not re.search(r"<|&\w+;|&#\d+;|\u034f|\*\*|\]\(", text), name
        titles = [element.text for element in Document(html).all("h2")]
        places = [text.index(f"{title}\n=") if name.startswith("digest") else 0 for title in titles]
        assert places == sorted(places)


@pytest.mark.parametrize("code", CODES)
def test_headings_of_the_text_are_underlined_to_their_width(operated: Installation, code: str) -> None:
    lines = kinds(operated, code)["digest-5"].part("plain").splitlines()
    found = [(above, line) for above, line in pairwise(lines) if re.fullmatch("=+|-{3,}", line)]
    assert len(found) >= 7
    assert [len(line) for _, line in found] == [min(columns(above), 72) for above, _ in found]


def test_a_long_digest_has_contents_that_lead_to_the_page_and_says_where_the_rest_is(operated: Installation) -> None:
    """D-186."""
    for count, listed, rest in ((3, 0, 0), (4, 4, 0), (12, 12, 0), (14, 12, 2)):
        mail = letter(operated, f"digest-{count}", "en")
        page = Document(mail.part("html"))
        anchors = [link for link in page.all("a") if "#item-" in link.attributes["href"]]
        assert len(anchors) == listed + rest
        assert len({link.attributes["href"] for link in anchors}) == len(anchors)
        assert ("More on the web" in mail.part("html"), "More on the web" in mail.part("plain")) == (rest > 0, rest > 0)
        assert len(page.all("h2")) == min(count, IN_FULL) + (listed > 0) + (rest > 0)
        assert ("Call · Deadline soon: 6 March 2026" in mail.part("plain")) == (listed > 0)


def test_what_the_contents_lead_to_is_on_the_page(operated: Installation) -> None:
    operated.subscribed("ada@example.org")
    number = operated.draft(*announcements(5))
    operated.run("digest", "send", number, "--yes")
    (mail,) = operated.letters("ada@example.org")
    places = re.findall(r'href="[^"]+(/archive/[^"#]+)#([^"]+)"', mail.part("html"))
    page = operated.site.get(places[0][0].replace("&amp;", "&")).text
    assert [place for _, place in places if page.count(f'id="{place}"') != 1] == []


@pytest.mark.parametrize(
    ("code", "near", "past", "later"),
    [
        ("en", "Deadline soon: 6 March 2026", "Deadline passed: 28 February 2026", "Deadline: 10 April 2026"),
        ("fr", "Date limite proche\u00a0: 6 mars 2026", "Date limite dépassée\u00a0: 28 février 2026", "10 avril 2026"),
        ("zh", "即将截止：2026年3月6日", "已截止：2026年2月28日", "截止日期：2026年4月10日"),
    ],
)
def test_a_deadline_that_is_near_or_past_is_said_so(
    operated: Installation, code: str, near: str, past: str, later: str
) -> None:
    """D-184."""
    mail = letter(operated, "digest-5", code)
    for part in (mail.part("plain"), mail.part("html").replace("&nbsp;", "\u00a0")):
        assert [words for words in (near, past, later) if words not in part] == []


@pytest.mark.parametrize("code", Config.languages)
def test_subject_and_preheader_are_two_things_and_say_what_is_inside(operated: Installation, code: str) -> None:
    """D-185."""
    mail = kinds(operated, code)["digest-5"]
    hidden = next(each for each in Document(mail.part("html")).all("div") if each.style.get("display") == "none").text
    shown = hidden.partition("\u034f")[0]
    assert len(mail.subject) <= 60
    assert mail.subject.startswith(Document(mail.part("html")).all("h2")[1].text[:15])
    assert 40 <= len(shown) <= 110
    assert shown not in mail.subject
    assert len(hidden) > 140, "what follows is for the eye only"
    assert "\u034f" not in mail.part("plain")


def test_what_is_too_long_for_a_mail_is_refused(operated: Installation) -> None:
    """D-36."""
    long = next(announcements(1)) + "\nOne sentence after another. " * 4000
    number = operated.json("digest", "compose", operated.write("long.md", long))["digest"]
    assert "kB of HTML; mail providers cut it off at 100 kB" in operated.error("digest", "preview", number)


def test_a_big_digest_is_written_in_six_languages_within_a_second(operated: Installation) -> None:
    digest(operated, 20, ["en"])
    with operated.app.app_context():
        draft = compose.find(1)
        assert len(list(editions.render_all(draft))) == 6
        assert takes_at_most(1, lambda: list(editions.render_all(draft)))


def test_letters_are_as_they_were_when_somebody_last_looked_at_them(here: Installation) -> None:
    """So that a change to a mail is a difference to be read: `python -m tests.letters` writes it."""
    kept = {
        path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir() if path.suffix in (".txt", ".html")
    }
    assert looked_at(here) == kept

"""What a letter's HTML holds, read in one pass and without a parser's weight: our letters have well-formed tags, and
for other people's a near miss does no harm. Takes any text, and a time that grows with its length only."""

import re
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple

LARGEST_HTML = 100_000  # bytes; Gmail clips at about 102 kB and hides the footer
TAG = re.compile(r"""<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})((?:[^<>"']+|"[^"]{0,8000}"|'[^']{0,8000}'){0,500}+)>""")
ATTRIBUTE = re.compile(r"""([a-zA-Z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"']+)))?""")
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
HIDDEN = re.compile(r"(?:display:\s*none|visibility:\s*hidden|font-size:\s*0)(?![\w.])")
PADDING = re.compile("[\u00ad\u034f\u200b-\u200f\u2007\u2060-\u2069\ufeff]")  # unseen, by which previews are filled up


class Tag(NamedTuple):
    name: str
    source: str  # what stands behind the name

    @property
    def attributes(self) -> dict[str, str]:
        found = ATTRIBUTE.findall(self.source)
        return {name.lower(): unescape(double or single or bare) for name, double, single, bare in found}

    @property
    def is_hidden(self) -> bool:
        return bool(HIDDEN.search(self.source) and HIDDEN.search(self.attributes.get("style", "")))


class Page(NamedTuple):
    tags: list[Tag]
    headings: list[str]
    text: str  # what is to be seen
    preheader: str  # what is hidden, for inboxes to show
    links: list[tuple[Tag, str]]  # with what they say
    styles: list[str]  # what <style> elements hold
    is_read: bool = True

    def named(self, *names: str) -> list[Tag]:
        return [tag for tag in self.tags if tag.name in names]

    @property
    def addresses(self) -> list[str]:
        """Where the links lead, in order, each once."""
        return list(dict.fromkeys(tag.attributes.get("href", "") for tag, _ in self.links))


def read_page(html: str) -> Page:
    """Of a page that mail programs would cut off nothing is read."""
    if len(html.encode("utf-8", "replace")) > LARGEST_HTML:
        return Page([], [], "", "", [], [], is_read=False)
    return Reader(html).page()


class Reader:
    def __init__(self, html: str) -> None:
        html, self.styles = without_styles(without_comments(html))
        self.tags: list[Tag] = []
        self.seen: list[str] = []
        self.hidden: list[str] = []
        self.headings: list[list[str]] = []
        self.links: list[tuple[Tag, list[str]]] = []
        self.heading: list[str] | None = None  # the one that is being read, and so on
        self.link: list[str] | None = None
        self.hidden_by = ""
        self.in_head = False
        for words, tag, closes in pieces(html):
            self.take_words(words)
            if tag and closes:
                self.close(tag)
            elif tag:
                self.open(tag)

    def take_words(self, words: str) -> None:
        if not self.in_head:
            (self.hidden if self.hidden_by else self.seen).append(words)
            for place in (self.heading, self.link):
                if place is not None:
                    place.append(words)

    def open(self, tag: Tag) -> None:
        self.tags.append(tag)
        if tag.name == "head":
            self.in_head = True
        elif tag.name == "img":
            self.take_words(tag.attributes.get("alt", ""))
        elif tag.name == "a":
            self.link = []
            self.links.append((tag, self.link))
        elif tag.name in HEADINGS:
            self.heading = []
            self.headings.append(self.heading)
        elif tag.is_hidden and not self.hidden_by:
            self.hidden_by = tag.name
        self.part(tag)

    def close(self, tag: Tag) -> None:
        if tag.name == "head":
            self.in_head = False
        elif tag.name == self.hidden_by:
            self.hidden_by = ""
        elif tag.name == "a":
            self.link = None
        elif tag.name in HEADINGS:
            self.heading = None
        self.part(tag)

    def part(self, tag: Tag) -> None:
        """Words of two blocks do not touch."""
        if tag.name not in INLINE:
            self.take_words(" ")

    def page(self) -> Page:
        headings = [one_line("".join(words)) for words in self.headings]
        seen, hidden = one_line("".join(self.seen)), one_line(PADDING.sub("", "".join(self.hidden)))
        links = [(tag, one_line("".join(words))) for tag, words in self.links]
        return Page(self.tags, headings, seen, hidden, links, self.styles)


INLINE = {"a", "abbr", "b", "bdi", "code", "em", "i", "img", "small", "span", "strong", "sub", "sup", "u"}


def pieces(html: str) -> Iterator[tuple[str, Tag | None, bool]]:
    """Words, the tag behind them, and whether it is one that closes."""
    at = 0
    for found in TAG.finditer(html):
        yield unescape(html[at : found.start()]), Tag(found[2].lower(), found[3]), bool(found[1])
        at = found.end()
    yield unescape(html[at:]), None, False


def without_comments(html: str) -> str:
    first, *rest = html.split("<!--")
    return first + "".join(each.partition("-->")[2] for each in rest)


def without_styles(html: str) -> tuple[str, list[str]]:
    first, *rest = re.split(r"(?i)<style\b", html)
    parted = [re.split(r"(?i)</style\s*>", each, maxsplit=1) for each in rest]
    return first + "".join(each[1] for each in parted if len(each) > 1), [each[0] for each in parted]


def one_line(text: str) -> str:
    return " ".join(text.split())

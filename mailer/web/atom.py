"""Atom feeds (RFC 4287, with the pages of RFC 5005) as bytes. Knows nothing of digests."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from xml.etree.ElementTree import Element, SubElement, tostring

ATOM = "http://www.w3.org/2005/Atom"
KIND = "application/atom+xml"
# Characters that no XML document can hold, not even escaped (XML 1.0, 2.2).
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Link:
    rel: str
    href: str
    type: str
    hreflang: str | None = None


@dataclass(frozen=True)
class Entry:
    id: str
    title: str
    language: str  # of the title
    published: datetime
    updated: datetime
    page: Link
    summary: str
    html: str


@dataclass(frozen=True)
class Feed:
    id: str
    title: str
    subtitle: str
    language: str
    author: str
    updated: datetime
    icon: str
    links: Sequence[Link]
    entries: Sequence[Entry]


def write(feed: Feed) -> bytes:
    root = Element("feed", {"xmlns": ATOM, "xml:lang": feed.language})
    add(root, "id", feed.id)
    add(root, "title", feed.title)
    add(root, "subtitle", feed.subtitle)
    add(root, "updated", moment(feed.updated))
    add(SubElement(root, "author"), "name", feed.author)
    add(root, "icon", feed.icon)
    for link in feed.links:
        add_link(root, link)
    for entry in feed.entries:
        add_entry(root, entry)
    return document(root)


def add_entry(root: Element, entry: Entry) -> None:
    made = SubElement(root, "entry")
    add(made, "id", entry.id)
    add(made, "title", entry.title, {"xml:lang": entry.language})
    add(made, "published", moment(entry.published))
    add(made, "updated", moment(entry.updated))
    add_link(made, entry.page)
    add(made, "summary", entry.summary)
    add(made, "content", entry.html, {"type": "html"})


def add_link(parent: Element, link: Link) -> None:
    given = {"rel": link.rel, "href": link.href, "type": link.type, "hreflang": link.hreflang}
    SubElement(parent, "link", {name: text(value) for name, value in given.items() if value})


def add(parent: Element, name: str, words: str, attributes: dict[str, str] | None = None) -> None:
    SubElement(parent, name, attributes or {}).text = text(words)


def document(root: Element) -> bytes:
    """Any XML document of ours."""
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def text(words: str) -> str:
    return NO_XML.sub("", words)


def tag(host: str, day: date, name: str) -> str:
    """A name for ever (RFC 4151) of something that the owner of `host` has had since `day`. It does not change when the
    site comes by another scheme, port or path."""
    return f"tag:{host},{day.isoformat()}:{name}"


def moment(at: datetime) -> str:
    """RFC 3339, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

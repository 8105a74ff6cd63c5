"""Past digests, without any address or token: the list, a page and a feed in each language, and a map for robots."""

import re
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement

from flask import Blueprint, Response, render_template, request
from flask_babel import get_locale, gettext

from mailer.config import settings
from mailer.digests import archive
from mailer.digests.archive import Reading, Shelf
from mailer.errors import NotFound
from mailer.languages import offered
from mailer.links import links
from mailer.lists import the_list
from mailer.localtime import today
from mailer.web import atom, pages
from mailer.web.atom import Entry, Feed, Link
from mailer.web.caching import conditional
from mailer.web.pages import feed_address

site = Blueprint("archive", __name__)
HTML, XML = "text/html", "application/xml"
SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"


@site.get("/archive")
def index() -> Response:
    return shelf_page(1)


@site.get("/archive/page/<number>")
def older(number: str) -> Response:
    if number == "1":
        raise NotFound("the first page of the archive has an address of its own")
    return shelf_page(page_number(number))


def shelf_page(number: int) -> Response:
    shelf = archive.shelf(number)

    def make() -> str:
        cards = [archive.card(digest, code()) for digest in shelf.digests]
        return render_template("pages/archive.html", shelf=shelf, cards=cards)

    return conditional(marks(shelf), archive.archive_changed_at(), make, HTML)


@site.get("/archive/<slug>")
def show(slug: str) -> Response:
    """A digest that is kept out of the archive is for who has its letter: its page is there, search engines are told
    to leave it out."""
    digest = archive.find_public(slug)
    before, after = archive.neighbours(digest)
    shown = [each for each in (digest, before, after) if each]

    def make() -> str:
        return render_template(
            "pages/digest.html",
            reading=archive.read(digest, code()),
            before=before and archive.card(before, code()),
            after=after and archive.card(after, code()),
        )

    marks = [archive.mark(each) for each in shown]
    last = max(map(archive.changed_at, shown))
    answer = conditional((code(), today(), marks, before is None), last, make, HTML)
    if not archive.is_listed(digest):
        answer.headers["X-Robots-Tag"] = "noindex"
    answer.headers["Content-Security-Policy"] = pages.WITH_PICTURES
    return answer


@site.get("/archive/feed.atom")
def feed() -> Response:
    shelf = archive.shelf(page_number(request.args.get("page", "1")))
    seen = (today(), marks(shelf))  # what is said of deadlines depends on the day
    return conditional(seen, archive.archive_changed_at(), lambda: atom.write(feed_of(shelf)), atom.KIND)


@site.get("/sitemap.xml")
def sitemap() -> Response:
    """Every public page in each language, with its sisters in the others."""
    found = archive.everything()
    paths = ["/", "/archive", "/privacy", *(f"/archive/{digest.slug}" for digest in found)]

    def make() -> bytes:
        root = Element("urlset", {"xmlns": SITEMAP, "xmlns:xhtml": "http://www.w3.org/1999/xhtml"})
        for path in paths:
            add_page(root, path)
        return atom.document(root)

    return conditional(paths, archive.archive_changed_at(), make, XML)


def add_page(root: Element, path: str) -> None:
    sisters = pages.in_every_language(path)
    for each, address in sisters:
        if each == "x-default":
            continue
        url = SubElement(root, "url")
        SubElement(url, "loc").text = address
        for tag, other in sisters:
            SubElement(url, "xhtml:link", {"rel": "alternate", "hreflang": tag, "href": other})


def code() -> str:
    return str(get_locale())


def marks(shelf: Shelf) -> object:
    return code(), [archive.mark(digest) for digest in shelf.digests], shelf.number, shelf.last


def page_number(asked: str) -> int:
    """Raises NotFound for what is no number; there is one way to write each."""
    if not re.fullmatch(r"[1-9][0-9]{0,4}", asked):
        raise NotFound("this is not the number of a page")
    return int(asked)


def feed_of(shelf: Shelf) -> Feed:
    made = the_list()
    config = settings()
    readings = [archive.read(digest, code()) for digest in shelf.digests]
    return Feed(
        id=name_for_ever(made.created_at, code()),
        title=config.list_name,
        subtitle=gettext("Recaps, calls, publications and events, collected in one digest in your language."),
        language=code(),
        author=config.organisation or config.list_name,
        updated=max((reading.changed_at for reading in readings), default=made.created_at),
        icon=links().page("/static/icon.svg"),
        links=[*addresses(shelf), Link("alternate", links().page("/archive", lang=code()), HTML, code())],
        entries=[entry(reading) for reading in readings],
    )


def addresses(shelf: Shelf) -> list[Link]:
    """Of this page of the feed, of its neighbours (RFC 5005 3) and of the feeds in other languages."""
    numbers = {"self": shelf.number, "first": 1, "last": shelf.last}
    if shelf.number > 1:
        numbers["previous"] = shelf.number - 1
    if shelf.number < shelf.last:
        numbers["next"] = shelf.number + 1
    here = [Link(rel, feed_address(code(), number), atom.KIND) for rel, number in numbers.items()]
    others = [each for each in offered(settings().languages) if each != code()]
    return [*here, *(Link("alternate", feed_address(each), atom.KIND, each) for each in others)]


def entry(reading: Reading) -> Entry:
    return Entry(
        id=name_for_ever(reading.published_at, f"{reading.slug}/{code()}"),
        title=reading.title,
        language=reading.language.code if reading.language else code(),
        published=reading.published_at,
        updated=reading.changed_at,
        page=Link("alternate", links().page(f"/archive/{reading.slug}", lang=code()), HTML, code()),
        summary=reading.summary,
        html=render_template("parts/feed_entry.html", reading=reading),
    )


def name_for_ever(since: datetime, name: str) -> str:
    return atom.tag(settings().host, since.astimezone(UTC).date(), f"{settings().list_slug}/{name}")

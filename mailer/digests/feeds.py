"""RSS and Atom: the entries of a feed, as announcements. feedparser reads it; entities of its own are refused."""

import datetime as dt
import io
import re
from calendar import timegm
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from mailer.digests import days, prose
from mailer.digests.facts import names, one_line, picture, same
from mailer.digests.files import LONGEST, is_web_address
from mailer.digests.pages import Found, parsed
from mailer.errors import BadInput

if TYPE_CHECKING:
    from time import struct_time

    from lxml.html import HtmlElement

ROOTS = re.compile(rb"<(?:\w+:)?(?:rss|feed|rdf)[\s>]", re.IGNORECASE)
SNIFFED = 2000  # bytes
TEXT = "text/plain"


def is_feed(body: bytes) -> bool:
    """Whether a file begins like a feed; what a server calls it says little."""
    start = re.sub(rb"<!--.*?-->", b"", body[:SNIFFED].replace(b"\0", b""), flags=re.DOTALL)
    return bool(ROOTS.search(start)) and b"<html" not in start.lower()


def read(body: bytes, zone: ZoneInfo, *, address: str | None = None) -> list[Found]:
    """Its entries, the oldest first. Raises BadInput for what is no feed, or has entities of its own: a few lines of
    them unpack to gigabytes, or read files of this machine."""
    import feedparser

    if b"<!ENTITY" in body.replace(b"\0", b"").upper():
        raise BadInput("it declares entities of its own, which no feed needs")
    headers = {"content-location": address} if address else {}
    feed = feedparser.parse(io.BytesIO(body), response_headers=headers)
    if not feed.get("version") and not feed.entries:
        raise BadInput("it is neither RSS nor Atom")
    return [entry(each, feed, zone) for each in reversed(feed.entries)]


def entry(given: Any, feed: Any, zone: ZoneInfo) -> Found:
    base = given.get("link") or feed.feed.get("link")
    contents = [*given.get("content", []), *([given.summary_detail] if "summary_detail" in given else [])]
    parts = [fragment(each) for each in contents]
    best = next((part for part in parts if part.text_content().strip()), None)
    blocks = [] if best is None else prose.blocks(best, base)
    title = one_line(plain(given.get("title_detail")), "title")
    link = str(given.get("link") or "")
    url = link if is_web_address(link) and len(link) <= LONGEST["url"] else None
    image, alt = picture(pictures(given, parts), base)
    return Found(
        source=given.get("id") or url,
        title=title,
        date=day(given, zone),
        url=url,
        language=language(given, feed),
        author=author(given),
        summary=summary(given, blocks, title),
        body="\n\n".join(block.markdown for block in blocks),
        image=image,
        image_alt=alt,
    )


def fragment(detail: Any) -> "HtmlElement":
    """What a part of an entry holds, as HTML; plain text in paragraphs."""
    import lxml.html

    if detail.get("type") == TEXT:
        root = lxml.html.Element("div")
        for paragraph in re.split(r"\n\s*\n", detail.value):
            lxml.html.etree.SubElement(root, "p").text = prose.cleaned(paragraph)
        return root
    return parsed(f"<div>{detail.value}</div>")


def plain(detail: Any) -> str:
    """Titles and summaries come as text or as HTML."""
    return "" if not detail else " ".join(fragment(detail).itertext())


def day(given: Any, zone: ZoneInfo) -> dt.date | None:
    """When it was published, else changed, in the list's time zone; feedparser has it in UTC."""
    stated = (dict.get(given, name) for name in ("published_parsed", "updated_parsed"))
    return next(filter(None, (local_day(moment, zone) for moment in stated if moment)), None)


def local_day(moment: "struct_time", zone: ZoneInfo) -> dt.date | None:
    """None for one that can't be: programs write 0000-00-00 or 9999-12-31 where they know none."""
    try:
        found = dt.datetime.fromtimestamp(timegm(moment), zone)
    except (ValueError, OverflowError):
        return None
    return days.day(found.year, found.month, found.day)


def language(given: Any, feed: Any) -> str | None:
    details = [*given.get("content", []), given.get("title_detail") or {}]
    codes = [each.get("language") for each in details] + [given.get("language"), feed.feed.get("language")]
    found = next(filter(None, codes), "")
    return re.split(r"[-_]", found.strip().lower())[0] or None


def author(given: Any) -> str | None:
    """Who the entry itself says wrote it: by name only, nobody's address becomes public here."""
    return names(each.get("name") for each in given.get("authors", []))


def summary(given: Any, blocks: list[prose.Block], title: str | None) -> str | None:
    """The entry's own, unless it is how the text begins, or the whole of it."""
    text = one_line(plain(given.get("summary_detail")), "summary")
    start = (text or "").rstrip(".… []")
    whole = " ".join(block.text for block in blocks)
    if not text or same(text, title or "") or "".join(whole.split()).startswith("".join(start.split())):
        return None
    return text


def pictures(given: Any, parts: list["HtmlElement"]) -> list[tuple[str | None, str | None]]:
    """What the entry encloses, then what its text shows."""
    media = [*given.get("media_content", []), *given.get("media_thumbnail", []), *given.get("enclosures", [])]
    enclosed = [
        (each.get("url") or each.get("href"), each.get("alt"))
        for each in media
        if str(each.get("type", "image/")).startswith("image/") and each.get("medium", "image") == "image"
    ]
    return enclosed + [(each.get("src"), each.get("alt")) for part in parts for each in part.iter("img")]

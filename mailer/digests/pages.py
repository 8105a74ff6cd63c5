"""A news page as an announcement: title, date, address, picture and the text itself, without what stands around it.

What is the text, and what navigation, is decided by trafilatura; the date is found by htmldate. Both are loaded only
when a page is read, since that takes seconds.
"""

import datetime as dt
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mailer.digests import facts, prose
from mailer.digests.facts import LONGEST_DAY_LINE, same, squeezed
from mailer.errors import BadInput

if TYPE_CHECKING:
    from lxml.html import HtmlElement

SHORTEST = 40  # characters of a text that is worth a letter
MOST_ELEMENTS = 20_000  # of more, the text could be found in minutes only
SNIFFED, GUESSED = 4096, 100_000  # bytes
# What a charset's name means on the web (WHATWG Encoding).
CHARSETS = {"iso-8859-1": "cp1252", "latin1": "cp1252", "ascii": "cp1252", "us-ascii": "cp1252", "gb2312": "gb18030"}
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
DECLARED = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
UNREADABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ue000\ue001\ufffe\uffff]")
# Two breaks are how old pages part paragraphs.
BREAKS = re.compile(r"(?:<br\s*/?>\s*){2,}", re.IGNORECASE)
SHARING = re.compile(
    r"(share|tweet|print|e-?mail|copy link|facebook|twitter|x|linkedin|whatsapp|telegram|weibo|wechat|"
    r"partager|imprimer|compartir|imprimir|поделиться|печать|分享|打印|شارك|مشاركة|طباعة)\b.{0,40}",
    re.IGNORECASE | re.DOTALL,
)
# trafilatura's names for what it found, and HTML's.
NAMES = {"quote": "blockquote", "item": "li", "ref": "a", "lb": "br", "row": "tr", "cell": "td", "graphic": "img"}
LOOKS = {"#b": "strong", "#i": "em", "#t": "code"}


@dataclass(frozen=True)
class Found:
    """What a page or an entry of a feed says; None where it says nothing."""

    source: str | None  # what it is known by when it is seen again
    title: str | None
    date: dt.date | None
    url: str | None
    language: str | None
    author: str | None
    summary: str | None
    body: str
    image: str | None
    image_alt: str | None


def read(body: bytes, languages: Sequence[str], *, charset: str | None = None, address: str | None = None) -> Found:
    """The announcement on a page that was found at `address`. Raises BadInput if there is no text on it."""
    from trafilatura import bare_extraction

    for library in ("trafilatura", "htmldate"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # what they miss is told by what is found
    page = parsed(decoded(body, charset))
    if sum(1 for _ in page.iter()) > MOST_ELEMENTS:
        raise BadInput("it has too many parts to be an article")
    told = facts.read(page, languages, address)
    prepare(page)
    found: Any = bare_extraction(
        page, url=told.base, include_links=True, include_formatting=True, include_images=True, include_comments=False
    )
    if found is None or found.body is None:
        raise BadInput("there is no text on it")
    blocks = trimmed(prose.blocks(as_html(found.body), told.base), told.title, told.date)
    if sum(len(squeezed(block.text)) for block in blocks) < SHORTEST:
        raise BadInput("there is no text on it")
    pictures = [(each.get("src"), each.get("alt")) for each in found.body.iter("img")]
    image, alt = facts.picture([told.picture, *pictures], told.base)
    return Found(
        source=told.url,
        title=told.title,
        date=told.date,
        url=told.url,
        language=told.language,
        author=told.author,
        summary=told.summary(blocks[0].text),
        body="\n\n".join(block.markdown for block in blocks),
        image=image,
        image_alt=alt,
    )


def parsed(source: str) -> "HtmlElement":
    import lxml.etree
    import lxml.html

    try:
        page = lxml.html.document_fromstring(BREAKS.sub("</p><p>", UNREADABLE.sub("", source)))
    except (lxml.etree.LxmlError, ValueError, AssertionError):
        raise BadInput("there is no text on it") from None
    for each in page.iter():  # entities bring in what no text may hold, and libraries stumble over it
        each.text = UNREADABLE.sub("", each.text) if each.text else None
        each.tail = UNREADABLE.sub("", each.tail) if each.tail else None
    return page


def prepare(page: "HtmlElement") -> None:
    """Keep what trafilatura would take for something beside the text: who is quoted, and days within a sentence."""
    for quotation in page.iter("blockquote"):
        for each in quotation.iter("footer", "figcaption"):
            each.tag = "p"
    for figure in list(page.iter("figure")):
        if figure.find(".//blockquote") is not None:
            figure.tag = "div"
            for each in figure.iter("figcaption"):
                each.tag = "p"
    for each in page.iter("time", "label"):
        each.tag = "span"


def as_html(body: "HtmlElement") -> "HtmlElement":
    for each in body.iter("*"):
        look = each.get("rend", "")
        if each.tag == "ref":
            each.set("href", each.get("target", ""))
        if each.tag == "head":
            each.tag = look if re.fullmatch("h[1-6]", look) else "h2"
        elif each.tag == "list":
            each.tag = "ol" if look.startswith("ol") else "ul"
        elif each.tag == "hi":
            each.tag = LOOKS.get(look, "span")
        elif each.tag in NAMES:  # others keep theirs: pages have names that lxml reads and does not write
            each.tag = NAMES[each.tag]
    return body


def trimmed(found: Sequence[prose.Block], title: str | None, date: dt.date | None) -> list[prose.Block]:
    """The text from below its title on, without the day, and without what invites to share it."""
    blocks = list(found)
    size = left = sum(len(block.text) for block in blocks)
    for number, block in enumerate(blocks):
        left -= len(block.text)
        if title and left > size / 3 and same(block.text, title):
            blocks = blocks[number + 1 :]
            break
    while blocks and (is_day(blocks[0], date) or is_aside(blocks[0])):
        blocks.pop(0)
    while blocks and is_aside(blocks[-1]):
        blocks.pop()
    return blocks


def is_day(block: prose.Block, date: dt.date | None) -> bool:
    if date is None or len(block.text) > LONGEST_DAY_LINE:
        return False
    return {date.year, date.day} <= {int(number) for number in re.findall(r"\d+", block.text)}


def is_aside(block: prose.Block) -> bool:
    """A row of buttons, or a rule that ends nothing."""
    each_line = [line for line in block.text.split("\n") if line]
    return block.markdown == "***" or (block.is_links and all(SHARING.fullmatch(line) for line in each_line))


def decoded(body: bytes, charset: str | None) -> str:
    """Text, by the file's first bytes; as UTF-8 if it can be, for nothing else looks like it; else by what the server
    or the page say, else by what fits. Raises BadInput for what is no text."""
    from charset_normalizer import from_bytes

    marked = next((name for mark, name in MARKS.items() if body.startswith(mark)), None)
    if not marked and b"\0" in body[:SNIFFED]:
        raise BadInput("there is no text on it")
    declared = DECLARED.search(body[:SNIFFED])
    for name in (marked, "utf-8", charset, declared[1].decode("ascii") if declared else None):
        try:
            if name:
                return XML_DECLARATION.sub("", body.decode(CHARSETS.get(name.lower(), name)))
        except (LookupError, ValueError):
            continue
    fitting = from_bytes(body[:GUESSED]).best()
    return XML_DECLARATION.sub("", body.decode(fitting.encoding if fitting else "cp1252", errors="replace"))

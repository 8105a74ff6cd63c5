"""A news page as an announcement: title, date, address, picture and the text itself, without what stands around it.

What is the text, and what navigation, is decided by trafilatura; the date is found by htmldate. Both are loaded only
when a page is read, since that takes seconds.
"""

import datetime as dt
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from mailer.digests import days, prose
from mailer.digests.files import LONGEST, UNPRINTED, is_web_address
from mailer.errors import BadInput
from mailer.letters import markdown

if TYPE_CHECKING:
    from lxml.html import HtmlElement

SHORTEST = 40  # characters of a text that is worth a letter
# What a charset's name means on the web (WHATWG Encoding).
CHARSETS = {"iso-8859-1": "cp1252", "latin1": "cp1252", "ascii": "cp1252", "us-ascii": "cp1252", "gb2312": "gb18030"}
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
DECLARED = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
UNREADABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ue000\ue001\ufffe\uffff]")
# Two breaks are how old pages part paragraphs.
BREAKS = re.compile(r"(?:<br\s*/?>\s*){2,}", re.IGNORECASE)
PUBLISHED = (
    *("article:published_time", "og:article:published_time", "datepublished", "dcterms.issued", "dc.date.issued"),
    *("dcterms.created", "dc.date.created", "dcterms.date", "dc.date", "pubdate", "publishdate", "publish_date"),
    *("publication_date", "parsely-pub-date", "citation_publication_date", "date"),
)
JSON_DATE = re.compile(r'"datePublished"\s*:\s*"(\d{4}-\d{2}-\d{2})')
# Days that say something else of a page than when it was published.
OTHER_DAYS = re.compile(r"updat|modif|actuali|mis à jour|обновл|更新|تحديث|©|copyright", re.IGNORECASE)
LONGEST_DAY_LINE, AFTER, BEFORE = 80, 12, 5  # characters; lines from the title on, and up to it
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
    known = meta(page)
    base = base_of(page, known, address)
    said = everything(page)
    if sum(len(block.text) - block.links for block in said) < SHORTEST:  # a page that lists what stands elsewhere
        raise BadInput("there is no text on it")
    texts = [line for block in said for line in block.text.split("\n") if line]
    codes = tuple(dict.fromkeys((language(page, known) or "en", *languages, "en")))
    title = one_line(headline(page, known, texts, codes), "title")
    date = published(page, known, near_title(texts, title, codes), codes)
    prepare(page)
    found: Any = bare_extraction(
        page, url=base, include_links=True, include_formatting=True, include_images=True, include_comments=False
    )
    if found is None or found.body is None:
        raise BadInput("there is no text on it")
    blocks = trimmed(prose.blocks(as_html(found.body), base), title, date)
    if sum(len(squeezed(block.text)) for block in blocks) < SHORTEST:
        raise BadInput("there is no text on it")
    pictures = [(each.get("src"), each.get("alt")) for each in found.body.iter("img")]
    image, alt = picture([(known.get("og:image"), known.get("og:image:alt")), *pictures], base)
    url = canonical(page, known, base)
    return Found(
        source=url,
        title=title,
        date=date,
        url=url,
        language=language(page, known),
        summary=summary(known, title, blocks[0].text),
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


def meta(page: "HtmlElement") -> dict[str, str]:
    """What the page says of itself; the first of several that have the same name."""
    found: dict[str, str] = {}
    for each in page.iter("meta"):
        name = each.get("property") or each.get("name") or each.get("itemprop") or each.get("http-equiv")
        if name and each.get("content", "").strip():
            found.setdefault(name.strip().lower(), each.get("content").strip())
    if "twitter:image:alt" in found:
        found.setdefault("og:image:alt", found["twitter:image:alt"])
    return found


def one_line(text: str | None, field: str) -> str | None:
    """A text for a field of this name, without what no letter can hold; cut where it gets too long."""
    tidy = markdown.one_line(UNPRINTED.sub(" ", text or ""))
    longest = LONGEST[field]
    return (tidy if len(tidy) <= longest else tidy[: longest - 1].rsplit(" ", 1)[0] + "…") or None


def base_of(page: "HtmlElement", known: Mapping[str, str], address: str | None) -> str | None:
    """What the page's relative links are relative to."""
    given = page.find(".//base[@href]")
    whole = address or canonical(page, known, None)
    return whole if given is None else joined(whole, given.get("href"))


def canonical(page: "HtmlElement", known: Mapping[str, str], base: str | None) -> str | None:
    """The address that the page wants to be known by."""
    links = [each.get("href") for each in page.iter("link") if "canonical" in each.get("rel", "").lower().split()]
    whole = (joined(base, each) for each in (*links, known.get("og:url")) if each)
    return next(filter(None, whole), base)


def joined(base: str | None, link: str) -> str | None:
    try:
        whole = urljoin(base or "", link.strip())
    except ValueError:
        return base
    return whole if is_web_address(whole) and len(whole) <= LONGEST["url"] else base


def language(page: "HtmlElement", known: Mapping[str, str]) -> str | None:
    xml = "{http://www.w3.org/XML/1998/namespace}lang"
    given = page.get("lang") or page.get(xml) or known.get("content-language") or known.get("og:locale") or ""
    return re.split(r"[-_,;\s]", given.strip().lower())[0] or None


def headline(page: "HtmlElement", known: Mapping[str, str], texts: Sequence[str], codes: Sequence[str]) -> str | None:
    """The title that two places agree on: what the page is called, and what stands on it."""
    named = [known.get("og:title"), known.get("twitter:title"), page.findtext(".//title")]
    names = [
        part for name in named if name for part in (name, *re.split(r"\s[|–—·•»«:-]{1,2}\s", name)) if part.strip()
    ]
    headings = [block.text for level in ("h1", "h2") for each in page.iter(level) for block in prose.blocks(each, None)]
    for line in (*headings, *texts):
        if any(is_titular(name) and same(line, name) for name in names):
            return line
    prominent = [block.text for each in page.iter("h1") for block in prose.blocks(each, None) if is_titular(block.text)]
    if len(prominent) == 1 and prominent[0] != known.get("og:site_name"):
        return prominent[0]
    if above := above_day(texts, codes):
        return above
    both = [*headings, *names]
    return next((each for each in both if is_titular(each)), next(iter(both), None))


def is_titular(text: str) -> bool:
    """Whether it is as long as titles are, in bytes: four characters of Chinese may say as much as twelve letters."""
    return len(text.encode()) >= 10 and len(text) <= LONGEST["title"]


def above_day(texts: Sequence[str], codes: Sequence[str]) -> str | None:
    """The line of a title's length above the first day that stands alone."""
    for above, line in pairwise(texts):
        if len(line) <= LONGEST_DAY_LINE and not OTHER_DAYS.search(line) and days.find(line, codes):
            return above if is_titular(above) else None
    return None


def published(
    page: "HtmlElement", known: Mapping[str, str], near: dt.date | None, codes: Sequence[str]
) -> dt.date | None:
    """The day that the page states for machines, else the one near its title, else what htmldate finds."""
    from htmldate import find_date

    stated = [known[name] for name in PUBLISHED if name in known]
    stated += [day for each in page.iter("script") for day in JSON_DATE.findall(each.text or "")]
    if found := next(filter(None, (days.find(text, codes) for text in stated)), near):
        return found
    guessed = find_date(page, original_date=True, extensive_search=False)
    return dt.date.fromisoformat(guessed) if guessed else None


def everything(page: "HtmlElement") -> list[prose.Block]:
    """All that the page shows, with a time for machines where there is none for people."""
    copy = deepcopy(page)
    for each in copy.iter("time"):
        if not each.text_content().strip():
            each.text = each.get("datetime")
    return prose.blocks(copy, "https://anywhere.invalid/")  # so that every link counts as one


def near_title(texts: Sequence[str], title: str | None, codes: Sequence[str]) -> dt.date | None:
    """The day on a short line, or before a dash that begins a text, as close to the title as possible."""
    places = [number for number, line in enumerate(texts) if title and same(line, title)]
    start = places[-1] if places else -1
    following = texts[start + 1 : start + 1 + AFTER] if places else texts
    for line in (*following, *reversed(texts[max(0, start - BEFORE) : max(0, start)])):
        opening = re.split(r"\s[-–—]{1,2}\s|[:：]", line[:LONGEST_DAY_LINE], maxsplit=1)[0]
        short = line if len(line) <= LONGEST_DAY_LINE else opening if len(opening) < LONGEST_DAY_LINE else ""
        if short and not OTHER_DAYS.search(short) and (found := days.find(short, codes)):
            return found
    return None


def squeezed(text: str) -> str:
    """Letters and digits only, to compare by."""
    return re.sub(r"\W+", "", text).casefold()


def same(one: str, other: str) -> bool:
    return squeezed(one) == squeezed(other)


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
        else:
            each.tag = NAMES.get(each.tag, each.tag)
    return body


def trimmed(found: Sequence[prose.Block], title: str | None, date: dt.date | None) -> list[prose.Block]:
    """The text from below its title on, without the day, and without what invites to share it."""
    blocks = list(found)
    size = sum(len(block.text) for block in blocks)
    for number, block in enumerate(blocks):
        below = sum(len(each.text) for each in blocks[number + 1 :])
        if title and same(block.text, title) and below > size / 3:
            blocks = blocks[number + 1 :]
            break
    while blocks and (is_day(blocks[0], date) or is_aside(blocks[0])):
        blocks.pop(0)
    while blocks and is_aside(blocks[-1]):
        blocks.pop()
    return blocks


def is_day(block: prose.Block, date: dt.date | None) -> bool:
    numbers = {int(number) for number in re.findall(r"\d+", block.text)}
    return date is not None and len(block.text) <= LONGEST_DAY_LINE and {date.year, date.day} <= numbers


def is_aside(block: prose.Block) -> bool:
    """A row of buttons, or a rule that ends nothing."""
    each_line = [line for line in block.text.split("\n") if line]
    return block.markdown == "***" or (block.is_links and all(SHARING.fullmatch(line) for line in each_line))


def picture(candidates: Iterable[tuple[str | None, str | None]], base: str | None) -> tuple[str | None, str | None]:
    """The first picture that says what it shows, else the first one. Only https: nobody's mail loads another."""
    whole = [(joined(base, src), one_line(alt, "image-alt")) for src, alt in candidates if src]
    fit = [(src, alt) for src, alt in whole if src and src.startswith("https://") and src != base]
    named = [(src, alt or next((other for same, other in fit if same == src and other), None)) for src, alt in fit]
    return next((each for each in named if each[1]), named[0] if named else (None, None))


def summary(known: Mapping[str, str], title: str | None, first: str) -> str | None:
    """What the page says of itself, unless that is its title or how its text begins anyway."""
    for name in ("og:description", "description", "twitter:description"):
        text = one_line(known.get(name), "summary")
        start = (text or "").rstrip(".… ")
        if text and not same(text, title or "") and not first.startswith(start):
            return text
    return None


def decoded(body: bytes, charset: str | None) -> str:
    """Text, by what the server, the file's first bytes or the page say of its encoding, else by what fits."""
    from charset_normalizer import from_bytes

    written = DECLARED.search(body[:4096])
    declared = written[1].decode("ascii") if written else None
    if (declared or "").lower().startswith("utf-16"):  # it could not have been read
        declared = None
    marked = next((name for mark, name in MARKS.items() if body.startswith(mark)), None)
    for name in (marked, charset, declared, "utf-8"):
        try:
            if name:
                return XML_DECLARATION.sub("", body.decode(CHARSETS.get(name.lower(), name)))
        except (LookupError, UnicodeDecodeError):
            continue
    return XML_DECLARATION.sub("", str(from_bytes(body).best() or body.decode("cp1252", errors="replace")))

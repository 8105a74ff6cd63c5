"""What a news page says of itself, for machines and for people: title, day, address, language, picture, summary."""

import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
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

SHORTEST = 40  # characters of a page that are no links
PUBLISHED = (
    *("article:published_time", "og:article:published_time", "datepublished", "dcterms.issued", "dc.date.issued"),
    *("dcterms.created", "dc.date.created", "dcterms.date", "dc.date", "pubdate", "publishdate", "publish_date"),
    *("publication_date", "parsely-pub-date", "citation_publication_date", "date"),
)
# Where pages name who wrote them, the most telling first; what stands in the text is not looked at.
WRITTEN_BY = ("citation_author", "author", "article:author", "dcterms.creator", "dc.creator", "parsely-author")
JSON_DATE = re.compile(r'"datePublished"\s*:\s*"(\d{4}-\d{2}-\d{2})')
ADDRESS = re.compile(r"@|://")
# Days that say something else of a page than when it was published.
OTHER_DAYS = re.compile(r"updat|modif|actuali|mis à jour|обновл|更新|تحديث|©|copyright", re.IGNORECASE)
LONGEST_DAY_LINE, AFTER, BEFORE = 80, 12, 5  # characters; lines from the title on, and up to it


@dataclass(frozen=True)
class Facts:
    title: str | None
    date: dt.date | None
    url: str | None
    base: str | None  # what the page's relative links are relative to
    language: str | None
    author: str | None
    picture: tuple[str | None, str | None]  # its address, and what it shows
    descriptions: Sequence[str]

    def summary(self, first: str) -> str | None:
        """What the page says of itself, unless that is its title or how its text begins anyway."""
        fresh = (text for text in self.descriptions if not same(text, self.title or ""))
        return next((text for text in fresh if not first.startswith(text.rstrip(".… "))), None)


def read(page: "HtmlElement", languages: Sequence[str], address: str | None) -> Facts:
    """Of a page that was found at `address`. Raises BadInput for one that only lists what stands elsewhere."""
    known = meta(page)
    base = base_of(page, known, address)
    language = language_of(page, known)
    said = everything(page)
    if sum(len(block.text) - block.links for block in said) < SHORTEST:
        raise BadInput("there is no text on it")
    texts = [line for block in said for line in block.text.split("\n") if line]
    codes = tuple(dict.fromkeys((language or "en", *languages, "en")))
    title = one_line(headline(page, known, texts, codes), "title")
    told = (one_line(known.get(name), "summary") for name in ("og:description", "description", "twitter:description"))
    return Facts(
        title=title,
        date=published(page, known, near_title(texts, title, codes), codes),
        url=canonical(page, known, base),
        base=base,
        language=language,
        author=author(page),
        picture=(known.get("og:image"), known.get("og:image:alt") or known.get("twitter:image:alt")),
        descriptions=[text for text in told if text],
    )


def meta(page: "HtmlElement") -> dict[str, str]:
    """What the page says of itself; the first of several that have the same name."""
    found: dict[str, str] = {}
    for each in page.iter("meta"):
        name = name_of(each)
        if name and each.get("content", "").strip():
            found.setdefault(name, each.get("content").strip())
    return found


def name_of(meta: "HtmlElement") -> str:
    name = meta.get("property") or meta.get("name") or meta.get("itemprop") or meta.get("http-equiv") or ""
    return str(name).strip().lower()


def author(page: "HtmlElement") -> str | None:
    """Who the page says, for machines, wrote it."""
    told = [(name_of(each), each.get("content")) for each in page.iter("meta")]
    stated = (names(text for name, text in told if name == wanted) for wanted in WRITTEN_BY)
    return next(filter(None, stated), None) or names(found for each in data(page) for found in written_by(each))


def data(page: "HtmlElement") -> Iterator[Any]:
    """What stands in the page as JSON-LD."""
    for each in page.iter("script"):
        if each.get("type") == "application/ld+json":
            with suppress(ValueError, RecursionError):
                yield from listed(json.loads(each.text or ""))


def written_by(thing: Any) -> Iterator[object]:
    """What JSON-LD calls the authors of something, or of what it consists of."""
    for part in (thing, *listed(property_of(thing, "@graph"))):
        for each in listed(property_of(part, "author")):
            yield property_of(each, "name") if isinstance(each, dict) else each


def property_of(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, dict) else None


def listed(value: Any) -> list[Any]:
    """JSON-LD writes one of something without brackets."""
    return value if isinstance(value, list) else [value]


def names(found: Iterable[object]) -> str | None:
    """People's names in one line, without addresses: a profile's says nothing, and nobody's becomes public here."""
    lines = [one_line(each, "author") for each in found if isinstance(each, str)]
    return one_line(", ".join(dict.fromkeys(each for each in lines if each and not ADDRESS.search(each))), "author")


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


def language_of(page: "HtmlElement", known: Mapping[str, str]) -> str | None:
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
    with suppress(ValueError, OverflowError):  # it stumbles over a moment that can't be
        guessed = find_date(page, original_date=True, extensive_search=False)
        return dt.date.fromisoformat(guessed) if guessed else None
    return None


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


def picture(candidates: Iterable[tuple[str | None, str | None]], base: str | None) -> tuple[str | None, str | None]:
    """The first picture that says what it shows, else the first one. Only https: nobody's mail loads another."""
    whole = [(joined(base, src), one_line(alt, "image-alt")) for src, alt in candidates if src]
    fit = [(src, alt) for src, alt in whole if src and src.startswith("https://") and src != base]
    named = [(src, alt or next((other for same, other in fit if same == src and other), None)) for src, alt in fit]
    return next((each for each in named if each[1]), named[0] if named else (None, None))

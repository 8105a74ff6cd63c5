"""News pages and feeds as announcements: read from files or the web, added once, and asked about when they change.

All reading comes first; then one transaction writes what is good. What can't be used is told, and keeps nothing else
out.
"""

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from email.message import Message
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer import audit
from mailer.config import settings
from mailer.db import transaction
from mailer.digests import feeds, pages
from mailer.digests.announcements import WORDS, add_one, as_file, assign
from mailer.digests.facts import one_line
from mailer.digests.fetching import Fetcher
from mailer.digests.files import LARGEST as LARGEST_TEXT
from mailer.digests.files import LONGEST, UNPRINTED, AnnouncementFile, default_key, default_summary, is_web_address
from mailer.digests.pages import Found
from mailer.errors import BadInput
from mailer.languages import exists, name_in
from mailer.lists import the_list
from mailer.localtime import zone
from mailer.models import Announcement, AnnouncementTranslation
from mailer.states import AnnouncementType

LARGEST = 20_000_000  # bytes of a file; what comes from the web is limited by `fetching`
LONGEST_SOURCE = 500


@dataclass(frozen=True)
class Wanted:
    """What the operator says of everything that is imported; of a single page also what it does not say itself."""

    type: AnnouncementType = AnnouncementType.NEWS
    topics: tuple[str, ...] = ()
    language: str | None = None
    translation_of: str | None = None
    url: str | None = None
    title: str | None = None
    date: dt.date | None = None
    update: bool = False
    dry_run: bool = False

    @property
    def is_of_one_page(self) -> bool:
        return bool(self.translation_of or self.url or self.title or self.date)


@dataclass(frozen=True)
class Imported:
    """What became of one page or entry."""

    change: str  # added, updated or unchanged; changed: there, not taken over; kept: changed there and edited here
    file: AnnouncementFile
    announcement: Announcement | None = None  # None for one that a dry run would add
    new_topics: Sequence[str] = ()


@dataclass
class Result:
    done: list[Imported] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def import_all(sources: Sequence[str], wanted: Wanted, fetcher: Fetcher | None = None) -> Result:
    """Read every source, then add what is new. Raises BadInput for options that can't be meant."""
    languages = settings().languages
    if wanted.language and wanted.language not in languages:
        raise BadInput(f"language {wanted.language!r} is not one of this list's: {', '.join(languages)}")
    result = Result()
    items: list[tuple[str | None, AnnouncementFile]] = []
    for source in sources:
        try:
            found = found_in(source, wanted, fetcher)
        except BadInput as error:
            result.refused.append(str(error) if str(error).startswith(source) else f"{source}: {error}")
            continue
        for name, each in found:
            try:
                items.append((wanted.url or each.source, as_announcement(each, name, wanted)))
            except BadInput as error:
                result.refused.append(f"{name}: {error}")
    store(items, wanted, result)
    return result


def found_in(source: str, wanted: Wanted, fetcher: Fetcher | None) -> list[tuple[str, Found]]:
    """What a page or a feed says, each part with a name for what is wrong with it."""
    if "://" in source:
        page = (fetcher or Fetcher()).fetch(source)
        body, charset, address = page.body, charset_of(page.content_type), page.url
    else:
        body, charset, address = content(Path(source)), None, None
    if not feeds.is_feed(body):
        return [(source, pages.read(body, settings().languages, charset=charset, address=address))]
    if wanted.is_of_one_page:
        raise BadInput("it is a feed; --url, --title, --date and --translation-of are for a single page")
    entries = feeds.read(body, zone(), address=address)
    return [(f"{source}: entry {named(each, number)}", each) for number, each in enumerate(entries, 1)]


def named(each: Found, number: int) -> str:
    return repr(each.title or each.source or number)


def content(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise BadInput(f"is larger than {LARGEST // 1_000_000} MB")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror}") from None


def charset_of(content_type: str) -> str | None:
    header = Message()
    header["Content-Type"] = re.sub(r"[\r\n]", " ", content_type)
    return header.get_content_charset()


def as_announcement(found: Found, name: str, wanted: Wanted) -> AnnouncementFile:
    """Raises BadInput for what no announcement can do without."""
    title, day = one_line(wanted.title, "title") or found.title, wanted.date or found.date
    alone = " (for a single page, {} gives it)"
    if not title:
        raise BadInput("no title" + alone.format("--title"))
    if not day:
        raise BadInput("no date" + alone.format("--date"))
    if len(found.body.encode()) > LARGEST_TEXT:
        raise BadInput(f"its text is larger than {LARGEST_TEXT // 1000} kB; write a summary of it instead")
    url = wanted.url or found.url
    return AnnouncementFile(
        key=wanted.translation_of or default_key(title, day),
        is_translation=wanted.translation_of is not None,
        language=wanted.language or language(found.language),
        title=title,
        date=day,
        type=wanted.type,
        deadline=None,
        topics=wanted.topics,
        author=found.author,
        summary=found.summary or default_summary(title, found.body)[: LONGEST["summary"]],
        body=found.body,
        url=url if url and is_web_address(url) else None,
        image=found.image,
        image_alt=found.image_alt,
        name=name,
    )


def language(given: str | None) -> str:
    """The language that a page says it is in; the list's first if it does not say."""
    languages = settings().languages
    if given in languages or not given:
        return given or languages[0]
    called = f"{name_in(given, 'en')} ({given})" if exists(given) else repr(given)
    raise BadInput(f"it is in {called}, which is not one of this list's languages; --language says which it is")


def store(items: Sequence[tuple[str | None, AnnouncementFile]], wanted: Wanted, result: Result) -> None:
    """In one transaction: all that is good, or nothing. A dry run takes it back."""
    try:
        with transaction() as session:
            list_id = the_list().id
            for source, file in items:
                try:
                    result.done.append(put(session, list_id, source, file, wanted))
                except BadInput as error:
                    result.refused.append(str(error))
            if wanted.dry_run:
                raise TakenBack
    except TakenBack:
        result.done = [replace(each, announcement=known(each)) for each in result.done]


class TakenBack(Exception):
    """Ends the transaction of a dry run."""


def known(each: Imported) -> Announcement | None:
    return None if each.change == "added" else each.announcement


def put(session: Session, list_id: int, source: str | None, file: AnnouncementFile, wanted: Wanted) -> Imported:
    existing = find(session, list_id, source, file)
    text = existing.in_language(file.language) if existing else None
    if existing and not file.is_translation and existing.source != (source and shortened(source)):
        return Imported("unchanged", file, existing)  # known by its address, from a file or another source
    if existing and (text or not file.is_translation):
        return changed(session, existing, text, file, wanted)
    if not existing:
        file = replace(file, key=free_key(session, list_id, file.key))
    added = add_one(session, list_id, file)
    if not existing:
        assign(added.announcement, source=source and shortened(source), source_hash=fingerprint(file))
    audit.note(session, audit.operator(), "announcement import", f"announcement {added.announcement.id}, added")
    return Imported("added", file, added.announcement, added.new_topics)


def find(session: Session, list_id: int, source: str | None, file: AnnouncementFile) -> Announcement | None:
    """The announcement that it became before, or that an operator wrote about it; what it translates."""
    query = select(Announcement).filter_by(list_id=list_id)
    if file.is_translation:
        return session.scalar(query.filter_by(key=file.key))
    if source and (found := session.scalar(query.filter_by(source=shortened(source)))):
        return found
    if file.url:
        links = query.join(AnnouncementTranslation).where(AnnouncementTranslation.url == file.url)
        if found := session.scalar(links.order_by(Announcement.id).limit(1)):
            return found
    return None if source else session.scalar(query.filter_by(key=file.key))


def changed(
    session: Session,
    existing: Announcement,
    text: AnnouncementTranslation | None,
    file: AnnouncementFile,
    wanted: Wanted,
) -> Imported:
    """Whether it says something else than it did; taken over only if asked for, and never over what was edited here."""
    says = fingerprint(file)
    before = fingerprint(as_file(existing, text)) if text else says
    remembered = before if file.is_translation else existing.source_hash
    if text is None or remembered in (None, says):
        return Imported("unchanged", file, existing)
    if before != remembered:
        return Imported("kept", file, existing)
    if not wanted.update:
        return Imported("changed", file, existing)
    assign(text, **{name: getattr(file, name) for name in WORDS})
    if not file.is_translation:
        assign(existing, date=file.date, source_hash=says)
    audit.note(session, audit.operator(), "announcement import", f"announcement {existing.id}, updated")
    session.flush()
    return Imported("updated", file, existing)


def fingerprint(file: AnnouncementFile) -> str:
    """Of what an import takes over: the same here and there as long as nobody changed anything."""
    said = [None if file.is_translation else file.date.isoformat(), *(getattr(file, name) for name in WORDS)]
    if file.author is None:  # nor did the hashes hold one that were made before there were any
        said.pop(1 + WORDS.index("author"))
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def shortened(source: str) -> str:
    """What an index can hold of a name that others chose."""
    source = UNPRINTED.sub("", source)
    return source if len(source) <= LONGEST_SOURCE else f"sha256:{hashlib.sha256(source.encode()).hexdigest()}"


def free_key(session: Session, list_id: int, key: str) -> str:
    """Two items of one day may have the same title."""
    query = select(Announcement.key).where(Announcement.list_id == list_id, Announcement.key.startswith(key[:90]))
    taken = set(session.scalars(query))
    numbered: Iterator[str] = (f"{key[:95].strip('-')}-{number}" for number in range(2, len(taken) + 3))
    return key if key not in taken else next(name for name in numbered if name not in taken)

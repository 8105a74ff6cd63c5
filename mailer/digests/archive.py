"""Past digests, as anybody may read them: no address and no token in them."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup
from sqlalchemy import ColumnElement, Select, and_, func, select, tuple_

from mailer.config import settings
from mailer.db import db
from mailer.digests import editions, snapshot
from mailer.digests.editions import Item
from mailer.errors import NotFound
from mailer.languages import Language, language
from mailer.letters import markdown
from mailer.lists import list_id
from mailer.localtime import local
from mailer.models import Announcement, Digest
from mailer.parsing import is_word
from mailer.states import AnnouncementType, DigestState

LISTED = (DigestState.SENDING, DigestState.PAUSED, DigestState.SENT)
PER_PAGE = 20
LONGEST_SUMMARY = 300


@dataclass(frozen=True)
class Line:
    """An announcement where only its title is shown."""

    key: str
    title: str
    type: AnnouncementType
    language: Language


@dataclass(frozen=True)
class Card:
    """A past digest as a list in one language shows it."""

    slug: str
    name: str | None  # a title of the digest's own
    published_at: datetime
    lines: Sequence[Line | Item]

    @property
    def title(self) -> str:
        return self.name or self.lines[0].title

    @property
    def language(self) -> Language | None:
        """Of the title, if it is an announcement's."""
        return None if self.name else self.lines[0].language

    @property
    def date(self) -> dt.date:
        return local(self.published_at).date()

    @property
    def year(self) -> int:
        return self.date.year


@dataclass(frozen=True)
class Reading(Card):
    """A past digest as somebody reads it in one language."""

    items: Sequence[Item]
    intro: Markup
    corrected_at: datetime | None
    erratum: str | None
    erratum_language: Language
    changed_at: datetime
    is_listed: bool

    @property
    def summary(self) -> str:
        """The text's beginning, if there is one announcement, else what they are called."""
        first = self.items[0]
        words = [item.title for item in self.items] if len(self.items) > 1 else [first.lead or first.text]
        return shortened(markdown.one_line(" · ".join(words)))


def shortened(text: str) -> str:
    """Cut between two words, where there are blanks between words."""
    if len(text) <= LONGEST_SUMMARY:
        return text
    cut = text[:LONGEST_SUMMARY]
    return f"{cut.rpartition(' ')[0] or cut}…"


@dataclass(frozen=True)
class Shelf:
    """A page of the list, counted from 1."""

    digests: Sequence[Digest]
    number: int
    last: int


def shelf(number: int) -> Shelf:
    """The newest first. Raises NotFound for a page beyond the last; the first one is always there."""
    count = db.session.scalar(select(func.count()).select_from(Digest).where(listed())) or 0
    last = max(1, -(-count // PER_PAGE))
    if not 1 <= number <= last:
        raise NotFound(f"the archive has no page {number}")
    query = newest_first().offset((number - 1) * PER_PAGE).limit(PER_PAGE)
    return Shelf(db.session.scalars(query).all(), number, last)


def everything() -> Sequence[Digest]:
    """All that are listed, the newest first."""
    return db.session.scalars(newest_first()).all()


def find_public(slug: str) -> Digest:
    """The digest of an archive page. Raises NotFound for one that never began to go out.

    One that is kept out of the archive, or was cancelled in mid-run, keeps its page: letters that arrived link to it.
    """
    query = select(Digest).filter_by(list_id=list_id(), slug=slug)
    found = db.session.scalar(query) if is_word(slug) else None
    if found is None or found.published_at is None:
        raise NotFound("there is no such digest in the archive")
    return found


def neighbours(digest: Digest) -> tuple[Digest | None, Digest | None]:
    """The one before and the one after, of those that are listed."""
    key, own = tuple_(Digest.published_at, Digest.id), (digest.published_at, digest.id)
    oldest_first = select(Digest).where(listed(), key > own).order_by(Digest.published_at, Digest.id)
    before = db.session.scalar(newest_first().where(key < own).limit(1))
    return before, db.session.scalar(oldest_first.limit(1))


def card(digest: Digest, code: str) -> Card:
    lines = [line(announcement, code) for announcement in snapshot.announcements(digest)]
    return Card(digest.slug, editions.title(digest, code), published_at(digest), lines)


def line(announcement: Announcement, code: str) -> Line:
    text = editions.best(announcement.translations, code)
    return Line(announcement.key, text.title, announcement.type, language(text.language))


def read(digest: Digest, code: str) -> Reading:
    items = editions.items(digest, code)
    return Reading(
        slug=digest.slug,
        name=editions.title(digest, code),
        published_at=published_at(digest),
        lines=items,
        items=items,
        intro=editions.intro_html(digest, code),
        corrected_at=digest.corrected_at,
        erratum=digest.erratum,
        erratum_language=language(settings().languages[0]),
        changed_at=changed_at(digest),
        is_listed=is_listed(digest),
    )


def published_at(digest: Digest) -> datetime:
    return digest.published_at or digest.created_at  # it has one: only what began to go out is found


def changed_at(digest: Digest) -> datetime:
    return max(published_at(digest), digest.corrected_at or published_at(digest))


def archive_changed_at() -> datetime | None:
    """As far as dates tell. Digests that are kept out count, so that it never goes back."""
    query = select(func.max(Digest.published_at), func.max(Digest.corrected_at)).where(Digest.list_id == list_id())
    moments = db.session.execute(query.where(Digest.published_at.is_not(None))).one()
    return max((at for at in moments if at), default=None)


def mark(digest: Digest) -> object:
    """If it is the same, so is all that is shown of the digest."""
    return (
        digest.slug,
        snapshot.checksum(digest),
        digest.erratum,
        digest.corrected_at,
        published_at(digest),
        is_listed(digest),
    )


def is_listed(digest: Digest) -> bool:
    return digest.in_archive and digest.state in LISTED


def newest_first() -> Select[Digest]:
    return select(Digest).where(listed()).order_by(Digest.published_at.desc(), Digest.id.desc())


def listed() -> ColumnElement[bool]:
    """`is_listed` for the database."""
    in_reach = and_(Digest.list_id == list_id(), Digest.published_at.is_not(None), Digest.in_archive)
    return and_(in_reach, Digest.state.in_(LISTED))

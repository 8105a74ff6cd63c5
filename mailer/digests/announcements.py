"""Announcements in the database: added from files, updated by adding them again, removed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from mailer import audit, topics
from mailer.config import settings
from mailer.db import db, transaction
from mailer.digests.files import AnnouncementFile, default_summary, read
from mailer.errors import BadAnnouncement, NotAllowed, NotFound
from mailer.languages import offered
from mailer.lists import the_list
from mailer.localtime import today
from mailer.models import Announcement, AnnouncementTranslation, Digest, DigestItem, Topic
from mailer.states import AnnouncementType, DigestState

P = ParamSpec("P")
T = TypeVar("T")


# What an announcement says in one language.
WORDS = ("title", "author", "summary", "body", "url", "image", "image_alt")


@dataclass(frozen=True)
class Added:
    """What became of one file."""

    announcement: Announcement
    translation: AnnouncementTranslation
    change: str  # added, updated or unchanged
    new_topics: Sequence[str] = ()


def add(paths: Sequence[Path], act: str | None = None) -> list[Added]:
    """Put announcement files into the database, all or none; translations may come in any order. `act` is what the
    book of what operators did calls it.

    Raises BadAnnouncement with a line for each thing that is wrong with any of them.
    """
    with all_faults() as faults:
        files = [faults.of(read, path, settings().languages) for path in paths]
        for fault in twice(file for file in files if file):
            faults.append(fault)
    return store([file for file in files if file], act)


def store(files: Sequence[AnnouncementFile], act: str | None = None) -> list[Added]:
    """Raises BadAnnouncement for translations of what is not there."""
    with transaction() as session, all_faults() as faults:
        mailing_list = the_list()
        originals_first = sorted(files, key=lambda file: file.is_translation)
        done = {file.name: faults.of(add_one, session, mailing_list.id, file) for file in originals_first}
        if act:
            note(session, act, [added for added in done.values() if added])
    return [added for file in files if (added := done[file.name])]


def note(session: Session, act: str, done: Iterable[Added]) -> None:
    for each in done:
        about = f"announcement {each.announcement.id}, {each.translation.language}, {each.change}"
        audit.note(session, audit.operator(), act, about)


class Faults(list[str]):
    def of(self, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What a verb gives; what it finds bad is kept."""
        try:
            return verb(*args, **kwargs)
        except BadAnnouncement as error:
            self.append(str(error))
            return None


@contextmanager
def all_faults() -> Iterator[Faults]:
    """Gathers faults, and raises all of them as one at the end."""
    faults = Faults()
    yield faults
    if faults:
        raise BadAnnouncement("\n".join(faults))


def twice(files: Iterable[AnnouncementFile]) -> Iterator[str]:
    """A fault for each file that says again what another one says in the same language."""
    seen: dict[tuple[str, str], str] = {}
    for file in files:
        first = seen.setdefault((file.key, file.language), file.name)
        if first != file.name:
            yield f"{file.name}: language: {first} says {file.key!r} in {file.language!r}, too; change one of them"


def add_one(session: Session, list_id: int, file: AnnouncementFile) -> Added:
    announcement = session.scalar(select(Announcement).filter_by(list_id=list_id, key=file.key))
    if announcement is None:
        if file.is_translation:
            raise BadAnnouncement(
                f"{file.name}: translation-of: there is no announcement {file.key!r}; "
                f"write 'key: {file.key}' into the file that this one translates, and add that one too"
            )
        announcement = Announcement(list_id=list_id, key=file.key, type=file.type, date=file.date, topics=[])
        session.add(announcement)
    elif file.is_translation and file.language == announcement.translations[0].language:
        raise BadAnnouncement(
            f"{file.name}: language: {file.key!r} itself is in {file.language!r}; say which one this translation is in"
        )
    new_topics = topics.ensure(session, list_id, file.topics)
    changed = not file.is_translation and assign(
        announcement, type=file.type, date=file.date, deadline=file.deadline, topics=list(file.topics)
    )
    text = announcement.in_language(file.language)
    new = text is None
    if text is None:
        text = AnnouncementTranslation(language=file.language, title=file.title)
        announcement.translations.append(text)
    changed |= assign(text, **{name: getattr(file, name) for name in WORDS})
    session.flush()
    return Added(announcement, text, "added" if new else "updated" if changed else "unchanged", new_topics)


def as_file(announcement: Announcement, text: AnnouncementTranslation) -> AnnouncementFile:
    """What a file would have to say to become this."""
    return AnnouncementFile(
        key=announcement.key,
        is_translation=text is not announcement.translations[0],
        language=text.language,
        date=announcement.date,
        type=announcement.type,
        deadline=announcement.deadline,
        topics=tuple(announcement.topics),
        name=f"announcement {announcement.id}, {text.language}",
        **{name: getattr(text, name) for name in WORDS},
    )


def lacking(announcement: Announcement, known: Mapping[str, Topic] | None = None) -> list[str]:
    """What a reader would miss in it, each in a few words; nothing of it keeps an announcement from being sent.

    `known` are the list's topics by key, for who asks about many announcements."""
    known = topics_by_key(announcement.list_id) if known is None else known
    missing = [code for code in offered(settings().languages) if not announcement.in_language(code)]
    return [
        *([f"no translation: {', '.join(missing)}"] if missing else []),
        *(lack for text in announcement.translations for lack in lacking_words(text)),
        *lacking_days(announcement),
        *(f"topic {key} is not known" for key in announcement.topics if key not in known),
        *(f"topic {key} is retired" for key in announcement.topics if key in known and known[key].retired_at),
    ]


def topics_by_key(list_id: int) -> dict[str, Topic]:
    return {topic.key: topic for topic in topics.every(list_id)}


def lacking_words(text: AnnouncementTranslation) -> list[str]:
    checks = {
        "no summary": text.summary == default_summary(text.title, text.body),
        "no url": not text.url,
        "image without alt": text.image and not text.image_alt,
    }
    return [f"{lack} ({text.language})" for lack, found in checks.items() if found]


def lacking_days(announcement: Announcement) -> list[str]:
    if announcement.deadline is None:
        has_one = announcement.type in (AnnouncementType.CALL, AnnouncementType.EVENT)
        return [f"{announcement.type} without a deadline"] if has_one else []
    return [f"deadline passed on {announcement.deadline}"] if announcement.deadline < today() else []


def keeping_their_words(announcement: Announcement) -> list[int]:
    """The digests that hold it and were approved: what changes now does not change them."""
    fixed = (state for state in DigestState if state not in (DigestState.DRAFT, DigestState.CANCELLED))
    query = select(Digest.id).join(DigestItem).where(DigestItem.announcement_id == announcement.id)
    return list(db.session.scalars(query.where(Digest.state.in_(list(fixed))).order_by(Digest.id)))


def assign(row: object, **values: object) -> bool:
    """Set attributes; whether any of them was different."""
    changed = any(getattr(row, name) != value for name, value in values.items())
    for name, value in values.items():
        setattr(row, name, value)
    return changed


def every() -> list[Announcement]:
    """The newest first."""
    list_id = the_list().id
    query = select(Announcement).filter_by(list_id=list_id).options(selectinload(Announcement.translations))
    return list(db.session.scalars(query.order_by(Announcement.date.desc(), Announcement.id.desc())))


def find(announcement_id: int) -> Announcement:
    found = db.session.get(Announcement, announcement_id)
    if found is None:
        raise NotFound(f"there is no announcement {announcement_id}: 'mailer announcement list' shows all of them")
    return found


def remove(announcement_id: int) -> Announcement:
    """Raises NotAllowed for one that a digest holds: what was sent stays on record."""
    with transaction() as session:
        announcement = find(announcement_id)
        query = select(DigestItem.digest_id).filter_by(announcement_id=announcement_id)
        digest_id = session.scalar(query.limit(1))
        if digest_id is not None:
            raise NotAllowed(f"announcement {announcement_id} stands in digest {digest_id} and stays on record")
        session.delete(announcement)
    return announcement

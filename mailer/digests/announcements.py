"""Announcements in the database: added from files, updated by adding them again, removed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer import topics
from mailer.config import settings
from mailer.db import db, transaction
from mailer.digests.files import AnnouncementFile, read
from mailer.errors import BadAnnouncement, NotAllowed, NotFound
from mailer.lists import the_list
from mailer.models import Announcement, AnnouncementTranslation, DigestItem


@dataclass(frozen=True)
class Added:
    """What became of one file."""

    announcement: Announcement
    translation: AnnouncementTranslation
    change: str  # added, updated or unchanged
    new_topics: Sequence[str] = ()


def add(paths: Sequence[Path]) -> list[Added]:
    """Put announcement files into the database, all or none; translations may come in any order.

    Raises BadAnnouncement for the first file that can't be used.
    """
    files = [read(path, settings().languages) for path in paths]
    with transaction() as session:
        mailing_list = the_list()
        originals_first = sorted(files, key=lambda file: file.is_translation)
        done = {file.name: add_one(session, mailing_list.id, file) for file in originals_first}
    return [done[file.name] for file in files]


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
    new_topics = topics.ensure(session, list_id, file.topics)
    changed = not file.is_translation and assign(
        announcement, type=file.type, date=file.date, deadline=file.deadline, topics=list(file.topics)
    )
    text = announcement.in_language(file.language)
    new = text is None
    if text is None:
        text = AnnouncementTranslation(language=file.language, title=file.title)
        announcement.translations.append(text)
    changed |= assign(
        text,
        title=file.title,
        summary=file.summary,
        body=file.body,
        url=file.url,
        image=file.image,
        image_alt=file.image_alt,
    )
    session.flush()
    return Added(announcement, text, "added" if new else "updated" if changed else "unchanged", new_topics)


def assign(row: object, **values: object) -> bool:
    """Set attributes; whether any of them was different."""
    changed = any(getattr(row, name) != value for name, value in values.items())
    for name, value in values.items():
        setattr(row, name, value)
    return changed


def every() -> list[Announcement]:
    """The newest first."""
    list_id = the_list().id
    query = select(Announcement).filter_by(list_id=list_id)
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

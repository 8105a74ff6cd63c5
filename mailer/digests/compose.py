"""A digest: announcements chosen and ordered for one sending."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.config import settings
from mailer.db import db, now, transaction
from mailer.digests import announcements
from mailer.digests.files import FORBIDDEN, UNPRINTED, slug
from mailer.errors import BadInput, NotFound
from mailer.lists import the_list
from mailer.models import Announcement, Digest, DigestItem
from mailer.states import DigestState, Frequency

LONGEST_TITLE = 200


@dataclass(frozen=True)
class Choice:
    """What an operator asked to be composed: ids, else files, else all since a date, else all that no digest holds."""

    ids: Sequence[int] = ()
    files: Sequence[Path] = ()
    since: date | None = None


def compose(
    choice: Choice, *, title: str | None = None, intro: str | None = None, frequency: Frequency | None = None
) -> Digest:
    """A new draft. Raises BadInput if nothing was chosen or the title can't stand in a subject line."""
    check_title(title)
    if intro and FORBIDDEN.search(intro):
        raise BadInput("the introduction holds a control character: save it as plain UTF-8 text")
    added = announcements.add(choice.files) if choice.files else []
    chosen_ids = list(dict.fromkeys([*choice.ids, *(each.announcement.id for each in added)]))
    with transaction() as session:
        mailing_list = the_list()
        if chosen_ids:
            chosen = [announcements.find(each) for each in chosen_ids]
        else:
            chosen = unsent(session, mailing_list.id, choice.since)
        if not chosen:
            raise BadInput(
                "there is nothing to compose: every announcement stands in a digest already ('mailer digest list'); "
                "add new ones, or name ids to use again"
            )
        digest = Digest(
            list_id=mailing_list.id,
            slug=free_slug(session, mailing_list.id, title or chosen[0].translations[0].title),
            title=title,
            intro=intro,
            frequency=frequency,
            items=[DigestItem(announcement=item, position=number) for number, item in enumerate(chosen, start=1)],
        )
        session.add(digest)
    return digest


def check_title(title: str | None) -> None:
    if title is not None and (not title.strip() or UNPRINTED.search(title) or re.search(r"[\r\n\t]", title)):
        raise BadInput("the title must be one line of text without control characters")
    if title is not None and len(title) > LONGEST_TITLE:
        raise BadInput(f"the title is longer than {LONGEST_TITLE} characters")


def unsent(session: Session, list_id: int, since: date | None) -> list[Announcement]:
    """Announcements that no digest but a cancelled one holds, the newest first; all from `since` on, if given."""
    query = select(Announcement).filter_by(list_id=list_id)
    if since:
        query = query.where(Announcement.date >= since)
    else:
        held = select(DigestItem.announcement_id).join(Digest).where(Digest.state != DigestState.CANCELLED)
        query = query.where(Announcement.id.not_in(held))
    return list(session.scalars(query.order_by(Announcement.date.desc(), Announcement.id.desc())))


def held_before(announcement: Announcement, digest: Digest) -> Digest | None:
    """An earlier digest that holds the announcement too, unless it was cancelled."""
    query = select(Digest).join(DigestItem).where(DigestItem.announcement_id == announcement.id)
    earlier = query.where(Digest.id < digest.id, Digest.state != DigestState.CANCELLED)
    return db.session.scalar(earlier.order_by(Digest.id.desc()).limit(1))


def free_slug(session: Session, list_id: int, title: str) -> str:
    """The digest's name in the archive: the day in the list's time zone, the title, a number if taken."""
    today = now().astimezone(ZoneInfo(settings().timezone)).date()
    base = f"{today.isoformat()}-{slug(title)[:60].strip('-')}"
    taken = set(session.scalars(select(Digest.slug).where(Digest.list_id == list_id)))
    numbered = (f"{base}-{number}" for number in range(2, len(taken) + 3))
    return base if base not in taken else next(name for name in numbered if name not in taken)


def find(digest_id: int) -> Digest:
    found = db.session.get(Digest, digest_id, populate_existing=True)
    if found is None:
        raise NotFound(f"there is no digest {digest_id}: 'mailer digest list' shows all of them")
    return found


def every() -> list[Digest]:
    """The newest first."""
    list_id = the_list().id
    return list(db.session.scalars(select(Digest).filter_by(list_id=list_id).order_by(Digest.id.desc())))


def local(at: datetime) -> datetime:
    """In the list's time zone."""
    return at.astimezone(ZoneInfo(settings().timezone))

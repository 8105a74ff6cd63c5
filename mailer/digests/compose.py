"""A digest: announcements chosen and ordered for one sending."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.config import settings
from mailer.db import db, transaction
from mailer.digests import announcements
from mailer.digests.files import UNPRINTED, slug
from mailer.errors import BadInput, NotAllowed, NotFound
from mailer.lists import the_list
from mailer.localtime import today
from mailer.models import Announcement, Digest, DigestItem, Introduction
from mailer.states import DigestState, Frequency

LONGEST_TITLE = 200
MOST_ITEMS = 60  # one bit each in an edition's selection; no letter could hold more anyway


@dataclass(frozen=True)
class Choice:
    """What an operator asked to be composed: ids, else files, else all since a date, else all that no digest holds."""

    ids: Sequence[int] = ()
    files: Sequence[Path] = ()
    since: date | None = None


@dataclass(frozen=True)
class Wishes:
    """What a draft is to have besides announcements. `again`: it goes also to those who got its announcements."""

    title: str | None = None
    introductions: Sequence[Introduction] = ()
    frequency: Frequency | None = None
    again: bool = False
    in_archive: bool = True


def compose(choice: Choice, wishes: Wishes = Wishes()) -> Digest:
    """A new draft. Raises BadInput if nothing was chosen, or too much, or the title can't stand in a subject line."""
    check_title(wishes.title)
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
        return draft(session, mailing_list.id, chosen, wishes)


def draft(session: Session, list_id: int, chosen: Sequence[Announcement], wishes: Wishes) -> Digest:
    """In the caller's transaction."""
    check_number(len(chosen))
    title = wishes.title or first_title(wishes.introductions)
    digest = Digest(
        list_id=list_id,
        slug=free_slug(session, list_id, title or chosen[0].translations[0].title),
        title=title,
        introductions=list(wishes.introductions),
        frequency=wishes.frequency,
        again=wishes.again,
        in_archive=wishes.in_archive,
        items=[DigestItem(announcement=item, position=number) for number, item in enumerate(chosen, start=1)],
    )
    session.add(digest)
    session.flush()
    return digest


def check_number(count: int) -> None:
    if count > MOST_ITEMS:
        raise BadInput(f"a digest holds at most {MOST_ITEMS} announcements, and these are {count}: name some of them")


def first_title(introductions: Sequence[Introduction]) -> str | None:
    """That of the list's first language that has one."""
    titles = {each.language: each.title for each in introductions if each.title}
    return next((titles[code] for code in settings().languages if code in titles), None)


def order(digest_id: int, first: Sequence[int]) -> Digest:
    """Put these announcements first, in this order; the others follow as they stood. Raises NotAllowed for a digest
    whose words are frozen, BadInput for an announcement that it does not hold."""
    with transaction() as session:
        digest = editable(session, digest_id)
        held = {item.announcement_id: item for item in digest.items}
        check_held(digest, first)
        wanted = [held[each] for each in dict.fromkeys(first)]
        place(session, digest, [*wanted, *(item for item in digest.items if item not in wanted)])
    return digest


def add(digest_id: int, ids: Sequence[int]) -> Digest:
    """Put announcements at the end of a draft; those that stand in it stay where they are."""
    with transaction() as session:
        digest = editable(session, digest_id)
        held = {item.announcement_id for item in digest.items}
        new = [announcements.find(each) for each in dict.fromkeys(ids) if each not in held]
        check_number(len(held) + len(new))
        last = digest.items[-1].position
        digest.items += [DigestItem(announcement=each, position=last + number) for number, each in enumerate(new, 1)]
    return digest


def drop(digest_id: int, ids: Sequence[int]) -> Digest:
    """Take announcements out of a draft. Raises BadInput if nothing would be left."""
    with transaction() as session:
        digest = editable(session, digest_id)
        check_held(digest, ids)
        left = [item for item in digest.items if item.announcement_id not in ids]
        if not left:
            raise BadInput(f"nothing would be left of digest {digest_id}: 'mailer digest cancel {digest_id}' drops it")
        digest.items = left
    return digest


def editable(session: Session, digest_id: int) -> Digest:
    digest = lock(session, digest_id)
    if digest.state is not DigestState.DRAFT:
        raise NotAllowed(f"digest {digest_id} is {digest.state}: only a draft's announcements can be changed")
    return digest


def check_held(digest: Digest, ids: Sequence[int]) -> None:
    if strange := [each for each in ids if each not in {item.announcement_id for item in digest.items}]:
        held = ", ".join(str(item.announcement_id) for item in digest.items)
        raise BadInput(f"announcement {strange[0]} does not stand in digest {digest.id}, which holds {held}")


def place(session: Session, digest: Digest, items: Sequence[DigestItem]) -> None:
    """No two of a digest's items may stand in the same place, not even for a moment."""
    beyond = max(item.position for item in items)
    for start in (beyond, 0):
        for number, item in enumerate(items, start + 1):
            item.position = number
        session.flush()
    session.refresh(digest, ["items"])


def keep_in_archive(digest_id: int, *, wanted: bool) -> Digest:
    """Whether the public sees it among the past digests."""
    with transaction() as session:
        digest = lock(session, digest_id)
        digest.in_archive = wanted
    return digest


def lock(session: Session, digest_id: int) -> Digest:
    """The digest as it is now, held until the transaction ends."""
    find(digest_id)
    query = select(Digest).filter_by(id=digest_id).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one()


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
    base = f"{today().isoformat()}-{slug(title)[:60].strip('-')}"
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

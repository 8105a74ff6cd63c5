"""Windows: the stretches of time whose announcements make one automatic digest (ADR 16)."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.db import now
from mailer.digests import announcements, compose, owing, selections
from mailer.digests.compose import Wishes
from mailer.models import Announcement, Digest, Window, WindowItem
from mailer.states import Frequency

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
MOST_OWED = 20  # announcements that catch up, in one digest; what exceeds them comes with the next


def served(session: Session, digest: Digest) -> None:
    """Everybody was enlisted to whom an automatic digest goes, in the caller's transaction. The moment is taken after
    that: who left the frequency before it, and was not enlisted, is owed what it brought."""
    window = given_up(session, digest)
    if window:
        owing.settle(session, digest)


def given_up(session: Session, digest: Digest) -> Window | None:
    """Nobody else will be enlisted. Gives the digest's window, if it has one."""
    window = session.scalar(select(Window).filter_by(digest_id=digest.id))
    if window and window.done_at is None:
        window.done_at = now()
    return window


def leave_empty(session: Session, digest: Digest) -> bool:
    """Nobody is left to whom an automatic digest could go: its window has none then, as if that had been known when it
    was closed. Whether the digest was one."""
    window = given_up(session, digest)
    if window:
        window.digest_id = None
    return window is not None


def last_end(session: Session, list_id: int, frequency: Frequency) -> datetime | None:
    query = select(func.max(Window.ends_at)).filter_by(list_id=list_id, frequency=frequency)
    return session.scalar(query)


def pass_over(session: Session, list_id: int, frequency: Frequency, until: datetime) -> None:
    """Begin the windows of a frequency that was not scheduled: no automatic digest will hold what was added before."""
    begins_at = last_end(session, list_id, frequency) or BEGINNING
    if begins_at < until:
        passed = Window(list_id=list_id, frequency=frequency, begins_at=begins_at, ends_at=until)
        passed.passed_over, passed.done_at = True, now()
        session.add(passed)
        take_in(session, passed)


def close(session: Session, list_id: int, frequency: Frequency, until: datetime) -> Window:
    """End the open window, and draft a digest of what it holds, in the caller's transaction; the next one begins there.

    A window that holds nothing, or nothing for anybody, has no digest.
    """
    begins_at = last_end(session, list_id, frequency) or BEGINNING
    window = Window(list_id=list_id, frequency=frequency, begins_at=begins_at, ends_at=until)
    session.add(window)
    items = take_in(session, window, compose.MOST_ITEMS)
    held = {each.id for each in items}
    owed = [each for each in owing.candidates(session, list_id, frequency) if each not in held]
    extra = [announcements.find(each) for each in owed[: min(MOST_OWED, compose.MOST_ITEMS - len(items))]]
    digest = draft(session, window, items, extra) if items or extra else None
    window.digest_id = digest.id if digest else None
    window.done_at = None if digest else now()
    return window


def take_in(session: Session, window: Window, most: int | None = None) -> list[Announcement]:
    """Announcements that were added before the window's end and belong to none of its frequency yet, the oldest first.
    What exceeds `most` is left to the next one."""
    taken = select(WindowItem.announcement_id).filter_by(frequency=window.frequency)
    new = select(Announcement).where(Announcement.list_id == window.list_id, Announcement.id.not_in(taken))
    new = new.where(Announcement.created_at < window.ends_at).order_by(Announcement.id).limit(most)
    found = list(session.scalars(new))
    session.flush()
    session.add_all(
        WindowItem(announcement_id=each.id, frequency=window.frequency, window_id=window.id) for each in found
    )
    session.flush()
    return found


def draft(
    session: Session, window: Window, items: Sequence[Announcement], extra: Sequence[Announcement]
) -> Digest | None:
    """The newest first. A digest that only catches up is none for the public, who read it all before. None if there is
    nobody to send it to."""
    wishes = Wishes(frequency=window.frequency, in_archive=bool(items))
    digest = compose.draft(session, window.list_id, [*newest_first(items), *newest_first(extra)], wishes)
    digest.scheduled_at = window.ends_at
    late = {each.id for each in extra}
    for item in digest.items:
        item.catches_up = item.announcement_id in late
    session.flush()
    if selections.count(session, digest):
        return digest
    session.delete(digest)
    session.flush()
    return None


def newest_first(items: Sequence[Announcement]) -> list[Announcement]:
    return sorted(items, key=lambda each: (each.date, each.id), reverse=True)

"""Schedules: the automatic digests of each frequency, closed, approved and sent when their time has come (ADR 16)."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db import db, exclusive, now, transaction
from mailer.digests import owing, rhythm, sending, windows
from mailer.errors import BadInput, NotAllowed
from mailer.lists import the_list
from mailer.localtime import zone
from mailer.models import Announcement, Schedule, WindowItem
from mailer.states import Frequency

log = logging.getLogger(__name__)

CATCH_UP_EVERY = timedelta(days=1)  # immediate digests that bring only what is owed


@dataclass(frozen=True)
class Standing:
    """A schedule, and when it runs next; `next_at` None: as soon as there is something to send."""

    frequency: Frequency
    at: str
    next_at: datetime | None


def rhythm_of(frequency: Frequency, at: str | None) -> rhythm.Rhythm | None:
    """None: as soon as there is something. Raises BadInput."""
    if frequency is Frequency.IMMEDIATE:
        if at:
            raise BadInput("immediate digests go out as soon as there is something: leave --at out")
        return None
    if not at:
        raise BadInput(f"say when a {frequency} digest goes out: --at {rhythm.EXAMPLES[frequency]!r}")
    return rhythm.parse(frequency, at)


def turn_on(frequency: Frequency, at: str | None) -> Standing:
    """Let automatic digests go out from now on. Their first window began at the last moment that the schedule would
    have had; after a change, the next one begins where the last one ended. Raises BadInput."""
    found, moment = rhythm_of(frequency, at), now()
    with transaction() as session:
        list_id = the_list().id
        if session.get(Schedule, (list_id, frequency)) is None:
            windows.pass_over(session, list_id, frequency, found.last(moment, zone()) if found else moment)
        wanted = Schedule(list_id=list_id, frequency=frequency, at=str(found or ""), set_at=moment)
        return standing(session.merge(wanted))


def turn_off(frequency: Frequency) -> None:
    """Raises NotAllowed for one that is not scheduled."""
    with transaction() as session:
        schedule = session.get(Schedule, (the_list().id, frequency))
        if schedule is None:
            raise NotAllowed(f"{frequency} digests are not scheduled: there is nothing to turn off")
        session.delete(schedule)


def every() -> list[Standing]:
    found = db.session.scalars(select(Schedule).filter_by(list_id=the_list().id)).all()
    return [standing(each) for each in sorted(found, key=lambda each: list(Frequency).index(each.frequency))]


def standing(schedule: Schedule) -> Standing:
    found = rhythm_of(schedule.frequency, schedule.at)
    return Standing(schedule.frequency, schedule.at, found.next(now(), zone()) if found else None)


def run() -> list[str]:
    """Close the windows whose time has come, and approve their digests: the schedule is the operator's approval. A line
    for each. Late, repeated and concurrent runs do no harm: what a window's time is, is known beforehand, and it can be
    closed once.

    Raises Busy if another process is doing it.
    """
    if not db.session.scalar(select(Schedule.list_id).limit(1)):
        return []
    at = now()
    found = db.session.scalars(select(Schedule)).all()
    due = [(each.list_id, each.frequency) for each in found if due_end(db.session(), each, at)]
    if not due:
        return []
    with exclusive("schedules"):
        return [line for list_id, frequency in due for line in run_one(list_id, frequency)]


def run_one(list_id: int, frequency: Frequency) -> list[str]:
    at = now()
    with transaction() as session:
        schedule = session.get(Schedule, (list_id, frequency), with_for_update=True, populate_existing=True)
        until = due_end(session, schedule, at) if schedule else None
        if until is None:
            return []  # it was done, or turned off, meanwhile
        window = windows.close(session, list_id, frequency, until)
        digest_id = window.digest_id
        late = at - until > sending.STALE or waited_long(session, window.id, at)
    if digest_id is None:
        return [f"{frequency} digest: nothing to send"]
    if why := "its time passed more than a day ago" if late else approve(digest_id):
        log.warning("digest %d waits for a person: %s", digest_id, why)
        return [f"digest {digest_id}: {frequency}, not approved by its schedule: {why}"]
    return [f"digest {digest_id}: {frequency}, approved by its schedule"]


def due_end(session: Session, schedule: Schedule, at: datetime) -> datetime | None:
    """Where the open window ends, if its time has come."""
    begun = windows.last_end(session, schedule.list_id, schedule.frequency)
    found = rhythm_of(schedule.frequency, schedule.at)
    if begun is None or begun >= at:
        return None  # a clock that was put back
    if found is None:
        return at if has_news(session, schedule.list_id, at, begun) else None
    slot = found.last(at, zone())
    return slot if slot > max(begun, schedule.set_at) else None


def has_news(session: Session, list_id: int, at: datetime, begun: datetime) -> bool:
    """Whether there is something for an immediate digest."""
    taken = select(WindowItem.announcement_id).filter_by(frequency=Frequency.IMMEDIATE)
    new = select(Announcement.id).where(Announcement.list_id == list_id, Announcement.id.not_in(taken))
    if session.scalar(new.where(Announcement.created_at < at).limit(1)):
        return True
    return at - begun >= CATCH_UP_EVERY and bool(owing.candidates(session, list_id, Frequency.IMMEDIATE))


def waited_long(session: Session, window_id: int, at: datetime) -> bool:
    """Whether an immediate digest would bring what was added more than a day ago."""
    held = (
        select(Announcement.created_at).join(WindowItem).filter_by(window_id=window_id, frequency=Frequency.IMMEDIATE)
    )
    return any(at - added > sending.STALE for added in session.scalars(held))


def approve(digest_id: int) -> str | None:
    """Why it could not be; None if it is."""
    try:
        sending.approve(digest_id)
    except BadInput as error:
        return str(error)
    return None

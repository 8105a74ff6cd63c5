"""What the ledger says: counts, what is due, what was written before. Reads only; `ledger` makes the changes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, func, select
from sqlalchemy.orm import Session

from mailer.db import clock, db, now
from mailer.delivery.ledger import in_scope
from mailer.models import Delivery, Digest, Edition, Run, Subscriber
from mailer.states import DeliveryState, LetterKind

STALE_BEAT = timedelta(seconds=5)  # a sender that is alive writes one every second


@dataclass(frozen=True)
class Tally:
    """A digest's rows by state. Enlisted is their sum: nobody leaves the ledger."""

    queued: int = 0
    sending: int = 0
    accepted: int = 0
    deferred: int = 0
    bounced: int = 0
    blocked: int = 0
    cancelled: int = 0
    unknown: int = 0

    @property
    def enlisted(self) -> int:
        return sum(getattr(self, state) for state in DeliveryState)

    @property
    def untried(self) -> int:
        return self.queued + self.sending

    @property
    def open(self) -> int:
        return self.untried + self.deferred

    def plus(self, counts: Mapping[DeliveryState, int], retried: int) -> "Tally":
        """The tally after a run has brought about `counts`, `retried` of them of letters that had been put off."""
        now = {state.value: getattr(self, state) + counts.get(state, 0) for state in DeliveryState}
        tried = sum(counts.values()) - retried
        now |= {"queued": max(0, self.untried - tried), "sending": 0, "deferred": max(0, now["deferred"] - retried)}
        return Tally(**now)


def was_enlisted(digest_id: int) -> bool:
    return bool(db.session.scalar(select(exists().where(in_scope(digest_id)))))


def tally_of(session: Session, digest_id: int) -> Tally:
    query = select(Delivery.state, func.count()).where(Delivery.digest_id == digest_id).group_by(Delivery.state)
    return Tally(**{state.value: count for state, count in session.execute(query)})


def tally(digest_id: int) -> Tally:
    return tally_of(db.session(), digest_id)


class ReportLine(NamedTuple):
    """What became of one recipient's letter. `email`: None if the person was erased or forgotten since."""

    email: str | None
    state: DeliveryState
    attempts: int
    settled_at: datetime | None
    reply: str | None


def report(digest_id: int) -> Iterator[ReportLine]:
    """A line per recipient, in the order they were enlisted, by a cursor of the database: there may be a million."""
    columns = (Subscriber.email, Delivery.state, Delivery.attempts, Delivery.settled_at, Delivery.reply)
    query = select(*columns).join(Delivery.subscriber).where(in_scope(digest_id)).order_by(Delivery.id)
    for row in db.session.execute(query.execution_options(yield_per=1000)):
        yield ReportLine(*row)


def next_due(digest_id: int | None) -> datetime | None:
    """When the next deferred letter may go out."""
    query = select(func.min(Delivery.next_at)).where(in_scope(digest_id), Delivery.next_at.is_not(None))
    return db.session.scalar(query)


def is_due(digest_id: int | None) -> bool:
    """Whether a run would find something to do now: letters, or what a dead run left."""
    at_work = select(exists().where(runs_in(digest_id)))
    due = [select(exists().where(waits(digest_id, now())))]
    if digest_id is not None:
        cursor = db.session.scalar(select(Digest.cursor).where(Digest.id == digest_id)) or 0
        due.append(select(exists().where(untried(digest_id, cursor))))
    return any(db.session.scalar(query) for query in [at_work, *due])


def is_neglected(digest_id: int | None) -> bool:
    """Whether something is due and no living sender is at it."""
    alive = exists().where(runs_in(digest_id), is_alive())
    return not db.session.scalar(select(alive)) and is_due(digest_id)


def free_seats(digest_id: int, number: int) -> list[int]:
    """Those of so many seats in which no living sender is."""
    alive = select(Run.seat).where(runs_in(digest_id), is_alive())
    taken = set(db.session.scalars(alive))
    return [seat for seat in range(number) if seat not in taken]


def holds_back(digest_id: int) -> bool:
    """Whether letters of a digest wait for their turn at a provider that must not be hurried."""
    waiting = and_(in_scope(digest_id), Delivery.next_at.is_not(None), Delivery.state == DeliveryState.QUEUED)
    return bool(db.session.scalar(select(exists().where(waiting))))


def is_open(session: Session, digest: Digest) -> bool:
    """Whether a letter of the digest is still to be tried. Quick however many there are."""
    left = (and_(in_scope(digest.id), Delivery.next_at.is_not(None)), untried(digest.id, digest.cursor))
    found = [session.scalar(select(exists().where(rows))) for rows in left]
    return any(found) or bool(session.scalar(select(exists().where(runs_in(digest.id)))))


def waits(digest_id: int | None, at: datetime) -> ColumnElement[bool]:
    """The rows whose time has come: put off, given back, or of the outbox."""
    return and_(in_scope(digest_id), Delivery.next_at <= at)


def untried(digest_id: int, cursor: int) -> ColumnElement[bool]:
    """The rows of a digest that were never claimed."""
    beyond = Delivery.subscriber_id > cursor
    return and_(in_scope(digest_id), beyond, Delivery.state == DeliveryState.QUEUED)


def runs_in(digest_id: int | None) -> ColumnElement[bool]:
    return Run.digest_id.is_(None) if digest_id is None else Run.digest_id == digest_id


def is_alive() -> ColumnElement[bool]:
    return Run.beat_at > clock(db.session()) - STALE_BEAT


class OtherRun(NamedTuple):
    """A run of another process, alive or dead. `silent`: since its last sign of life."""

    id: int
    uid: str
    seat: int
    host: str
    folder: str
    journaled: int
    silent: timedelta


def runs(digest_id: int | None) -> list[OtherRun]:
    at = clock(db.session())
    columns = (Run.id, Run.uid, Run.seat, Run.host, Run.folder, Run.journaled, Run.beat_at)
    rows = db.session.execute(select(*columns).where(runs_in(digest_id)).order_by(Run.id))
    return [OtherRun(*row[:-1], at - row.beat_at) for row in rows]


def claimed_by(session: Session, run_id: int, digest_id: int | None) -> Sequence[int]:
    return session.scalars(select(Delivery.id).where(in_scope(digest_id), Delivery.run_id == run_id)).all()


def rate(digest_id: int) -> float | None:
    """Letters a second that living senders deliver together; None if there are none."""
    return db.session.scalar(select(func.sum(Run.rate)).where(Run.digest_id == digest_id, is_alive()))


def last_letters(session: Session, subscriber_ids: Sequence[int]) -> Mapping[int, Mapping[LetterKind, datetime]]:
    """When a letter of each kind was last written to each of these people."""
    found: dict[int, dict[LetterKind, datetime]] = {subscriber_id: {} for subscriber_id in subscriber_ids}
    for row in session.connection().execute(newest_letters(), {"subscribers": list(found)}):
        found[row.subscriber_id][row.letter] = row.newest
    return found


@cache
def newest_letters() -> Select[int, LetterKind, datetime]:
    theirs = Delivery.subscriber_id.in_(bindparam("subscribers", expanding=True))
    newest = select(Delivery.subscriber_id, Edition.letter, func.max(Delivery.created_at).label("newest"))
    return newest.join(Delivery.edition).where(theirs).group_by(Delivery.subscriber_id, Edition.letter)


def count_letters(session: Session, subscriber_id: int, kind: LetterKind, since: datetime) -> int:
    """How many letters of this kind were written to this person since then."""
    theirs = and_(Delivery.subscriber_id == subscriber_id, Delivery.created_at >= since, Edition.letter == kind)
    return session.scalar(select(func.count()).select_from(Delivery).join(Delivery.edition).where(theirs)) or 0


class StoredEdition(NamedTuple):
    """What all copies of an edition share."""

    list_id: int
    letter: LetterKind
    language: str
    sha256: str
    content: bytes


def edition(edition_id: int) -> StoredEdition:
    """The edition, with nothing left open: it is read before the network is waited for."""
    columns = (Edition.list_id, Edition.letter, Edition.language, Edition.sha256, Edition.content)
    found = db.session.execute(select(*columns).where(Edition.id == edition_id)).one()
    db.session.rollback()
    return StoredEdition(*found)

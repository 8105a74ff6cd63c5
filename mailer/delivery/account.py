"""What the ledger says: counts, what is due, what was written before. Reads only; `ledger` makes the changes."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, exists, func, select
from sqlalchemy.orm import Session

from mailer.db import db, now
from mailer.delivery.ledger import confirmed, due, in_scope
from mailer.models import Delivery, Edition, Subscriber
from mailer.states import DeliveryState, Frequency, LetterKind


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
    def open(self) -> int:
        return self.queued + self.sending + self.deferred


def count_confirmed(list_id: int, frequency: Frequency | None) -> int:
    return db.session.scalar(select(func.count()).select_from(confirmed(list_id, frequency).subquery())) or 0


def tally_of(session: Session, digest_id: int) -> Tally:
    query = select(Delivery.state, func.count()).where(Delivery.digest_id == digest_id).group_by(Delivery.state)
    return Tally(**{state.value: count for state, count in session.execute(query)})


def tally(digest_id: int) -> Tally:
    return tally_of(db.session(), digest_id)


def rows(digest_id: int) -> list[tuple[str | None, Delivery]]:
    """Every recipient's address and row, in the order they were enlisted."""
    query = select(Subscriber.email, Delivery).join(Delivery.subscriber).where(in_scope(digest_id))
    return [(row[0], row[1]) for row in db.session.execute(query.order_by(Delivery.id))]


def next_due(digest_id: int | None) -> datetime | None:
    """When the next deferred letter may go out."""
    query = select(func.min(Delivery.next_at)).where(in_scope(digest_id), Delivery.state == DeliveryState.DEFERRED)
    return db.session.scalar(query)


def is_due(digest_id: int | None) -> bool:
    return bool(db.session.scalar(select(exists().where(due(digest_id, now())))))


def has_abandoned(digest_id: int | None) -> bool:
    """Whether rows are `sending`: somebody is at it, or died at it."""
    mine = and_(in_scope(digest_id), Delivery.state == DeliveryState.SENDING)
    return bool(db.session.scalar(select(exists().where(mine))))


def last_letter(session: Session, subscriber_id: int, kind: LetterKind) -> datetime | None:
    """When a letter of this kind was last written to this person."""
    query = (
        select(func.max(Delivery.created_at))
        .join(Delivery.edition)
        .where(Delivery.subscriber_id == subscriber_id, Edition.letter == kind)
    )
    return session.scalar(query)


def contents(edition_id: int) -> bytes:
    found = db.session.scalar(select(Edition.content).where(Edition.id == edition_id))
    db.session.rollback()  # nothing stays open across the network
    if found is None:
        raise LookupError(f"edition {edition_id} is gone")
    return found

"""The ledger: every change of a delivery. Committed before and after the network, never held open across it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from mailer.db import now, transaction
from mailer.delivery.outcomes import Outcome
from mailer.letters.slots import Recipient
from mailer.models import Delivery, Digest, Edition, Subscriber, Subscription
from mailer.states import DeliveryState, DigestState, Frequency, LetterKind, SubscriptionState


@dataclass(frozen=True)
class Letter:
    """A claimed row: ours until it is settled or released."""

    id: int
    edition_id: int
    kind: LetterKind
    attempts: int
    first_tried_at: datetime | None
    recipient: Recipient


@dataclass(frozen=True)
class Settlement:
    """A letter's outcome with what follows from it for the ledger."""

    id: int
    outcome: Outcome
    next_at: datetime | None = None


def confirmed(list_id: int, frequency: Frequency | None) -> Select[int]:
    """The subscribers that a digest of this frequency goes to (every frequency if none is given)."""
    query = (
        select(Subscriber.id)
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(Subscription.list_id == list_id, Subscription.state == SubscriptionState.CONFIRMED)
    )
    return query.where(Subscription.frequency == frequency) if frequency else query


def enlist(session: Session, digest: Digest, editions: Mapping[str, int], fallback: str, at: datetime) -> int:
    """One row for each confirmed subscriber, in the edition of their language; how many. In the caller's transaction.

    `editions` maps a language to its edition's id and holds `fallback`. The unique constraint on (digest, subscriber)
    makes a second enlisting of the same digest impossible.
    """
    edition = case(editions, value=Subscriber.language, else_=editions[fallback])
    people = confirmed(digest.list_id, digest.frequency).with_only_columns(
        edition,
        literal(digest.id),
        Subscriber.id,
        literal(DeliveryState.QUEUED, Delivery.state.type),
        literal(0),
        literal(at, Delivery.created_at.type),
        literal(False),
    )
    columns = ["edition_id", "digest_id", "subscriber_id", "state", "attempts", "created_at", "resent"]
    session.execute(insert(Delivery).from_select(columns, people.order_by(Subscriber.id)))
    # A database that planned for empty tables would crawl through full ones.
    for table in ("delivery", "subscriber", "subscription"):
        session.execute(text(f"ANALYZE {table}"))
    return session.scalar(select(func.count()).select_from(Delivery).where(in_scope(digest.id))) or 0


def enqueue(session: Session, edition: Edition, subscriber: Subscriber, at: datetime) -> None:
    """One letter for one person, in the caller's transaction: it goes out if, and only if, that commits."""
    session.add(Delivery(edition=edition, subscriber=subscriber, state=DeliveryState.QUEUED, created_at=at))


def in_scope(digest_id: int | None) -> ColumnElement[bool]:
    """The rows of a digest, or those of the outbox: letters that belong to no digest."""
    return Delivery.digest_id.is_(None) if digest_id is None else Delivery.digest_id == digest_id


def due(digest_id: int | None, at: datetime) -> ColumnElement[bool]:
    return and_(
        in_scope(digest_id),
        or_(
            Delivery.state == DeliveryState.QUEUED,
            and_(Delivery.state == DeliveryState.DEFERRED, Delivery.next_at <= at),
        ),
    )


def claim(digest_id: int | None, limit: int) -> list[Letter]:
    """Take up to `limit` due letters: ours alone from now on, committed before any of them goes out.

    Of a digest, nothing while it is paused or cancelled; a person who is no longer confirmed is cancelled instead.
    """
    with transaction() as session:
        if digest_id is not None and not is_sending(session, digest_id):
            return []
        query = select(Delivery.id).where(due(digest_id, now())).order_by(Delivery.id).limit(limit)
        ids = list(session.scalars(query.with_for_update(skip_locked=True)))
        if digest_id is not None:
            ids = cancel_withdrawn(session, ids)
        mine = update(Delivery).where(Delivery.id.in_(ids))
        session.execute(mine.values(state=DeliveryState.SENDING, next_at=None))
        return letters(session, ids)


def is_sending(session: Session, digest_id: int) -> bool:
    state = session.scalar(select(Digest.state).where(Digest.id == digest_id))
    return state is DigestState.SENDING


def cancel_withdrawn(session: Session, ids: Sequence[int]) -> list[int]:
    """Cancel the letters of those who left since they were enlisted; the ids that remain."""
    mine = Delivery.id.in_(ids)
    on_the_list = and_(Subscription.list_id == Edition.list_id, Subscription.subscriber_id == Delivery.subscriber_id)
    still_confirmed = (
        select(Delivery.id)
        .join(Delivery.edition)
        .join(Subscription, on_the_list)
        .where(mine, Subscription.state == SubscriptionState.CONFIRMED)
    )
    remaining = list(session.scalars(still_confirmed.order_by(Delivery.id)))
    if len(remaining) < len(ids):
        gone = update(Delivery).where(mine, Delivery.id.not_in(remaining))
        reply = "left the list before the letter went out"
        session.execute(gone.values(state=DeliveryState.CANCELLED, next_at=None, settled_at=now(), reply=reply))
    return remaining


def letters(session: Session, ids: Sequence[int]) -> list[Letter]:
    columns = (
        Delivery.id,
        Delivery.edition_id,
        Edition.letter,
        Delivery.attempts,
        Delivery.first_tried_at,
        Subscriber.email,
        Subscriber.uid,
        Edition.list_id,
        Delivery.created_at,
        Edition.language,
        Edition.sha256,
    )
    query = select(*columns).join(Delivery.edition).join(Delivery.subscriber).where(Delivery.id.in_(ids))
    return [
        Letter(
            row.id,
            row.edition_id,
            row.letter,
            row.attempts,
            row.first_tried_at,
            Recipient(str(row.email), row.uid, row.list_id, row.created_at, row.language, row.sha256),
        )
        for row in session.execute(query.order_by(Delivery.id))
    ]


def settle(settlements: Sequence[Settlement]) -> None:
    """Write down what became of claimed letters. A row that another sender took for abandoned is known after all."""
    if not settlements:
        return
    at = now()
    change = (
        update(Delivery)
        .where(
            Delivery.id == bindparam("row"),
            or_(Delivery.state == DeliveryState.SENDING, Delivery.state == DeliveryState.UNKNOWN),
        )
        .values(
            state=bindparam("to"),
            attempts=Delivery.attempts + 1,
            next_at=bindparam("again"),
            first_tried_at=func.coalesce(Delivery.first_tried_at, at),
            settled_at=at,
            reply=bindparam("said"),
        )
    )
    rows = [
        {"row": each.id, "to": each.outcome.state, "again": each.next_at, "said": each.outcome.reply}
        for each in settlements
    ]
    with transaction() as session:
        session.connection().execute(change, rows)


def release(ids: Sequence[int]) -> None:
    """Give back claimed letters that were not begun: no attempt is counted."""
    if ids:
        mine = and_(Delivery.id.in_(ids), Delivery.state == DeliveryState.SENDING)
        with transaction() as session:
            session.execute(update(Delivery).where(mine).values(state=DeliveryState.QUEUED))


def abandon(digest_id: int | None) -> int:
    """Rows that a dead process left `sending` become `unknown`: they may have arrived, so they are held and named.

    To be called by the holder of the sending lock, which no living process shares.
    """
    mine = and_(in_scope(digest_id), Delivery.state == DeliveryState.SENDING)
    reply = "the sender stopped in mid-run; whether this letter arrived is not known"
    with transaction() as session:
        ids = list(session.scalars(select(Delivery.id).where(mine)))
        session.execute(
            update(Delivery)
            .where(Delivery.id.in_(ids))
            .values(state=DeliveryState.UNKNOWN, settled_at=now(), reply=reply)
        )
    return len(ids)


def resend_unknown(digest_id: int | None) -> bool:
    """Queue again, once each, the letters of unknown fate; whether there were any."""
    once = and_(in_scope(digest_id), Delivery.state == DeliveryState.UNKNOWN, Delivery.resent.is_(False))
    with transaction() as session:
        ids = list(session.scalars(select(Delivery.id).where(once)))
        session.execute(
            update(Delivery)
            .where(Delivery.id.in_(ids))
            .values(state=DeliveryState.QUEUED, resent=True, settled_at=None)
        )
    return bool(ids)


def cancel_open(session: Session, digest_id: int) -> None:
    """Cancel what of a digest has not gone out, in the caller's transaction."""
    waiting = Delivery.state.in_((DeliveryState.QUEUED, DeliveryState.DEFERRED))
    session.execute(
        update(Delivery)
        .where(in_scope(digest_id), waiting)
        .values(state=DeliveryState.CANCELLED, next_at=None, settled_at=now(), reply="the digest was cancelled")
    )


def requeue(session: Session, digest_id: int, states: Sequence[DeliveryState]) -> int:
    """Queue again the letters in `states`, with the same bytes and Message-ID, in the caller's transaction."""
    mine = and_(in_scope(digest_id), Delivery.state.in_(states))
    count = session.scalar(select(func.count()).select_from(Delivery).where(mine)) or 0
    session.execute(
        update(Delivery)
        .where(mine)
        .values(state=DeliveryState.QUEUED, next_at=None, first_tried_at=None, settled_at=None)
    )
    return count

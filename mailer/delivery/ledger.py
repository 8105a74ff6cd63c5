"""The ledger: every change of a delivery. Committed before and after the network, never held open across it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Update,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from mailer.db import KEPT, insert_kept, now, transaction
from mailer.delivery.outcomes import Outcome
from mailer.models import Delivery, Digest, Edition, Subscriber, Subscription
from mailer.states import DeliveryState, Frequency, SubscriptionState

# A letter that was refused, or never went out, has brought nobody anything.
NOT_RECEIVED = (DeliveryState.CANCELLED, DeliveryState.BOUNCED, DeliveryState.BLOCKED)


def gets_digests(at: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Whether somebody is subscribed and not pausing."""
    pauses = and_(Subscription.paused_until.is_not(None), Subscription.paused_until > at)
    return and_(Subscription.state == SubscriptionState.CONFIRMED, not_(pauses))


def confirmed(list_id: int, frequency: Frequency | None) -> Select[int]:
    """The subscribers that a digest of this frequency goes to (every frequency if none is given)."""
    query = (
        select(Subscriber.id)
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(Subscription.list_id == list_id, gets_digests(now()))
    )
    return query.where(Subscription.frequency == frequency) if frequency else query


# Who gets which edition, for the time of one enlisting: a choice that changes meanwhile leaves nobody without one.
enlisting = Table(
    "enlisting",
    MetaData(),
    Column("subscriber_id", Integer, primary_key=True, autoincrement=False),
    Column("language", String(10), nullable=False),
    Column("selection", BigInteger, nullable=False),
    prefixes=["TEMPORARY"],
)


@contextmanager
def enlisted(session: Session, people: Select[int, str, int]) -> Iterator[None]:
    """Write down, for as long as the caller's transaction lasts, whom a digest goes to: subscriber, language of their
    edition, selection."""
    connection = session.connection()
    enlisting.create(connection)
    connection.execute(insert(enlisting).from_select(list(enlisting.c.keys()), people.order_by(Subscriber.id)))
    yield
    enlisting.drop(connection)


def enlist(session: Session, digest: Digest, at: datetime) -> int:
    """One row for each of those written down, in their edition; how many. In the caller's transaction.

    The unique constraint on (digest, subscriber) makes a second enlisting of the same digest impossible.
    """
    rows = select(
        Edition.id,
        literal(digest.id),
        enlisting.c.subscriber_id,
        literal(DeliveryState.QUEUED, Delivery.state.type),
        literal(0),
        literal(at, Delivery.created_at.type),
        literal(False),
    ).select_from(enlisting.join(Edition, theirs(digest)))
    columns = ["edition_id", "digest_id", "subscriber_id", "state", "attempts", "created_at", "resent"]
    session.execute(insert(Delivery).from_select(columns, rows.order_by(enlisting.c.subscriber_id)))
    if session.get_bind().dialect.name == "postgresql":  # which plans by what it last knew of the tables' sizes
        for table in ("delivery", "subscriber", "subscription"):
            session.execute(text(f"ANALYZE {table}"))
    return session.scalar(select(func.count()).select_from(Delivery).where(in_scope(digest.id))) or 0


def theirs(digest: Digest) -> ColumnElement[bool]:
    """The edition, in its newest words, of somebody who is written down."""
    return and_(
        Edition.digest_id == digest.id,
        Edition.revision == digest.revision,
        Edition.language == enlisting.c.language,
        Edition.selection == enlisting.c.selection,
    )


class NewDelivery(NamedTuple):
    """One that is to be written to one person. Not `kept`: the database is told of it, and nothing comes of it."""

    edition_id: int
    subscriber_id: int
    kept: bool = True


def enqueue(session: Session, new: Sequence[NewDelivery], at: datetime) -> None:
    """Letters for one person each, in the caller's transaction: they go out if, and only if, that commits."""
    same = {"state": DeliveryState.QUEUED, "attempts": 0, "resent": False, "created_at": at, "next_at": at}
    rows = [{"edition_id": each.edition_id, "subscriber_id": each.subscriber_id, KEPT: each.kept} for each in new]
    insert_kept(session, Delivery, [row | same for row in rows])


def in_scope(digest_id: int | None) -> ColumnElement[bool]:
    """The rows of a digest, or those of the outbox: letters that belong to no digest."""
    return Delivery.digest_id.is_(None) if digest_id is None else Delivery.digest_id == digest_id


def cancel(session: Session, rows: ColumnElement[bool], why: str) -> None:
    change = update(Delivery).where(rows)
    session.connection().execute(
        change.values(state=DeliveryState.CANCELLED, next_at=None, settled_at=now(), reply=why)
    )


def settle(
    session: Session,
    run_id: int,
    row: int,
    outcome: Outcome,
    at: datetime,
    next_at: datetime | None,
    attempts: int = 1,
) -> None:
    """Write down what became of a row that a run had claimed. One that was taken for lost is known after all.

    `attempts`: how many tries it adds.
    """
    values = {"row": row, "run": run_id, "at": at, "to": outcome.state, "again": next_at}
    session.connection().execute(settle_row(), {**values, "said": outcome.reply, "tries": attempts})


def owned() -> ColumnElement[bool]:
    return or_(Delivery.run_id == bindparam("run"), Delivery.state == DeliveryState.UNKNOWN)


@cache
def settle_row() -> Update:
    tried = bindparam("at", type_=Delivery.settled_at.type)
    return (
        update(Delivery)
        .where(Delivery.id == bindparam("row"), owned())
        .values(
            state=bindparam("to"),
            attempts=Delivery.attempts + bindparam("tries"),
            first_tried_at=func.coalesce(Delivery.first_tried_at, tried),
            settled_at=tried,
            reply=bindparam("said"),
            run_id=None,
            next_at=bindparam("again"),
        )
    )


def requeue(session: Session, rows: ColumnElement[bool], **values: Any) -> int:
    """Queue letters again, in the caller's transaction; how many. In the same edition they have the same bytes and
    Message-ID."""
    again = update(Delivery).where(rows).values(state=DeliveryState.QUEUED, next_at=now(), settled_at=None, **values)
    return session.connection().execute(again).rowcount


def renew(session: Session, digest: Digest, rows: ColumnElement[bool]) -> int:
    """Queue letters that were refused again, to those who are written down, in the editions that they would get now;
    how many. In the caller's transaction. A letter that may have arrived before goes out only as it was."""
    edition = (
        select(Edition.id).join(enlisting, theirs(digest)).where(enlisting.c.subscriber_id == Delivery.subscriber_id)
    )
    now_due = and_(rows, Delivery.subscriber_id.in_(select(enlisting.c.subscriber_id)))
    chosen = case((Delivery.resent, Delivery.edition_id), else_=edition.scalar_subquery())
    return requeue(session, now_due, edition_id=chosen, first_tried_at=None)


def resend_unknown(digest_id: int | None) -> bool:
    """Queue again, once each, the letters of unknown fate; whether there were any."""
    once = and_(in_scope(digest_id), Delivery.state == DeliveryState.UNKNOWN, Delivery.resent.is_(False))
    with transaction() as session:
        return bool(requeue(session, once, resent=True))


def rebind(session: Session, digest_id: int, editions: Mapping[int, int]) -> int:
    """Give letters that are still to go out another edition, in the caller's transaction; how many. `editions` maps an
    old edition's id to a new one's. A letter that may have arrived goes out again only as it was."""
    waits = and_(Delivery.state.in_((DeliveryState.QUEUED, DeliveryState.DEFERRED)), Delivery.resent.is_(False))
    rows = and_(in_scope(digest_id), waits, Delivery.edition_id.in_(list(editions)))
    change = update(Delivery).where(rows).values(edition_id=case(editions, value=Delivery.edition_id))
    return session.connection().execute(change).rowcount


def editions_waiting(session: Session, digest_id: int) -> list[int]:
    """The editions of letters that are still to go out and can't have arrived."""
    waits = and_(Delivery.state.in_((DeliveryState.QUEUED, DeliveryState.DEFERRED)), Delivery.resent.is_(False))
    return list(session.scalars(select(Delivery.edition_id).where(in_scope(digest_id), waits).distinct()))


def cancel_open(session: Session, digest_id: int) -> None:
    """Cancel what of a digest has not gone out, in the caller's transaction."""
    open_ = Delivery.state.in_((DeliveryState.QUEUED, DeliveryState.DEFERRED))
    cancel(session, and_(in_scope(digest_id), open_), "the digest was cancelled")

"""Keeping nothing longer than it is needed for (GDPR 5(1)(e)). In batches, so that nobody waits; the settings say
after how many days:

    pending ──KEEP_PENDING_DAYS──▶ gone, or ended if they had been on the list before
    ended ──KEEP_ADDRESS_DAYS──▶ a keyed hash for an address ──KEEP_EVIDENCE_DAYS──▶ no evidence, a suppression
    delivery ──KEEP_REPLIES_DAYS──▶ without the server's reply
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from mailer import chores, pepper
from mailer.addresses import Address
from mailer.config import settings
from mailer.db import db, exclusive, now, scrub, take_turns, transaction
from mailer.models import Chore, ConsentEvent, Delivery, MailingList, Subscriber, Subscription
from mailer.states import ConsentKind, EndedReason, SubscriptionState, SuppressionReason
from mailer.subscriptions.erasing import remove_evidence
from mailer.subscriptions.lookup import FORGETTING, PERSON_FIRST
from mailer.subscriptions.suppression import suppress

EVERY = timedelta(hours=1)
LOOK = 10_000  # rows that are looked for at once, without any lock
BATCH = 500  # rows that are changed in one transaction
PAUSE = 0.02  # seconds after each, for whoever waits to write
MOST_SECONDS = 30.0  # what is left then is done at the next call
CHORE, REPLIES = "retention", "replies"


class Step(NamedTuple):
    """One thing to forget. `find` says which rows may be due; `forget` looks again, with the rows locked."""

    what: str
    find: Select[int]
    forget: Callable[[Session, Sequence[int]], int]


def steps() -> tuple[Step, ...]:
    config, at = settings(), now()
    unconfirmed = stale(at - timedelta(days=config.keep_pending_days))
    left = and_(Subscriber.email.is_not(None), gone(at - timedelta(days=config.keep_address_days)))
    long_ago = and_(Subscriber.email_hash.is_not(None), gone(at - timedelta(days=config.keep_evidence_days)))
    written = at - timedelta(days=config.keep_replies_days)
    return (
        Step(
            "sign-ups that nobody confirmed",
            select(Subscription.id).where(unconfirmed),
            lambda session, ids: purge_pending(session, and_(Subscription.id.in_(ids), unconfirmed)),
        ),
        Step(
            "addresses of people who left",
            people(left),
            lambda session, ids: forget_addresses(session, and_(Subscriber.id.in_(ids), left)),
        ),
        Step(
            "people who left long ago",
            people(long_ago),
            lambda session, ids: forget_people(session, and_(Subscriber.id.in_(ids), long_ago)),
        ),
        Step("replies of mail servers", old_letters(written), forget_replies),
    )


def is_due() -> bool:
    last = chores.done_at(CHORE)
    return last is None or not last <= now() < last + EVERY  # a clock that was set back is due too


def tidy(stop: threading.Event) -> dict[str, int]:
    """Forget what is due, an hour or more after the last time: {what: how many}. Raises Busy if another process is at
    it."""
    with exclusive(CHORE):
        if not is_due():
            return {}
        with transaction() as session:
            pepper.make(session)  # under the newest key, should it have been rotated
        deadline = time.monotonic() + MOST_SECONDS
        forgotten = {step.what: do(step, stop, deadline) for step in steps()}
        if not stop.is_set() and time.monotonic() < deadline:
            with transaction() as session:
                chores.note(session, CHORE)
        scrub()
        return {what: count for what, count in forgotten.items() if count}


def do(step: Step, stop: threading.Event, deadline: float) -> int:
    count = 0
    while ids := look(step.find):
        for begin in range(0, len(ids), BATCH):
            if stop.wait(PAUSE) or time.monotonic() > deadline:
                return count
            with transaction() as session:
                take_turns(session, FORGETTING)
                count += step.forget(session, ids[begin : begin + BATCH])
    return count


def look(query: Select[int]) -> Sequence[int]:
    """With nothing left open: on SQLite a write would wait for nothing, but its log could not be emptied."""
    found = db.session.scalars(query.limit(LOOK)).all()
    db.session.rollback()
    return found


def of_any_list() -> ColumnElement[bool]:
    """True, but with it databases find subscriptions by their index on (list, state)."""
    return Subscription.list_id.in_(select(MailingList.id))


def stale(before: datetime) -> ColumnElement[bool]:
    pending = Subscription.state == SubscriptionState.PENDING
    return and_(of_any_list(), pending, Subscription.requested_at < before)


def people(which: ColumnElement[bool]) -> Select[int]:
    """Subscribers with an ended subscription; one with several may come more than once."""
    theirs = select(Subscriber.id).join(Subscription, Subscription.subscriber_id == Subscriber.id)
    return theirs.where(of_any_list(), Subscription.state == SubscriptionState.ENDED, which)


def gone(before: datetime) -> ColumnElement[bool]:
    """Subscribers who have left every list they were on, all of them before that."""
    every = aliased(Subscription)
    stayed = (every.state != SubscriptionState.ENDED) | (every.ended_at >= before)
    return ~exists().where(every.subscriber_id == Subscriber.id, stayed)


def purge_pending(session: Session, which: ColumnElement[bool]) -> int:
    """Who never confirmed is removed wholly. Who had been on the list before, or is on another, is remembered as such:
    their new request has expired."""
    theirs, other = aliased(ConsentEvent), aliased(Subscription)
    history = exists().where(theirs.subscription_id == Subscription.id, theirs.kind != ConsentKind.ASKED)
    elsewhere = exists().where(other.subscriber_id == Subscription.subscriber_id, other.id != Subscription.id)
    query = select(Subscription, history | elsewhere).join(Subscription.subscriber).where(which)
    query = query.with_for_update(of=PERSON_FIRST)
    found = session.execute(query).all()
    for subscription, known in found:
        if known:
            subscription.end(EndedReason.EXPIRED, now())
    session.flush()
    remove(session, [subscription.subscriber_id for subscription, known in found if not known])
    return len(found)


def remove(session: Session, subscriber_ids: Sequence[int]) -> None:
    """People as if they had never been here, with all their rows."""
    mark_erased(session, subscriber_ids)
    remove_evidence(session, subscriber_ids)
    for rows in (Delivery.subscriber_id, Subscription.subscriber_id, Subscriber.id):
        session.execute(delete(rows.class_).where(rows.in_(subscriber_ids)))


def mark_erased(session: Session, subscriber_ids: Sequence[int]) -> None:
    """The database lets nobody else's evidence go."""
    blank = {"email": None, "email_key": None, "email_hash": None, "erased_at": now()}
    session.execute(update(Subscriber).where(Subscriber.id.in_(subscriber_ids)).values(blank))


def forget_addresses(session: Session, which: ColumnElement[bool]) -> int:
    """Keep a keyed hash in place of the address: no import revives them, and they are known again if they come back."""
    found = session.scalars(select(Subscriber).where(which).with_for_update()).all()
    for person in found:
        person.email_hash = pepper.address_hash(Address(str(person.email), str(person.email_key)))
        person.email = person.email_key = None
        person.erased_at = now()
    return len(found)


def forget_people(session: Session, which: ColumnElement[bool]) -> int:
    """Nobody can ask for their evidence any more. That somebody of this address left is all that is remembered."""
    found = session.execute(select(Subscriber.id, Subscriber.email_hash).where(which).with_for_update()).all()
    for _, email_hash in found:
        suppress(session, str(email_hash), SuppressionReason.LEFT)
    ids = [row_id for row_id, _ in found]
    mark_erased(session, ids)
    remove_evidence(session, ids)
    return len(found)


def old_letters(before: datetime) -> Select[int]:
    """No index finds the replies (every letter would have to keep it), so the ledger is walked through once, in the
    order in which it was written."""
    cursor = func.coalesce(select(Chore.cursor).where(Chore.name == REPLIES).scalar_subquery(), 0)
    next_ones = select(Delivery.id, Delivery.created_at).where(Delivery.id > cursor).order_by(Delivery.id).limit(LOOK)
    rows = next_ones.subquery()
    return select(rows.c.id).where(rows.c.created_at < before).order_by(rows.c.id)


def forget_replies(session: Session, ids: Sequence[int]) -> int:
    """That letters were sent, and what became of them, stays."""
    said = and_(Delivery.id.between(ids[0], ids[-1]), Delivery.reply.is_not(None))
    chores.note(session, REPLIES, ids[-1])
    return session.connection().execute(update(Delivery).where(said).values(reply=None)).rowcount

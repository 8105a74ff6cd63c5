"""Forgetting people (GDPR 17): address, evidence, what mail servers said of them. What stays, and why, is
in docs/adr.

After the commit, `db.scrub()` takes what was erased out of SQLite's write-ahead log too; `run-due` repeats it.
"""

from collections.abc import Sequence

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from mailer import audit
from mailer.addresses import Address
from mailer.db import now, scrub, take_turns, transaction
from mailer.errors import NotFound
from mailer.models import ConsentEvent, Delivery, Move, Subscriber, Subscription, fresh_uid
from mailer.pepper import address_hash
from mailer.states import EndedReason, SubscriptionState, SuppressionReason
from mailer.subscriptions import departures
from mailer.subscriptions.departures import Departure
from mailer.subscriptions.lookup import FORGETTING
from mailer.subscriptions.suppression import suppress


def erase(session: Session, subscriber: Subscriber, *, by: str, never_again: bool) -> None:
    """Remove all that tells who this was, in the caller's transaction, which has the turn to forget people before it
    locks any; the caller calls `db.scrub()` after its commit.

    What stays is a row without a name, so that the accounts of digests add up. No link of theirs leads to it any
    more; an unsubscribe link still answers that they are not subscribed. `by`: who does it, for the audit log.
    `never_again`: keep a keyed hash of the address, so that they are never written to again.
    """
    if never_again and (email_hash := hash_of(subscriber)):
        suppress(session, email_hash, SuppressionReason.ASKED)
    for subscription in subscriber.subscriptions:
        if subscription.state is not SubscriptionState.ENDED:
            subscription.end(EndedReason.ERASED, now())
        subscription.ended_reason = EndedReason.ERASED
        subscription.forget()
    subscriber.email = subscriber.email_key = subscriber.email_hash = None
    departures.note(session, subscriber.uid, Departure.ERASED)
    subscriber.uid = fresh_uid()
    subscriber.erased_at = now()
    session.flush()
    forget_moves(session, [subscription.id for subscription in subscriber.subscriptions])
    remove_evidence(session, [subscriber.id])
    session.execute(update(Delivery).where(Delivery.subscriber_id == subscriber.id).values(reply=None))
    audit.note(session, by, "erase", f"subscriber {subscriber.id}{', never again' if never_again else ''}")


def forget_moves(session: Session, subscription_ids: list[int]) -> None:
    """Which address took the place of which."""
    session.execute(delete(Move).where(or_(Move.to_id.in_(subscription_ids), Move.from_id.in_(subscription_ids))))


def hash_of(subscriber: Subscriber) -> str | None:
    if subscriber.email and subscriber.email_key:
        return address_hash(Address(subscriber.email, subscriber.email_key))
    return subscriber.email_hash


def remove_evidence(session: Session, subscriber_ids: Sequence[int]) -> None:
    """The consent events of people who were erased: the database refuses to delete anybody else's."""
    theirs = select(Subscription.id).where(Subscription.subscriber_id.in_(subscriber_ids))
    session.execute(delete(ConsentEvent).where(ConsentEvent.subscription_id.in_(theirs)))


def erase_address(address: Address, *, by: str, never_again: bool) -> None:
    """Erase whoever has, or had, this address. Raises NotFound if nobody does, unless they must never be mailed."""
    with transaction() as session:
        take_turns(session, FORGETTING)
        subscriber = find_subscriber(session, address)
        if subscriber:
            erase(session, subscriber, by=by, never_again=never_again)
        elif never_again:
            suppress(session, address_hash(address), SuppressionReason.ASKED)
            audit.note(session, by, "suppress", "an address that was not known")
        else:
            raise NotFound(f"{address} is not known here")
    scrub()


def find_subscriber(session: Session, address: Address) -> Subscriber | None:
    """By the address, or by its hash if the address was forgotten."""
    query = select(Subscriber).with_for_update()
    by_key = session.scalar(query.where(Subscriber.email_key == address.key))
    return by_key or session.scalar(query.where(Subscriber.email_hash == address_hash(address)))

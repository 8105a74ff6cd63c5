"""What is known of people: one person's record, all of them, and counts."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select

from mailer.addresses import Address
from mailer.db import db
from mailer.errors import NotFound
from mailer.lists import the_list
from mailer.models import Delivery, Subscriber, Subscription
from mailer.pepper import address_hash
from mailer.states import SubscriptionState


def find(address: Address) -> Subscription:
    """The subscription of this address; of somebody whose address was forgotten, by its hash. Raises NotFound."""
    query = select(Subscription).join(Subscription.subscriber).where(Subscription.list_id == the_list().id)
    found = db.session.scalar(query.where(Subscriber.email_key == address.key))
    found = found or db.session.scalar(query.where(Subscriber.email_hash == address_hash(address)))
    if found is None:
        raise NotFound(f"{address} is not on the list")
    return found


def every() -> Iterator[tuple[Subscription, Subscriber]]:
    """Everybody on the list whatever their state, in the order they came, without holding all in memory."""
    query = (
        select(Subscription, Subscriber)
        .join(Subscription.subscriber)
        .where(Subscription.list_id == the_list().id)
        .order_by(Subscription.id)
        .execution_options(yield_per=500)
    )
    yield from db.session.execute(query)


def record(subscription: Subscription) -> dict[str, Any]:
    """Everything we hold about one person on the list, ready for JSON."""
    deliveries = db.session.scalars(
        select(Delivery).filter_by(subscriber_id=subscription.subscriber_id).order_by(Delivery.id)
    )
    return {
        **summary(subscription, subscription.subscriber),
        "requested_at": moment(subscription.requested_at),
        "confirmed_at": moment(subscription.confirmed_at),
        "ended_at": moment(subscription.ended_at),
        "ended_reason": subscription.ended_reason,
        "consent": [
            {
                "kind": event.kind,
                "at": moment(event.at),
                "source": event.source,
                "ip": event.ip,
                "user_agent": event.user_agent,
                "language": event.language,
                "wording": event.wording.text if event.wording else None,
                "basis": event.basis or None,
            }
            for event in subscription.consent
        ],
        "deliveries": [
            {
                "letter": delivery.edition.letter,
                "subject": delivery.edition.subject,
                "state": delivery.state,
                "attempts": delivery.attempts,
                "created_at": moment(delivery.created_at),
                "settled_at": moment(delivery.settled_at),
                "reply": delivery.reply,
            }
            for delivery in deliveries
        ],
    }


def summary(subscription: Subscription, subscriber: Subscriber) -> dict[str, Any]:
    return {
        "email": subscriber.email,
        "state": subscription.state,
        "language": subscriber.language,
        "frequency": subscription.frequency,
        "topics": subscription.topics,
    }


def moment(at: Any) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


def counts() -> dict[str, int]:
    """How many subscriptions are in each state."""
    query = (
        select(Subscription.state, func.count())
        .where(Subscription.list_id == the_list().id)
        .group_by(Subscription.state)
    )
    found = {state.value: count for state, count in db.session.execute(query)}
    return {state.value: found.get(state.value, 0) for state in SubscriptionState}

"""What is known of people: one person's record, all of them, and counts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import selectinload

from mailer.addresses import Address
from mailer.db import db, now
from mailer.errors import NotFound
from mailer.letters.edition import message_id_of
from mailer.letters.slots import Recipient
from mailer.links import links
from mailer.lists import the_list
from mailer.models import ConsentEvent, Delivery, Move, Subscriber, Subscription, Suppression, Topic, Wording
from mailer.pepper import address_hash
from mailer.states import (
    ConsentKind,
    DeliveryState,
    EndedReason,
    Frequency,
    LeavingReason,
    LetterKind,
    SubscriptionState,
)
from mailer.subscriptions import moving

BATCH = 500
Person = tuple[Subscription, Subscriber]
LATELY = timedelta(days=30)


@dataclass(frozen=True)
class Which:
    """Whom a list or an export is of; everybody unless told."""

    state: SubscriptionState | None = None
    language: str | None = None
    frequency: Frequency | None = None
    topic: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        wanted = (
            (Subscription.state, self.state),
            (Subscriber.language, self.language),
            (Subscription.frequency, self.frequency),
        )
        about = [Subscription.chosen.any(Topic.key == self.topic)] if self.topic else []
        return [column == value for column, value in wanted if value] + about


def find(address: Address) -> Subscription:
    """The subscription of this address; of somebody whose address was forgotten, by its hash. Raises NotFound."""
    query = select(Subscription).join(Subscription.subscriber).where(Subscription.list_id == the_list().id)
    found = db.session.scalar(query.where(Subscriber.email_key == address.key))
    found = found or db.session.scalar(query.where(Subscriber.email_hash == address_hash(address)))
    if found is None:
        raise NotFound(f"{address} is not on the list")
    return found


def batches(which: Which) -> Iterator[list[Person]]:
    """People in the order they came, a batch at a time, without holding all in memory (by a cursor of the database)."""
    query = (
        select(Subscription, Subscriber)
        .join(Subscription.subscriber)
        .where(Subscription.list_id == the_list().id, *which.conditions())
        .order_by(Subscription.id)
        .options(selectinload(Subscription.chosen))
        .execution_options(yield_per=BATCH)
    )
    for batch in db.session.execute(query).partitions():
        yield [(subscription, subscriber) for subscription, subscriber in batch]


def every(which: Which) -> Iterator[Person]:
    for batch in batches(which):
        yield from batch


def record(subscription: Subscription) -> dict[str, Any]:
    """Everything we hold about one person on the list, ready for JSON."""
    subscriber = subscription.subscriber
    letters = db.session.scalars(select(Delivery).filter_by(subscriber_id=subscriber.id).order_by(Delivery.id)).all()
    return {
        **summary(subscription, subscriber),
        "list": subscription.mailing_list.name,
        "requested_at": moment(subscription.requested_at),
        "confirmed_at": moment(subscription.confirmed_at),
        "ended_at": moment(subscription.ended_at),
        "ended_reason": subscription.ended_reason,
        "left_because": subscription.left_because,
        "not_me_at": moment(subscription.not_me_at),
        "paused_until": moment(subscription.paused_until),
        "manage_links_from": moment(subscription.manage_from),
        "took_the_place_of": [each.subscriber.email for each in moving.former(db.session(), subscription)],
        "moves": [move_record(move) for move in moving.asked_for(subscription)],
        "consent": [
            {**event_record(event), "letter": letter_record(confirmation_of(event, subscription.consent, letters))}
            for event in subscription.consent
        ],
        "deliveries": [delivery_record(delivery) for delivery in letters],
    }


def summary(subscription: Subscription, subscriber: Subscriber) -> dict[str, Any]:
    return {
        "email": subscriber.email,
        "state": subscription.state,
        "language": subscriber.language,
        "frequency": subscription.frequency,
        "topics": subscription.topics,
    }


def move_record(move: Move) -> dict[str, Any]:
    """A change of address that this person asked for, whether the new one confirmed it or not. Which that is, the old
    mailbox's owner need not know: it may be another by now."""
    return {"asked_at": moment(move.asked_at), "done_at": moment(move.done_at)}


def event_record(event: ConsentEvent) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "at": moment(event.at),
        "source": event.source,
        "ip": event.ip,
        "user_agent": event.user_agent,
        "language": event.language,
        "frequency": event.frequency,
        "topics": event.topics,
        "basis": event.basis or None,
        "wording": event.wording and event.wording.text,
        "wording_version": version_record(event.wording),
        "notice_version": version_record(event.notice),
    }


def version_record(version: Wording | None) -> dict[str, Any] | None:
    """Which text it was; `mailer wording show` prints it."""
    if version is None:
        return None
    return {"id": version.id, "language": version.language, "sha256": version.sha256}


def confirmation_of(
    event: ConsentEvent, events: Sequence[ConsentEvent], letters: Sequence[Delivery]
) -> Delivery | None:
    """The first letter that asked to confirm what this event asked for: after it, and before they asked anew."""
    if event.kind is not ConsentKind.ASKED:
        return None
    later = [each.at for each in events if each.kind is ConsentKind.ASKED and each.at > event.at]
    for letter in letters:
        in_time = event.at <= letter.created_at and (not later or letter.created_at < later[0])
        if letter.edition.letter is LetterKind.CONFIRMATION and in_time:
            return letter
    return None


def letter_record(letter: Delivery | None) -> dict[str, Any] | None:
    if letter is None:
        return None
    accepted_at = letter.settled_at if letter.state is DeliveryState.ACCEPTED else None
    return {"message_id": message_id(letter), "state": letter.state, "accepted_at": moment(accepted_at)}


def delivery_record(delivery: Delivery) -> dict[str, Any]:
    return {
        "letter": delivery.edition.letter,
        "subject": delivery.edition.subject,
        "message_id": message_id(delivery),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "created_at": moment(delivery.created_at),
        "settled_at": moment(delivery.settled_at),
        "reply": delivery.reply,
    }


def message_id(delivery: Delivery) -> str:
    edition, subscriber = delivery.edition, delivery.subscriber
    person = Recipient("", subscriber.uid, edition.list_id, delivery.created_at, edition.language, edition.sha256)
    return message_id_of(edition.content, person, links())


def moment(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


def counts() -> dict[str, Any]:
    """The state of the list in numbers."""
    of_list = Subscription.list_id == the_list().id
    confirmed = (of_list, Subscription.state == SubscriptionState.CONFIRMED)
    states = tally(select(Subscription.state, func.count()).where(of_list).group_by(Subscription.state))
    reasons = select(Subscription.ended_reason, func.count()).where(of_list)
    said = select(Subscription.left_because, func.count()).where(of_list)
    languages = select(Subscriber.language, func.count()).join(Subscriber.subscriptions).where(*confirmed)
    frequencies = select(Subscription.frequency, func.count()).where(*confirmed)
    since = now() - LATELY
    return {
        **{state.value: states.get(state, 0) for state in SubscriptionState},
        "ended_reasons": dict.fromkeys(EndedReason, 0) | tally(reasons.group_by(Subscription.ended_reason)),
        "left_because": dict.fromkeys(LeavingReason, 0) | tally(said.group_by(Subscription.left_because)),
        "languages": tally(languages.group_by(Subscriber.language).order_by(func.count().desc())),
        "frequencies": dict.fromkeys(Frequency, 0) | tally(frequencies.group_by(Subscription.frequency)),
        "confirmed_in_30_days": count(select(Subscription.id).where(*confirmed, Subscription.confirmed_at >= since)),
        "ended_in_30_days": count(select(Subscription.id).where(of_list, Subscription.ended_at >= since)),
        "suppressed": count(select(Suppression.email_hash)),
        "letters_waiting": count(select(Delivery.id).where(Delivery.next_at.is_not(None))),
    }


def tally(query: Select[*tuple[Any, int]]) -> dict[Any, int]:
    rows = db.session.execute(query)
    return {value: number for value, number in rows if value is not None}


def count(query: Select[Any]) -> int:
    return db.session.scalar(select(func.count()).select_from(query.subquery())) or 0

"""What people do: ask, confirm, leave. Each verb is one transaction and may be repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, auto

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer import topics
from mailer.addresses import Address
from mailer.db import db, insert_new, now, transaction
from mailer.delivery import account, outbox
from mailer.errors import NotFound
from mailer.links import Claim, Purpose, links
from mailer.lists import the_list
from mailer.models import Subscriber, Subscription, fresh_uid
from mailer.pepper import address_hash
from mailer.states import ConsentKind, EndedReason, Frequency, LetterKind, SubscriptionState
from mailer.subscriptions.consent import Evidence, record
from mailer.subscriptions.letters import write
from mailer.subscriptions.suppression import must_not_be_mailed

ASK_AGAIN_AFTER = timedelta(minutes=10)
REMIND_AFTER = timedelta(days=7)
SILENT_AFTER_COMPLAINT = timedelta(days=365)


@dataclass(frozen=True)
class SignUp:
    """What somebody asked for on the form."""

    address: Address
    language: str
    frequency: Frequency = Frequency.WEEKLY
    topics: Sequence[str] = ()


class Confirmation(StrEnum):
    """What a confirmation link is good for."""

    OPEN = auto()
    DONE = auto()
    EXPIRED = auto()


def sign_up(person: SignUp, evidence: Evidence) -> None:
    """Ask for a subscription. Says nothing of what was found: the caller's answer is the same for every state."""
    at = now()
    mailing_list = the_list()
    with transaction() as session:
        if must_not_be_mailed(session, person.address):
            return
        subscription = find_or_create(session, mailing_list.id, person, at)
        kind = letter_for(session, subscription, at)
        if kind is LetterKind.CONFIRMATION:
            subscription.ask(at)
            choose(session, subscription, person)
            record(session, subscription, ConsentKind.ASKED, evidence, at)
        if kind:
            recognise(subscription.subscriber, person.address)
            write(session, subscription, kind, at)
    outbox.filled.send()


def find_or_create(session: Session, list_id: int, person: SignUp, at: datetime) -> Subscription:
    """The person's row on the list, locked. Two requests at the same instant get the same one."""
    subscriber = find_or_create_subscriber(session, person, at)
    insert_new(
        session,
        Subscription,
        list_id=list_id,
        subscriber_id=subscriber.id,
        state=SubscriptionState.PENDING,
        frequency=person.frequency,
        requested_at=at,
    )
    mine = select(Subscription).filter_by(list_id=list_id, subscriber_id=subscriber.id)
    return session.scalars(mine.with_for_update()).one()


def find_or_create_subscriber(session: Session, person: SignUp, at: datetime) -> Subscriber:
    """Somebody who left so long ago that their address was forgotten is found by its hash."""
    remembered = select(Subscriber).filter_by(email_hash=address_hash(person.address)).with_for_update()
    if found := session.scalar(remembered):
        return found
    insert_new(
        session,
        Subscriber,
        uid=fresh_uid(),
        email=person.address.email,
        email_key=person.address.key,
        language=person.language,
        created_at=at,
    )
    return session.scalars(select(Subscriber).filter_by(email_key=person.address.key)).one()


def recognise(subscriber: Subscriber, address: Address) -> None:
    """Somebody whose address was forgotten has given it again."""
    if subscriber.email is None:
        subscriber.email, subscriber.email_key = address.email, address.key
        subscriber.email_hash = subscriber.erased_at = None


def choose(session: Session, subscription: Subscription, person: SignUp) -> None:
    subscription.frequency = person.frequency
    subscription.chosen = topics.of_keys(session, subscription.list_id, person.topics)
    subscription.subscriber.language = person.language


def letter_for(session: Session, subscription: Subscription, at: datetime) -> LetterKind | None:
    """Which letter a sign-up earns; None while one of the same kind is fresh, or after a complaint."""
    complained = subscription.ended_reason is EndedReason.COMPLAINED
    if subscription.ended_at and complained and at < subscription.ended_at + SILENT_AFTER_COMPLAINT:
        return None
    kind, pause = LetterKind.CONFIRMATION, ASK_AGAIN_AFTER
    if subscription.state is SubscriptionState.CONFIRMED:
        kind, pause = LetterKind.ALREADY_SUBSCRIBED, REMIND_AFTER
    elif subscription.state is SubscriptionState.ENDED:
        return kind
    last = account.last_letter(session, subscription.subscriber_id, kind)
    return None if last and at < last + pause else kind


def look_up(purpose: Purpose, token: str, *, lock: bool = False) -> tuple[Claim, Subscription | None]:
    """A link's claim and its subscription; None if there is none any more. Raises NotFound for a forged link."""
    claim = links().read(purpose, token)
    query = (
        select(Subscription)
        .join(Subscription.subscriber)
        .where(Subscriber.uid == claim.subscriber_uid, Subscription.list_id == claim.list_id)
    )
    return claim, db.session.scalar(query.with_for_update() if lock else query)


def read_confirmation(token: str) -> Confirmation:
    """What the link would do, without doing it."""
    return judge_confirmation(*look_up(Purpose.CONFIRM, token))


def judge_confirmation(claim: Claim, subscription: Subscription | None) -> Confirmation:
    """Every unexpired link of the same request works; a link from before the person left doesn't bring them back."""
    if subscription is None or claim.asked_at is None:
        return Confirmation.EXPIRED
    if int(claim.asked_at.timestamp()) < int(subscription.requested_at.timestamp()):
        return Confirmation.EXPIRED
    if subscription.state is SubscriptionState.CONFIRMED:
        return Confirmation.DONE
    if subscription.state is SubscriptionState.ENDED or claim.expired:
        return Confirmation.EXPIRED
    return Confirmation.OPEN


def confirm(token: str, evidence: Evidence) -> Confirmation:
    """Confirm the subscription that the link belongs to; DONE also if it was confirmed before."""
    with transaction() as session:
        claim, subscription = look_up(Purpose.CONFIRM, token, lock=True)
        found = judge_confirmation(claim, subscription)
        if found is Confirmation.OPEN and subscription:
            subscription.confirm(now())
            record(session, subscription, ConsentKind.CONFIRMED, evidence)
            return Confirmation.DONE
        return found


def is_subscribed(token: str) -> bool:
    """Whether leaving by this link would change anything."""
    _, subscription = look_up(Purpose.UNSUBSCRIBE, token)
    return subscription is not None and subscription.state is not SubscriptionState.ENDED


def unsubscribe(token: str, evidence: Evidence) -> None:
    """Leave by a letter's link: for ever valid, repeatable, nothing asked. Raises NotFound for a forged link."""
    with transaction() as session:
        _, subscription = look_up(Purpose.UNSUBSCRIBE, token, lock=True)
        if subscription:
            end(session, subscription, evidence)


def unsubscribe_address(address: Address, evidence: Evidence) -> None:
    """Leave on the operator's word. Raises NotFound if the address isn't on the list."""
    mailing_list = the_list()
    with transaction() as session:
        query = (
            select(Subscription)
            .join(Subscription.subscriber)
            .where(Subscriber.email_key == address.key, Subscription.list_id == mailing_list.id)
        )
        subscription = session.scalar(query.with_for_update())
        if subscription is None:
            raise NotFound(f"{address} is not on the list")
        end(session, subscription, evidence)


def end(session: Session, subscription: Subscription, evidence: Evidence) -> None:
    if subscription.state is not SubscriptionState.ENDED:
        subscription.end(EndedReason.UNSUBSCRIBED, now())
        record(session, subscription, ConsentKind.UNSUBSCRIBED, evidence)

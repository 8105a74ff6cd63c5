"""What people do first: ask, and confirm. Each verb is one transaction and may be repeated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, auto
from functools import cache, partial

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session, contains_eager

from mailer import topics
from mailer.addresses import Address
from mailer.db import insert_or_lock, now, step, take_turns, transaction, write_whole
from mailer.delivery import account, outbox
from mailer.links import LIFETIMES, Claim, Purpose
from mailer.lists import list_id
from mailer.models import Subscriber, Subscription, fresh_uid
from mailer.pepper import address_hash
from mailer.states import ConsentKind, EndedReason, Frequency, LetterKind, SubscriptionState
from mailer.subscriptions import moving, throttle
from mailer.subscriptions.consent import Evidence, record
from mailer.subscriptions.letters import write
from mailer.subscriptions.lookup import FORGETTING, by_link
from mailer.subscriptions.suppression import must_not_be_mailed
from mailer.subscriptions.throttle import UNLIMITED, Visitor
from mailer.together import together

ASK_AGAIN_AFTER = timedelta(minutes=10)
REMIND_AFTER = timedelta(days=7)
SILENCE = timedelta(days=365)


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
    GONE = auto()  # and nobody is left to write a fresh letter to


def sign_up(person: SignUp, evidence: Evidence, visitor: Visitor | None = None) -> None:
    """Ask for a subscription. Says nothing of what was found: the caller's answer is the same for every state.

    Raises TooMany or ProofWanted for a visitor who asks too much; operators have no limits.
    """
    together(partial(take_in, list_id(), person, evidence, visitor))
    outbox.filled.send()


def take_in(on: int, person: SignUp, evidence: Evidence, visitor: Visitor | None, session: Session) -> None:
    may_write = visitor is None or throttle.admit(session, person.address, visitor)
    ask(session, on, person, evidence, moving.forget, may_write=may_write)


def ask(
    session: Session,
    on: int,
    person: SignUp,
    evidence: Evidence,
    finish: Callable[[Session, Subscription], None],
    *,
    may_write: bool,
) -> None:
    """Let a letter ask to confirm a subscription on the list `on`, if one is due, in the caller's transaction. `finish`
    does what else belongs to a request.

    The same is done for every state of an address, then kept or not: else the time of an answer would tell the state.
    """
    at = now()
    welcome = not must_not_be_mailed(session, person.address) and may_write
    with step(session, keep=False) as answering:
        subscription = find_or_create(session, on, person, at)
        last = account.last_letters(session, subscription.subscriber_id)
        kind = letter_for(subscription, last, at) if welcome else None
        answering.keep, asks = kind is not None, kind is LetterKind.CONFIRMATION
        write(session, subscription, kind or LetterKind.CONFIRMATION, at, person.language if asks else None)
        with step(session, keep=asks):
            recognise(subscription.subscriber, person.address)
            begin(subscription, last, at)
            chosen = choose(session, subscription, person)
            record(session, subscription, ConsentKind.ASKED, evidence, at, chosen)
            finish(session, subscription)
            # Both rows, even if nothing of them has changed: it is done for every state alike.
            write_whole(session, subscription.subscriber)
            write_whole(session, subscription)


def ask_again(token: str, evidence: Evidence) -> None:
    """Write a fresh letter to whom an old one was sent, by the same rules. Raises NotFound for a forged link."""
    at = now()
    with transaction() as session:
        throttle.take_turn(session)
        _, subscription = by_link(Purpose.CONFIRM, token, lock=True)
        if subscription is None or not may_be_written_to(session, subscription):
            return
        last = account.last_letters(session, subscription.subscriber_id)
        if kind := letter_for(subscription, last, at):
            if kind is LetterKind.CONFIRMATION:
                begin(subscription, last, at)
                record(session, subscription, ConsentKind.ASKED, evidence, at)
            write(session, subscription, kind, at)
    outbox.filled.send()


def may_be_written_to(session: Session, subscription: Subscription) -> bool:
    email, key = subscription.subscriber.email, subscription.subscriber.email_key
    return bool(email and key) and throttle.admit(session, Address(str(email), str(key)), UNLIMITED)


def begin(subscription: Subscription, last: Mapping[LetterKind, datetime], at: datetime) -> None:
    """A request whose links have all expired gives way to a new one, which is then kept for as long as any other."""
    asked = last.get(LetterKind.CONFIRMATION)
    if subscription.state is SubscriptionState.PENDING and asked and at >= asked + LIFETIMES[Purpose.CONFIRM]:
        subscription.requested_at = at
    subscription.ask(at)


def find_or_create(session: Session, list_id: int, person: SignUp, at: datetime) -> Subscription:
    """The person's row on the list, locked. Two requests at the same instant get the same one."""
    row_id = insert_or_lock(
        session,
        Subscription,
        "list_id",
        "subscriber_id",
        list_id=list_id,
        subscriber_id=find_or_create_subscriber(session, person, at),
        state=SubscriptionState.PENDING,
        frequency=person.frequency,
        requested_at=at,
    )
    return session.scalars(subscription_with_person(), {"id": row_id}).one()


@cache
def subscription_with_person() -> Select[Subscription]:
    found = select(Subscription).join(Subscription.subscriber).where(Subscription.id == bindparam("id"))
    # What a savepoint that was undone had changed may still be in memory.
    return found.options(contains_eager(Subscription.subscriber)).execution_options(populate_existing=True)


def find_or_create_subscriber(session: Session, person: SignUp, at: datetime) -> int:
    """Somebody who left so long ago that their address was forgotten is found by its hash."""
    take_turns(session, FORGETTING)
    same = {"email_hash": address_hash(person.address)}
    forgotten = session.connection().scalar(remembered(), same) is not None
    return insert_or_lock(
        session,
        Subscriber,
        "email_hash" if forgotten else "email_key",
        **(same if forgotten else {}),
        uid=fresh_uid(),
        email=person.address.email,
        email_key=person.address.key,
        language=person.language,
        created_at=at,
    )


@cache
def remembered() -> Select[int]:
    return select(Subscriber.id).where(Subscriber.email_hash == bindparam("email_hash")).with_for_update()


def recognise(subscriber: Subscriber, address: Address) -> None:
    """Somebody whose address was forgotten has given it again."""
    if subscriber.email is None:
        subscriber.email, subscriber.email_key = address.email, address.key
        subscriber.email_hash = subscriber.erased_at = None


def choose(session: Session, subscription: Subscription, person: SignUp) -> Sequence[str]:
    """The keys of the topics that were chosen, of those that there are."""
    subscription.choose_frequency(person.frequency, now())
    subscription.subscriber.language = person.language
    return topics.choose_anew(session, subscription, person.topics)


def letter_for(subscription: Subscription, last: Mapping[LetterKind, datetime], at: datetime) -> LetterKind | None:
    """Which letter a sign-up earns, after those written `last`; None while one of the same kind is fresh, or where none
    is wanted."""
    if is_silent(subscription, at):
        return None
    kind, pause = LetterKind.CONFIRMATION, ASK_AGAIN_AFTER
    if subscription.state is SubscriptionState.CONFIRMED:
        kind, pause = LetterKind.ALREADY_SUBSCRIBED, REMIND_AFTER
    elif subscription.state is SubscriptionState.ENDED:
        return kind
    return None if kind in last and at < last[kind] + pause else kind


def is_silent(subscription: Subscription, at: datetime) -> bool:
    """Whether the person complained, or said "not me", so lately that nothing may be written to them."""
    complained = subscription.ended_at if subscription.ended_reason is EndedReason.COMPLAINED else None
    return any(said and at < said + SILENCE for said in (complained, subscription.not_me_at))


def read_confirmation(token: str) -> Confirmation:
    """What the link would do, without doing it."""
    return judge_confirmation(*by_link(Purpose.CONFIRM, token))


def judge_confirmation(claim: Claim, subscription: Subscription | None) -> Confirmation:
    """Every unexpired link of the same request works; a link from before the person left doesn't bring them back."""
    if subscription is None:
        return Confirmation.GONE
    if claim.is_older_than(subscription.requested_at):
        return Confirmation.EXPIRED
    if subscription.state is SubscriptionState.CONFIRMED:
        return Confirmation.DONE
    if subscription.state is SubscriptionState.ENDED or claim.expired:
        return Confirmation.EXPIRED
    return Confirmation.OPEN


def confirm(token: str, evidence: Evidence) -> Confirmation:
    """Confirm the subscription that the link belongs to; DONE also if it was confirmed before."""
    with transaction() as session:
        claim, subscription = by_link(Purpose.CONFIRM, token, lock=True)
        found = judge_confirmation(claim, subscription)
        if found is Confirmation.OPEN and subscription:
            subscription.confirm(now())
            record(session, subscription, ConsentKind.CONFIRMED, evidence)
            throttle.forgive(session, subscription.subscriber.email_key)
            moving.arrive(session, subscription, evidence)
            throttle.note_confirmation(session)  # last: all who confirm now wait for each other from here on
    outbox.filled.send()
    return Confirmation.DONE if found is Confirmation.OPEN else found

"""Asking for a subscription. All who ask at the same moment are found, written to and written down together.

The same is said to the database for every state of an address, whether a row comes of it or not: else the time of an
answer would tell the state (D-115).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, cached_property
from typing import Any

from sqlalchemy import Select, bindparam, literal, or_, select
from sqlalchemy.orm import Session, contains_eager

from mailer import topics
from mailer.addresses import Address
from mailer.db import KEEP, KEPT, NOBODY, insert_into, insert_kept, now, take_turns, write_whole
from mailer.delivery import account
from mailer.links import LIFETIMES, Purpose
from mailer.models import Subscriber, Subscription, fresh_uid
from mailer.pepper import address_hash
from mailer.states import ConsentKind, EndedReason, Frequency, LetterKind, SubscriptionState
from mailer.subscriptions.consent import Answer, Evidence, record_all
from mailer.subscriptions.letters import Letter, write
from mailer.subscriptions.lookup import FORGETTING, PERSON_FIRST
from mailer.subscriptions.suppression import must_not_be_mailed
from mailer.topics import Choice

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


@dataclass
class Asking:
    """Somebody who asks, and what is found of them: their subscription, and which letter they get, if any."""

    person: SignUp
    evidence: Evidence
    welcome: bool
    subscription: Subscription = field(init=False)
    letter: LetterKind | None = None

    @cached_property
    def email_hash(self) -> str:
        return address_hash(self.person.address)

    @property
    def noted(self) -> bool:
        """Whether what is asked for is written down: it needs a confirmation, then."""
        return self.letter is LetterKind.CONFIRMATION


Finish = Callable[[Session, Sequence[Asking]], None]


def ask(session: Session, list_id: int, asking: Sequence[Asking], finish: Finish) -> None:
    """Let letters ask to confirm subscriptions on a list, where they are due, in the caller's transaction. `finish`
    does what else belongs to such a request."""
    unwanted = must_not_be_mailed(session, [each.email_hash for each in asking])
    for each in asking:
        each.welcome = each.welcome and each.email_hash not in unwanted
    for some in apart(asking):
        answer(session, list_id, some, finish)


def apart(asking: Sequence[Asking]) -> Iterator[Sequence[Asking]]:
    """Those of one address one after the other: the second is answered as one who asked a moment ago."""
    rest = list(asking)
    while rest:
        first = {each.email_hash: each for each in reversed(rest)}
        yield list(first.values())
        rest = [each for each in rest if each is not first[each.email_hash]]


def answer(session: Session, list_id: int, asking: Sequence[Asking], finish: Finish) -> None:
    at = now()
    find_or_create(session, list_id, asking, at)
    last = account.last_letters(session, [each.subscription.subscriber_id for each in asking])
    for each in asking:
        earlier = last[each.subscription.subscriber_id]
        each.letter = letter_for(each.subscription, earlier, at) if each.welcome else None
        if each.noted:
            take_over(each, earlier, at)
    letters = [Letter(each.subscription, each.letter or LetterKind.CONFIRMATION, bool(each.letter)) for each in asking]
    write(session, letters, at)
    choices = [Choice(each.subscription.id, each.person.topics, each.noted) for each in asking]
    chosen = topics.choose_anew(session, list_id, choices)
    record_all(session, [evidence(each, keys) for each, keys in zip(asking, chosen, strict=True)], at)
    finish(session, asking)
    subscriptions = [each.subscription for each in asking]
    write_whole(session, Subscriber, [each.subscriber for each in subscriptions])
    write_whole(session, Subscription, subscriptions)


def evidence(asked: Asking, chosen: Sequence[str]) -> Answer:
    return Answer(asked.subscription, ConsentKind.ASKED, asked.evidence, chosen, asked.noted)


def take_over(asked: Asking, last: Mapping[LetterKind, datetime], at: datetime) -> None:
    """Let a subscription be what was asked for."""
    person, subscription = asked.person, asked.subscription
    recognise(subscription.subscriber, person.address)
    begin(subscription, last, at)
    subscription.choose_frequency(person.frequency, at)
    subscription.subscriber.language = person.language


def recognise(subscriber: Subscriber, address: Address) -> None:
    """Somebody whose address was forgotten has given it again."""
    if subscriber.email is None:
        subscriber.email, subscriber.email_key = address.email, address.key
        subscriber.email_hash = subscriber.erased_at = None


def begin(subscription: Subscription, last: Mapping[LetterKind, datetime], at: datetime) -> None:
    """A request whose links have all expired gives way to a new one, which is then kept for as long as any other."""
    asked = last.get(LetterKind.CONFIRMATION)
    if subscription.state is SubscriptionState.PENDING and asked and at >= asked + LIFETIMES[Purpose.CONFIRM]:
        subscription.requested_at = at
    subscription.ask(at)


def find_or_create(session: Session, list_id: int, asking: Sequence[Asking], at: datetime) -> None:
    """The subscription of each, locked. Two requests at the same instant get the same one. Of who is unknown and not
    welcome nothing is made: what stands for them has no row.

    Somebody who left so long ago that their address was forgotten is found by its hash.
    """
    take_turns(session, FORGETTING)
    connection = session.connection()
    hashes = {"hashes": [each.email_hash for each in asking]}
    forgotten = set(connection.scalars(remembered(), hashes))
    people = [
        new_person(each.person, at) | {KEPT: each.welcome and each.email_hash not in forgotten} for each in asking
    ]
    insert_kept(session, Subscriber, people, "email_key")
    connection.execute(new_subscription(connection.dialect.name), [new_place(each, list_id, at) for each in asking])
    these = {"list_id": list_id, "keys": [each.person.address.key for each in asking], **hashes}
    found = {each.subscriber.email_key or each.subscriber.email_hash: each for each in session.scalars(theirs(), these)}
    for each in asking:
        known = found.get(each.person.address.key) or found.get(each.email_hash)
        each.subscription = known or nobody(each.person, list_id, at)


@cache
def remembered() -> Select[str | None]:
    these = Subscriber.email_hash.in_(bindparam("hashes", expanding=True))
    return select(Subscriber.email_hash).where(these).order_by(Subscriber.id).with_for_update()


def new_person(person: SignUp, at: datetime) -> dict[str, Any]:
    address = {"email": person.address.email, "email_key": person.address.key}
    return {"uid": fresh_uid(), "language": person.language, "created_at": at, **address}


def new_place(asked: Asking, list_id: int, at: datetime) -> dict[str, Any]:
    whose = {"key": asked.person.address.key, "hash": asked.email_hash, KEPT: asked.welcome}
    return {"on": list_id, "frequency": asked.person.frequency, "at": at, **whose}


@cache
def new_subscription(dialect: str) -> Any:
    """Of somebody who is known by now, on the list, unless there is one."""
    table = Subscription.__table__.c
    values = {
        "list_id": bindparam("on", type_=table.list_id.type),
        "subscriber_id": Subscriber.id,
        "state": literal(SubscriptionState.PENDING, table.state.type),
        "frequency": bindparam("frequency", type_=table.frequency.type),
        "requested_at": bindparam("at", type_=table.requested_at.type),
    }
    whose = or_(Subscriber.email_key == bindparam("key"), Subscriber.email_hash == bindparam("hash"))
    rows = select(*values.values()).where(whose, KEEP)
    new = insert_into(Subscription, dialect).from_select(list(values), rows, include_defaults=False)
    return new.on_conflict_do_nothing(index_elements=["list_id", "subscriber_id"])


@cache
def theirs() -> Select[Subscription]:
    """In an order that all keep who lock several, so that nobody waits in a circle."""
    by_key = Subscriber.email_key.in_(bindparam("keys", expanding=True))
    by_hash = Subscriber.email_hash.in_(bindparam("hashes", expanding=True))
    # People first: told of a join alone, SQLite would look through the whole list.
    people = select(Subscriber.id).where(or_(by_key, by_hash))
    here = (Subscription.subscriber_id.in_(people), Subscription.list_id == bindparam("list_id"))
    found = select(Subscription).join(Subscription.subscriber).options(contains_eager(Subscription.subscriber))
    locked = found.where(*here).order_by(Subscriber.id).with_for_update(of=PERSON_FIRST)
    return locked.execution_options(populate_existing=True)


def nobody(person: SignUp, list_id: int, at: datetime) -> Subscription:
    """What stands for somebody whom nothing is made of: as if it had just been made, and without a row."""
    subscriber = Subscriber(id=NOBODY, **new_person(person, at))
    new = {"state": SubscriptionState.PENDING, "frequency": person.frequency, "requested_at": at}
    return Subscription(id=NOBODY, list_id=list_id, subscriber_id=NOBODY, subscriber=subscriber, **new)


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

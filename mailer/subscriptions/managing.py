"""One's own subscription, by a link that comes by mail and works for half an hour (ADR 13)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.orm import Session

from mailer import audit, topics
from mailer.addresses import Address
from mailer.db import now, scrub, take_turns, transaction
from mailer.delivery import account, outbox
from mailer.languages import SOURCE
from mailer.links import Claim, Purpose
from mailer.lists import list_id
from mailer.models import Subscription, Topic
from mailer.states import ConsentKind, Frequency, LetterKind, SubscriptionState
from mailer.subscriptions import erasing, moving, throttle
from mailer.subscriptions.asking import Asking, SignUp, ask, is_silent, nobody
from mailer.subscriptions.consent import Evidence, record
from mailer.subscriptions.letters import Letter, write
from mailer.subscriptions.lookup import FORGETTING, by_address, by_link
from mailer.subscriptions.throttle import UNLIMITED, Visitor

ASK_AGAIN_AFTER = timedelta(minutes=10)
MOST_A_DAY = 5


@dataclass(frozen=True)
class Pause:
    until: datetime | None  # None: no longer paused


@dataclass(frozen=True)
class Changes:
    """What is to be different; None stands for "as it is"."""

    language: str | None = None
    frequency: Frequency | None = None
    topics: Sequence[str] | None = None
    pause: Pause | None = None


def request_link(address: Address, visitor: Visitor) -> None:
    """Mail a link to whoever we know by this address. Says nothing of what was found, not even by the time it takes:
    see `asking`. Raises TooMany for a visitor who asks too much."""
    at = now()
    with transaction() as session:
        throttle.admit_to_settings(session, visitor)
        take_turns(session, FORGETTING)
        known = by_address(address, lock=True)
        send_link(session, known or nobody(SignUp(address, SOURCE), list_id(), at), at, kept=known is not None)
    outbox.filled.send()


def request_fresh_link(token: str) -> None:
    """Mail a fresh link to whom an old one belonged. Raises NotFound for a forged one."""
    with transaction() as session:
        _, subscription = by_link(Purpose.MANAGE, token, lock=True)
        if subscription and subscription.subscriber.email:
            send_link(session, subscription, now())
    outbox.filled.send()


def send_link(session: Session, subscription: Subscription, at: datetime, *, kept: bool = True) -> None:
    """Unless one was written a moment ago, or several today, or the person wants no letters."""
    person, kind = subscription.subscriber_id, LetterKind.MANAGE_LINK
    last = account.last_letters(session, [person])[person].get(kind)
    today = account.count_letters(session, person, kind, at - timedelta(days=1))
    due = (not last or at >= last + ASK_AGAIN_AFTER) and today < MOST_A_DAY
    write(session, [Letter(subscription, kind, kept and due and not is_silent(subscription, at))], at)


def open_link(token: str) -> Subscription | None:
    """The subscription that a link leads to; None if its time is over. Raises NotFound for a forged one."""
    return opened(*by_link(Purpose.MANAGE, token))


def opened(claim: Claim, subscription: Subscription | None) -> Subscription | None:
    """Links die half an hour after they were asked for, and all at once when somebody says that they are done."""
    closed = subscription is None or claim.is_older_than(subscription.manage_from)
    return None if closed or claim.expired else subscription


def change(token: str, changes: Changes, evidence: Evidence) -> bool:
    """Whether there was a confirmed subscription to change. Raises NotFound for a forged link."""
    with transaction() as session:
        subscription = opened(*by_link(Purpose.MANAGE, token, lock=True))
        if subscription is None or subscription.state is not SubscriptionState.CONFIRMED:
            return False
        before = standing(subscription)
        apply(session, subscription, changes)
        if standing(subscription) != before:
            record(session, subscription, ConsentKind.CHANGED, evidence)
    return True


def standing(subscription: Subscription) -> tuple[object, ...]:
    language, chosen = subscription.subscriber.language, set(subscription.topics)
    return language, subscription.frequency, chosen, subscription.paused_until


def apply(session: Session, subscription: Subscription, changes: Changes) -> None:
    if changes.language is not None:
        subscription.subscriber.language = changes.language
    if changes.frequency is not None:
        subscription.choose_frequency(changes.frequency, now())
    if changes.topics is not None:
        subscription.chosen = topics.of_keys(session, subscription.list_id, changes.topics)
    if changes.pause is not None:
        subscription.paused_until = changes.pause.until


def ask_to_move(token: str, address: Address, evidence: Evidence) -> bool:
    """Ask a new address to confirm that it takes this one's place. Says nothing of what was found there. Whether there
    was a confirmed subscription to move. Raises NotFound for a forged link."""
    with transaction() as session:
        throttle.take_turn(session)
        take_turns(session, FORGETTING)
        subscription = opened(*by_link(Purpose.MANAGE, token, lock=True))
        if subscription is None or subscription.state is not SubscriptionState.CONFIRMED:
            return False
        if subscription.subscriber.email_key == address.key:
            return True
        language = subscription.subscriber.language
        person = SignUp(address, language, subscription.frequency, subscription.topics)
        asked = Asking(person, evidence, throttle.admit(session, address, UNLIMITED))
        ask(session, subscription.list_id, [asked], partial(moving.plan, subscription))
    outbox.filled.send()
    return True


def erase(token: str, *, never_again: bool) -> bool:
    """Forget the person, also under the addresses they had before. False if the link's time is over. Raises NotFound
    for a forged link."""
    with transaction() as session:
        take_turns(session, FORGETTING)
        subscription = opened(*by_link(Purpose.MANAGE, token, lock=True))
        if subscription is None:
            return False
        for each in [subscription, *moving.former(session, subscription)]:
            erasing.erase(session, each.subscriber, by=audit.THE_PERSON, never_again=never_again)
    scrub()
    return True


def close(token: str) -> None:
    """Let no link that was asked for until now work any longer. Raises NotFound for a forged one."""
    with transaction():
        subscription = opened(*by_link(Purpose.MANAGE, token, lock=True))
        if subscription:
            subscription.manage_from = now()


def offered_topics(subscription: Subscription) -> list[Topic]:
    """Those that can be chosen, and those that this person chose before they were retired."""
    mine = {topic.id for topic in subscription.chosen}
    return [each for each in topics.every(subscription.list_id) if each.retired_at is None or each.id in mine]

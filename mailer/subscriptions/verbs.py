"""What people do first: ask, and confirm. Each verb is one transaction and may be repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum, auto

from sqlalchemy.orm import Session

from mailer.addresses import Address
from mailer.db import now, transaction
from mailer.delivery import account, outbox
from mailer.errors import TooMany
from mailer.links import Claim, Purpose
from mailer.lists import list_id
from mailer.models import Subscription
from mailer.states import ConsentKind, LetterKind, SubscriptionState
from mailer.subscriptions import asking, moving, throttle
from mailer.subscriptions.asking import Asking, SignUp
from mailer.subscriptions.consent import Evidence, record
from mailer.subscriptions.letters import Letter, write
from mailer.subscriptions.lookup import by_link
from mailer.subscriptions.throttle import UNLIMITED, Visitor
from mailer.together import together


@dataclass(frozen=True)
class Request:
    """A sign-up, and where it came from. `visitor`: None for an operator, who has no limits."""

    list_id: int
    person: SignUp
    evidence: Evidence
    visitor: Visitor | None


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
    together(take_in, Request(list_id(), person, evidence, visitor))
    outbox.filled.send()


def take_in(session: Session, requests: Sequence[Request]) -> Sequence[TooMany | None]:
    """Do what all who ask at the same moment ask for, with as few statements as for one of them. What each is refused
    for."""
    limited = [(each.person.address, each.visitor) for each in requests if each.visitor]
    admitted = iter(throttle.admit_all(session, limited) if limited else ())
    found = [next(admitted) if each.visitor else True for each in requests]
    let_through = [
        Asking(each.person, each.evidence, may_write)
        for each, may_write in zip(requests, found, strict=True)
        if not isinstance(may_write, TooMany)
    ]
    if let_through:
        asking.ask(session, requests[0].list_id, let_through, moving.forget)
    return [each if isinstance(each, TooMany) else None for each in found]


def ask_again(token: str, evidence: Evidence) -> None:
    """Write a fresh letter to whom an old one was sent, by the same rules. Raises NotFound for a forged link."""
    at = now()
    with transaction() as session:
        throttle.take_turn(session)
        _, subscription = by_link(Purpose.CONFIRM, token, lock=True)
        if subscription is None or not may_be_written_to(session, subscription):
            return
        person = subscription.subscriber_id
        last = account.last_letters(session, [person])[person]
        if kind := asking.letter_for(subscription, last, at):
            if kind is LetterKind.CONFIRMATION:
                asking.begin(subscription, last, at)
                record(session, subscription, ConsentKind.ASKED, evidence)
            write(session, [Letter(subscription, kind)], at)
    outbox.filled.send()


def may_be_written_to(session: Session, subscription: Subscription) -> bool:
    email, key = subscription.subscriber.email, subscription.subscriber.email_key
    return bool(email and key) and throttle.admit(session, Address(str(email), str(key)), UNLIMITED)


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

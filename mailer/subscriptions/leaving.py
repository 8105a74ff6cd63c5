"""Leaving, with nothing asked: what can be taken back for a while, and why people left if they care to say so."""

from sqlalchemy.orm import Session

from mailer.addresses import Address
from mailer.config import settings
from mailer.db import now, transaction
from mailer.delivery import outbox
from mailer.errors import NotFound
from mailer.links import LIFETIMES, Claim, Purpose, links
from mailer.models import Subscription
from mailer.states import ConsentKind, EndedReason, LeavingReason, LetterKind, SubscriptionState
from mailer.subscriptions import moving, throttle
from mailer.subscriptions.consent import Evidence, record
from mailer.subscriptions.letters import Letter, write
from mailer.subscriptions.lookup import by_address, by_claim, by_link


def is_subscribed(token: str) -> bool:
    """Whether leaving by this link would change anything."""
    _, subscription = by_link(Purpose.UNSUBSCRIBE, token)
    return subscription is not None and subscription.state is not SubscriptionState.ENDED


def unsubscribe(token: str, evidence: Evidence) -> str | None:
    """Leave by a letter's link: for ever valid, repeatable, nothing asked. Gives the token by which it can be taken
    back for a while. Raises NotFound for a forged link."""
    subscription = leave(links().read(Purpose.UNSUBSCRIBE, token), evidence)
    return goodbye_token(subscription) if subscription else None


def leave(claim: Claim, evidence: Evidence, *, goodbye: bool = True) -> Subscription | None:
    """End what a letter's token names, as often as asked; None if there is none any more. `goodbye`: whether a goodbye
    letter may be written, if the settings want any."""
    with transaction() as session:
        subscription = by_claim(claim, lock=True)
        if subscription:
            end(session, subscription, evidence, goodbye=goodbye)
    outbox.filled.send()
    return subscription


def unsubscribe_address(address: Address, evidence: Evidence) -> None:
    """Leave on the operator's word. Raises NotFound if the address isn't on the list."""
    with transaction() as session:
        subscription = by_address(address, lock=True)
        if subscription is None:
            raise NotFound(f"{address} is not on the list")
        end(session, subscription, evidence)
    outbox.filled.send()


def end(session: Session, subscription: Subscription, evidence: Evidence, *, goodbye: bool = True) -> None:
    if subscription.state is not SubscriptionState.ENDED:
        subscription.end(EndedReason.UNSUBSCRIBED, now())
        record(session, subscription, ConsentKind.UNSUBSCRIBED, evidence)
        throttle.forgive(session, subscription.subscriber.email_key)
        if goodbye and settings().goodbye_letter:
            write(session, [Letter(subscription, LetterKind.GOODBYE)], now())


def goodbye_token(subscription: Subscription) -> str | None:
    """Belongs to this one departure; None if that can't be taken back any more."""
    at, lifetime = subscription.ended_at, LIFETIMES[Purpose.GOODBYE]
    if at is None or subscription.ended_reason is not EndedReason.UNSUBSCRIBED or now() >= at + lifetime:
        return None
    if subscription.not_me_at or moving.has_moved(subscription):
        return None
    return links().passing_token(Purpose.GOODBYE, subscription.subscriber.uid, subscription.list_id, at)


def departed(claim: Claim, subscription: Subscription | None) -> Subscription | None:
    """The subscription, if it is still ended by the departure that the link belongs to."""
    if subscription is None or claim.expired or goodbye_token(subscription) is None:
        return None
    return None if claim.is_older_than(subscription.ended_at) else subscription


def has_just_left(token: str) -> bool:
    """Raises NotFound for a forged link."""
    return departed(*by_link(Purpose.GOODBYE, token)) is not None


def say_why(token: str, reason: LeavingReason) -> bool:
    """Keep why somebody left; False if it is too late for that. Raises NotFound for a forged link."""
    with transaction():
        subscription = departed(*by_link(Purpose.GOODBYE, token, lock=True))
        if subscription:
            subscription.left_because = reason
    return subscription is not None


def come_back(token: str, evidence: Evidence) -> bool:
    """It was a mistake: be subscribed as before. False if it is too late. Raises NotFound for a forged link."""
    with transaction() as session:
        subscription = departed(*by_link(Purpose.GOODBYE, token, lock=True))
        if subscription:
            subscription.resume()
            record(session, subscription, ConsentKind.RESUMED, evidence)
    return subscription is not None


def is_disowned(token: str) -> bool:
    """Whether the person said "not me" before. Raises NotFound for a forged link."""
    _, subscription = by_link(Purpose.NOT_ME, token)
    return subscription is None or subscription.not_me_at is not None


def disown(token: str, evidence: Evidence) -> None:
    """ "Not me": whatever was asked for ends, and no letter asks this address to confirm for a long time. Repeatable.
    Raises NotFound for a forged link."""
    with transaction() as session:
        _, subscription = by_link(Purpose.NOT_ME, token, lock=True)
        if subscription and not subscription.not_me_at:
            if subscription.state is not SubscriptionState.ENDED:
                subscription.end(EndedReason.UNSUBSCRIBED, now())
            subscription.not_me_at = now()
            record(session, subscription, ConsentKind.NOT_ME, evidence)


def own(token: str, evidence: Evidence) -> None:
    """Take "not me" back: who wants to sign up can be written to again. Raises NotFound for a forged link."""
    with transaction() as session:
        _, subscription = by_link(Purpose.NOT_ME, token, lock=True)
        if subscription and subscription.not_me_at:
            subscription.not_me_at = None
            record(session, subscription, ConsentKind.NOT_ME_UNDONE, evidence)
            throttle.forgive(session, subscription.subscriber.email_key)

"""Vital signs: what is at work, what waits and for how long, what goes wrong. For whoever watches an installation."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, select

from mailer import chores
from mailer.db import clock, db, now, transaction
from mailer.delivery import account
from mailer.delivery.breaker import domain
from mailer.digests import sending
from mailer.digests.sending import Status
from mailer.masking import mask
from mailer.models import Delivery, Digest, Run, Subscriber, Subscription
from mailer.states import DeliveryState, DigestState, SubscriptionState

HEARTBEAT = "heartbeat"  # of whoever does what is due
LATE = timedelta(minutes=10)  # mail that waits for longer means that nobody sends
LATELY = timedelta(days=3)  # digests that ended since then are still looked at
RATIO_DAYS = 7
TROUBLES = (DeliveryState.DEFERRED, DeliveryState.BOUNCED, DeliveryState.BLOCKED, DeliveryState.UNKNOWN)
MOST_LOOKED_AT = 2000  # letters that are put off, when their domains are counted


class Sender(NamedTuple):
    """A run that has begun and not ended."""

    digest: int | None  # None: the letters that belong to no digest
    host: str
    rate: float  # letters accepted a second
    sessions: int  # connections to the mail server that are open
    silent: float  # seconds since its last sign of life; one that is alive gives one every second

    @property
    def is_alive(self) -> bool:
        return self.silent < account.STALE_BEAT.total_seconds()


class Backlog(NamedTuple):
    """Single letters whose time has come, and how long what is due has waited: those, or a digest that nobody sends."""

    letters: int
    oldest: float  # seconds

    @property
    def is_late(self) -> bool:
        return self.oldest > LATE.total_seconds()


class Failure(NamedTuple):
    """A letter that went wrong. Addresses are masked."""

    digest: int | None
    state: DeliveryState
    at: datetime | None
    domain: str
    reply: str


class Provider(NamedTuple):
    """A domain whose letters were put off, and how many of them."""

    domain: str
    letters: int


def beat() -> None:
    """Leave a sign that what is due is being done."""
    with transaction() as session:
        chores.note(session, HEARTBEAT)


def heartbeat() -> float | None:
    """Seconds since somebody last did what is due; None: never."""
    last = chores.done_at(HEARTBEAT)
    return None if last is None else age(last)


def age(since: datetime | None) -> float:
    return max(0.0, (now() - since).total_seconds()) if since else 0.0


def senders() -> list[Sender]:
    at = clock(db.session())
    rows = db.session.execute(select(Run.digest_id, Run.host, Run.rate, Run.sessions, Run.beat_at).order_by(Run.id))
    return [Sender(*row[:-1], (at - row.beat_at).total_seconds()) for row in rows]


def backlog() -> Backlog:
    due = account.waits(None, now())
    letters, oldest = db.session.execute(select(func.count(), func.min(Delivery.next_at)).where(due)).one()
    return Backlog(letters, max(age(oldest), *(age(since) for since in neglected()), 0.0))


def neglected() -> list[datetime | None]:
    """Since when digests that should be going out have had no sender that is alive."""
    alive = {sender.digest for sender in senders() if sender.is_alive}
    query = select(Digest).where(Digest.state.in_((DigestState.APPROVED, DigestState.SENDING)))
    due = [digest for digest in db.session.scalars(query) if digest.id not in alive and sending.has_work(digest)]
    return [
        account.next_due(digest.id) or digest.scheduled_at or digest.approved_at
        for digest in due
        if digest.state is DigestState.SENDING or digest.scheduled_at
    ]


def digests() -> list[Status]:
    """The account of each that is going out, is paused, or ended lately. The newest first."""
    going_on = Digest.state.in_((DigestState.SENDING, DigestState.PAUSED))
    query = select(Digest.id).where(or_(going_on, Digest.sent_at > now() - LATELY)).order_by(Digest.id.desc())
    return [sending.status(digest_id) for digest_id in db.session.scalars(query).all()]


def subscriptions() -> dict[SubscriptionState, int]:
    query = select(Subscription.state, func.count().label("number")).group_by(Subscription.state)
    found = {row.state: row.number for row in db.session.execute(query)}
    return dict.fromkeys(SubscriptionState, 0) | found


def confirm_ratio() -> float | None:
    """The part of those who signed up in the last seven days that has confirmed; None if nobody signed up. People who
    were imported never had to."""
    lately = Subscription.requested_at > now() - timedelta(days=RATIO_DAYS)
    asked = or_(Subscription.confirmed_at.is_(None), Subscription.confirmed_at > Subscription.requested_at)
    confirmed = func.count(Subscription.confirmed_at)
    total, agreed = db.session.execute(select(func.count(), confirmed).where(lately, asked)).one()
    return agreed / total if total else None


def slowest(statuses: Sequence[Status]) -> list[Provider]:
    """The domains that most letters of these digests are put off for."""
    query = select(Subscriber.email).join(Delivery.subscriber).where(theirs(statuses, DeliveryState.DEFERRED))
    emails = db.session.scalars(query.where(Delivery.next_at.is_not(None)).limit(MOST_LOOKED_AT))
    counted = Counter(domain(email) for email in emails if email)
    return [Provider(*each) for each in counted.most_common(5)]


def failures(statuses: Sequence[Status], most: int = 5) -> list[Failure]:
    """The last letters of these digests that went wrong."""
    columns = (Delivery.digest_id, Delivery.state, Delivery.settled_at, Subscriber.email, Delivery.reply)
    query = select(*columns).join(Delivery.subscriber).where(theirs(statuses, *TROUBLES))
    rows = db.session.execute(query.order_by(Delivery.settled_at.desc()).limit(most))
    return [
        Failure(digest, state, at, domain(email or ""), mask(reply or "")) for digest, state, at, email, reply in rows
    ]


def theirs(statuses: Sequence[Status], *states: DeliveryState) -> ColumnElement[bool]:
    return and_(Delivery.digest_id.in_([status.digest for status in statuses]), Delivery.state.in_(states))

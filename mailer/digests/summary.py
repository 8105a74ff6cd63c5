"""What became of a digest in numbers, by language and by domain. Of nobody in particular; nothing tells who read it."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, case, func, select

from mailer.db import db
from mailer.delivery.ledger import in_scope
from mailer.digests import compose
from mailer.models import Delivery, Digest, Edition, Subscriber, Subscription
from mailer.states import DeliveryState, EndedReason

WITHIN = timedelta(hours=72)  # who leaves later does so for other reasons
FEW = 5  # of fewer people, numbers would tell of a person
LETTERS = (DeliveryState.ACCEPTED, DeliveryState.BOUNCED, DeliveryState.BLOCKED, DeliveryState.UNKNOWN)
PEOPLE = (EndedReason.UNSUBSCRIBED, EndedReason.COMPLAINED)


@dataclass(frozen=True)
class Counts:
    """Of letters, and of the people who left after they got one."""

    enlisted: int
    accepted: int
    bounced: int
    blocked: int
    unknown: int
    unsubscribed: int
    complained: int

    def without(self, others: Sequence["Counts"]) -> "Counts":
        return Counts(*(mine - sum(theirs) for mine, *theirs in zip(*map(astuple, (self, *others)), strict=True)))


NAMES = tuple(field.name for field in fields(Counts))
Key = SQLColumnExpression[Any]
Group = tuple[str | None, Counts]  # None: all the others, of whom there are too few to be named


@dataclass(frozen=True)
class Summary:
    until: datetime | None  # who left up to then is counted
    everybody: Counts
    languages: Sequence[Group]
    domains: Sequence[Group]


def of(digest_id: int) -> Summary:
    digest = compose.find(digest_id)
    columns = counted(digest)
    everybody = Counts(*(count or 0 for count in db.session.execute(joined(digest, columns)).one()))
    until = digest.published_at and digest.published_at + WITHIN
    keys: tuple[Key, ...] = (Edition.language, domain())
    by_language, by_domain = (grouped(digest, columns, everybody, key) for key in keys)
    return Summary(until, everybody, by_language, by_domain)


def counted(digest: Digest) -> list[ColumnElement[int]]:
    """A column for each of NAMES."""
    begun = digest.published_at or digest.created_at
    left = and_(Subscription.ended_at >= begun, Subscription.ended_at < begun + WITHIN)
    states = (Delivery.state == state for state in LETTERS)
    reasons = (and_(left, Subscription.ended_reason == reason) for reason in PEOPLE)
    return [func.count(), *(func.sum(case((each, 1), else_=0)) for each in (*states, *reasons))]


def joined(digest: Digest, columns: Sequence[SQLColumnExpression[Any]]) -> Any:
    theirs = and_(Subscription.subscriber_id == Delivery.subscriber_id, Subscription.list_id == digest.list_id)
    rows = select(*columns).select_from(Delivery).join(Delivery.edition).join(Delivery.subscriber)
    return rows.outerjoin(Subscription, theirs).where(in_scope(digest.id))


def grouped(digest: Digest, columns: Sequence[ColumnElement[int]], everybody: Counts, key: Key) -> list[Group]:
    """The largest first, the others together."""
    query = joined(digest, [key, *columns]).where(key.is_not(None)).group_by(key).having(func.count() >= FEW)
    found: list[Group] = [(name, Counts(*counts)) for name, *counts in db.session.execute(query)]
    found.sort(key=lambda each: (-each[1].enlisted, each[0]))
    others = everybody.without([counts for _, counts in found])
    return [*found, (None, others)] if others.enlisted else found


def domain() -> Key:
    """What stands behind the @ of an address; nothing of those who were forgotten."""
    place = func.instr if db.engine.dialect.name == "sqlite" else func.strpos
    return func.substr(Subscriber.email_key, place(Subscriber.email_key, "@") + 1)

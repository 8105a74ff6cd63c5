"""Who gets which of a digest's announcements, worked out by the database for a million people at once.

A selection is a number with a bit for each of the digest's items, in their order.
"""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Select, case, exists, func, literal, select
from sqlalchemy.orm import Session

from mailer import topics
from mailer.delivery import ledger
from mailer.delivery.ledger import NOT_RECEIVED
from mailer.digests import editions, owing, snapshot
from mailer.models import Announcement, Delivery, Digest, DigestItem, EditionItem, Subscriber, Subscription
from mailer.models import subscription_topic as choices

Bits = ColumnElement[int]


class Pair(NamedTuple):
    """What everybody who gets the same words has in common."""

    language: str
    selection: int


def everything(digest: Digest) -> int:
    return (1 << len(digest.items)) - 1


def about(digest: Digest) -> int:
    """What the digest is about, without what only catches up; nothing, if that is all it does."""
    return mask(digest, [item for item in digest.items if not item.catches_up])


def mask(digest: Digest, items: Iterable[DigestItem]) -> int:
    wanted = {item.announcement_id for item in items}
    return sum(1 << bit for bit, item in enumerate(digest.items) if item.announcement_id in wanted)


def ids(digest: Digest, selection: int) -> tuple[int, ...]:
    """The announcements that a selection stands for."""
    return tuple(item.announcement_id for bit, item in enumerate(digest.items) if selection >> bit & 1)


def people(session: Session, digest: Digest) -> Select[int, str, int]:
    """Everybody to whom the digest goes: subscriber, the edition's language, the selection. Nobody's is empty."""
    codes = editions.languages()
    language = case((Subscriber.language.in_(codes), Subscriber.language), else_=codes[0])
    query = ledger.confirmed(digest.list_id, digest.frequency)
    selection = constant(everything(digest))
    narrower = [bits for part in (by_topics, by_debts, by_receipts) if (bits := part(session, digest)) is not None]
    columns = query.with_only_columns(Subscriber.id, language.label("language"))
    if not narrower:
        return columns.add_columns(selection.label("selection"))
    selection = reduce(lambda one, other: one.bitwise_and(other), narrower)
    return columns.add_columns(selection.label("selection")).where(selection != 0)


def tally(session: Session, digest: Digest) -> dict[Pair, int]:
    """How many people would get which edition."""
    found = people(session, digest).subquery()
    query = select(found.c.language, found.c.selection, func.count()).group_by(found.c.language, found.c.selection)
    return {Pair(language, selection): count for language, selection, count in session.execute(query)}


def in_use(session: Session, digest: Digest) -> list[Pair]:
    found = people(session, digest).subquery()
    rows = session.execute(select(found.c.language, found.c.selection).distinct())
    return sorted(Pair(*row) for row in rows)


def count(session: Session, digest: Digest) -> int:
    return session.scalar(select(func.count()).select_from(people(session, digest).subquery())) or 0


def constant(bits: int) -> Bits:
    return literal(bits, BigInteger)


def union(parts: Iterable[Bits]) -> Bits:
    return reduce(lambda one, other: one.bitwise_or(other), parts)


def collected(masks: Mapping[int, int], key: Any) -> Bits:
    """The union of the masks of a group's rows, by what `key` is in each: no two databases have the same function for
    it."""
    return union(func.max(case((key == each, constant(bits)), else_=constant(0))) for each, bits in masks.items())


def by_topics(session: Session, digest: Digest) -> Bits | None:
    """What is about a topic that the person chose, and what is about none; everything for who chose none."""
    common, masks = topic_masks(session, digest)
    if not masks or not session.scalar(select(exists().where(choices.c.topic_id.is_not(None)))):
        return None
    chosen = select(collected(masks, choices.c.topic_id)).where(choices.c.subscription_id == Subscription.id)
    wanted = func.coalesce(chosen.correlate(Subscription).scalar_subquery(), constant(everything(digest)))
    return wanted.bitwise_or(constant(common))


def topic_masks(session: Session, digest: Digest) -> tuple[int, dict[int, int]]:
    """What goes to everybody, and what goes to those who chose a topic, by its id."""
    known = {topic.key: topic.id for topic in topics.every(digest.list_id)}
    common, masks = 0, dict[int, int]()
    for bit, announcement in enumerate(snapshot.announcements(digest, ids(digest, everything(digest)))):
        found = topics_of(session, announcement, known)
        common |= 0 if found else 1 << bit
        for topic_id in found:
            masks[topic_id] = masks.get(topic_id, 0) | 1 << bit
    return common, masks


def topics_of(session: Session, announcement: Announcement, known: Mapping[str, int]) -> set[int]:
    """Those it was frozen with; if one of them became part of another since, those it has now."""
    keys = announcement.topics
    if not known.keys() >= set(keys) and (living := session.get(Announcement, announcement.id)):
        keys = living.topics
    return {known[key] for key in keys if key in known}


def by_debts(session: Session, digest: Digest) -> Bits | None:
    """What the digest is about, and what only catches up for those to whom it is owed."""
    extra = [item for item in digest.items if item.catches_up]
    if not extra:
        return None
    terms = owing.terms(session, digest.list_id, [item.announcement_id for item in extra])
    owed = (
        case((owing.is_owed(terms[item.announcement_id]), constant(mask(digest, [item]))), else_=constant(0))
        for item in extra
    )
    return union([constant(about(digest)), *owed])


def by_receipts(session: Session, digest: Digest) -> Bits | None:
    """What no earlier digest has brought. Costs nothing where none of them held these announcements."""
    if digest.again:
        return None
    bits = {item.announcement_id: 1 << bit for bit, item in enumerate(digest.items)}
    earlier = earlier_digests(session, digest, list(bits))
    if not earlier:
        return None
    had = (
        select(collected(bits, EditionItem.announcement_id))
        .join(Delivery, Delivery.edition_id == EditionItem.edition_id)
        .where(
            Delivery.digest_id.in_(earlier),
            Delivery.subscriber_id == Subscriber.id,
            Delivery.state.not_in(NOT_RECEIVED),
        )
    )
    received = func.coalesce(had.correlate(Subscriber).scalar_subquery(), constant(0))
    return constant(everything(digest)) - received


def earlier_digests(session: Session, digest: Digest, announcements: list[int]) -> list[int]:
    query = (
        select(Digest.id)
        .join(Digest.editions)
        .join(EditionItem)
        .where(EditionItem.announcement_id.in_(announcements), Digest.id != digest.id)
    )
    return list(session.scalars(query.distinct()))

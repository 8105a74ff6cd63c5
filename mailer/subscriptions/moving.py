"""A change of address: the old subscription ends when the new address is confirmed, and can be had back for a week.

Each address keeps a row, evidence and links of its own (ADR 14).
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Delete, bindparam, delete, exists, select
from sqlalchemy.orm import Session

from mailer.db import KEEP, KEPT, NOBODY, db, insert_into, now, transaction
from mailer.links import Claim, Purpose
from mailer.models import Move, Subscription
from mailer.states import ConsentKind, EndedReason, LetterKind, SubscriptionState
from mailer.subscriptions.asking import Asking
from mailer.subscriptions.consent import Evidence, record
from mailer.subscriptions.letters import Letter, write
from mailer.subscriptions.lookup import by_link


def plan(leaves: Subscription, session: Session, asking: Sequence[Asking]) -> None:
    """Let those who ask take the place of `leaves` once they are confirmed, in the caller's transaction."""
    for each in asking:
        if each.noted:
            each.subscription.paused_until = leaves.paused_until
    connection = session.connection()
    same = {"from_id": leaves.id, "asked_at": now()}
    moves = [{"to_id": each.subscription.id, KEPT: each.noted, **same} for each in asking]
    connection.execute(new_plan(connection.dialect.name), moves)


@cache
def new_plan(dialect: str) -> Any:
    names = ("to_id", "from_id", "asked_at")
    columns = [bindparam(name, type_=Move.__table__.c[name].type) for name in names]
    new = insert_into(Move, dialect).from_select(names, select(*columns).where(KEEP), include_defaults=False)
    changed = {name: new.excluded[name] for name in ("from_id", "asked_at", "done_at")}
    return new.on_conflict_do_update(index_elements=["to_id"], set_=changed)


def forget(session: Session, asking: Sequence[Asking]) -> None:
    """Whoever signs up on the form wants a subscription of its own."""
    arriving = [each.subscription.id if each.noted else NOBODY for each in asking]
    session.connection().execute(planned(), {"arriving": arriving})


@cache
def planned() -> Delete:
    return delete(Move).where(Move.to_id.in_(bindparam("arriving", expanding=True)), Move.done_at.is_(None))


def arrive(session: Session, arrives: Subscription, evidence: Evidence) -> None:
    """If a newly confirmed subscription takes another's place, end that one and tell its address, in the caller's
    transaction."""
    move = session.get(Move, arrives.id)
    leaves = session.get(Subscription, move.from_id, with_for_update=True) if move else None
    if move is None or leaves is None or leaves.state is not SubscriptionState.CONFIRMED:
        return
    move.done_at = now()
    arrives.owed_since, arrives.owed_by = leaves.owed_since, leaves.owed_by
    leaves.end(EndedReason.UNSUBSCRIBED, move.done_at)
    record(session, leaves, ConsentKind.MOVED, evidence)
    write(session, [Letter(leaves, LetterKind.ADDRESS_CHANGE)], move.done_at)


def has_moved(subscription: Subscription) -> bool:
    """Whether it ended because another address took its place: that is taken back by a link of its own."""
    ended = Move.done_at == subscription.ended_at
    return bool(db.session.scalar(select(exists().where(Move.from_id == subscription.id, ended))))


def can_return(token: str) -> bool:
    """Raises NotFound for a forged link."""
    return returnable(*by_link(Purpose.RESTORE, token)) is not None


def returnable(claim: Claim, subscription: Subscription | None) -> Subscription | None:
    """The subscription, if it is still ended by the change that the letter told of."""
    if subscription is None or claim.expired or subscription.ended_reason is not EndedReason.UNSUBSCRIBED:
        return None
    return None if claim.is_older_than(subscription.ended_at) else subscription


def take_back(token: str, evidence: Evidence) -> bool:
    """Let the announcements come to the old address again, and no more to the new one. False if it is too late for
    that. Raises NotFound for a forged link."""
    with transaction() as session:
        subscription = returnable(*by_link(Purpose.RESTORE, token, lock=True))
        if subscription:
            subscription.resume()
            record(session, subscription, ConsentKind.RESUMED, evidence)
            undo(session, subscription, evidence)
    return subscription is not None


def undo(session: Session, returns: Subscription, evidence: Evidence) -> None:
    for move in session.scalars(select(Move).where(Move.from_id == returns.id, Move.done_at.is_not(None))):
        other = session.get(Subscription, move.to_id, with_for_update=True)
        if other and other.state is not SubscriptionState.ENDED:
            other.end(EndedReason.UNSUBSCRIBED, now())
            record(session, other, ConsentKind.UNSUBSCRIBED, evidence)
        session.delete(move)


def asked_for(subscription: Subscription) -> list[Move]:
    """The changes of address that were asked for here. Those that others asked for and nobody has confirmed are not
    theirs to know."""
    return list(db.session.scalars(select(Move).filter_by(from_id=subscription.id).order_by(Move.asked_at, Move.to_id)))


def former(session: Session, subscription: Subscription) -> list[Subscription]:
    """The subscriptions whose place this one took, all the way back."""
    found = [subscription]
    while (move := session.get(Move, found[-1].id)) and move.done_at:
        before = session.get(Subscription, move.from_id)
        if before is None or before in found:
            break
        found.append(before)
    return found[1:]

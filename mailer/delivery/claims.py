"""A run's side of the ledger: it claims letters and writes down what became of them, a few hundred in a transaction.

Its statements are built once: at the speed of the wire, building them would cost more than running them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Select,
    Text,
    Update,
    and_,
    bindparam,
    cast,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Session

from mailer.db import now, transaction
from mailer.delivery.ledger import cancel, in_scope, owned, settle
from mailer.delivery.outcomes import Outcome
from mailer.models import Delivery, Digest, Run, Subscriber, Subscription
from mailer.states import DeliveryState, DigestState, SubscriptionState

Query = Select[*tuple[Any, ...]]

PUT_OFF = timedelta(hours=1)  # how long letters to a provider that refuses everybody wait
LEFT = "left the list before the letter went out"


class Letter(NamedTuple):
    """A claimed row: ours until it is settled or given back."""

    id: int
    edition_id: int
    attempts: int
    first_tried_at: datetime | None
    created_at: datetime
    email: str
    uid: str


class Settlement(NamedTuple):
    """A letter's outcome with what follows from it for the ledger. `attempts`: how many tries it adds."""

    letter: Letter
    outcome: Outcome
    next_at: datetime | None = None
    attempts: int = 1

    @property
    def id(self) -> int:
        return self.letter.id


@dataclass(frozen=True)
class Turn:
    """What a run has to write down: outcomes, letters that were not begun, refusals that were no verdicts. And how
    many letters it wants."""

    settlements: Sequence[Settlement] = ()
    untouched: Sequence[int] = ()
    overruled: Sequence[int] = ()
    wanted: int = 0


@dataclass(frozen=True)
class Claim:
    """What a turn brought: letters, whether any rows were found (they may all be of people who left), and whether there
    can be more (a digest may be paused or cancelled)."""

    letters: list[Letter]
    found: bool = False
    going_on: bool = True
    rate: int | None = None  # the digest's own, where it has one


class OwnRun(NamedTuple):
    """A run that this process is: a plain value, whatever becomes of its row or of the connection."""

    id: int
    uid: str
    digest_id: int | None


def begin_run(digest_id: int | None, host: str) -> OwnRun:
    """To be called by the holder of the scope's lock."""
    with transaction() as session:
        run = Run(digest_id=digest_id, host=host)
        session.add(run)
        session.flush()
        return OwnRun(run.id, run.uid, digest_id)


def beat(run_id: int, rate: float, journaled: int) -> None:
    """A sign of life."""
    with transaction() as session:
        standing = {"beat_at": now(), "rate": rate, "journaled": journaled}
        session.execute(update(Run).where(Run.id == run_id).values(standing))


def end_run(run_id: int) -> None:
    """A run that has no rows left."""
    with transaction() as session:
        session.execute(delete(Run).where(Run.id == run_id))


def take_turn(run: OwnRun, turn: Turn) -> Claim:
    """One turn of a run, in one transaction. What it claims is its own from the commit on."""
    at = now()
    with transaction() as session:
        settle_all(session, run.id, turn.settlements, at)
        overrule(session, turn.overruled, at + PUT_OFF)
        give_back(session, run.id, turn.untouched, at)
        if run.digest_id is None:
            return Claim(*claim(session, run.id, outbox(), {"at": at, "limit": turn.wanted}))
        return claim_of_digest(session, run.id, run.digest_id, turn.wanted, at)


def claim_of_digest(session: Session, run_id: int, digest_id: int, wanted: int, at: datetime) -> Claim:
    """Nothing while the digest is paused or cancelled. What waited goes before what was never tried."""
    digest = session.connection().execute(standing(), {"digest": digest_id}).one()
    if digest.state is not DigestState.SENDING:
        return Claim([], going_on=False, rate=digest.rate)
    of_digest = {"digest": digest_id, "list": digest.list_id}
    letters, found = claim(session, run_id, waiting(), {**of_digest, "at": at, "limit": wanted})
    if len(letters) < wanted:
        fresh = {**of_digest, "cursor": digest.cursor, "limit": wanted - len(letters)}
        more, found_more = claim(session, run_id, untried(), fresh, moves_cursor_of=digest_id)
        letters, found = letters + more, found or found_more
    return Claim(letters, found, rate=digest.rate)


def claim(
    session: Session,
    run_id: int,
    query: Query,
    about: dict[str, Any],
    moves_cursor_of: int | None = None,
) -> tuple[list[Letter], bool]:
    """Make the rows ours, and whether there were any; those of people who left meanwhile are cancelled instead."""
    rows = session.connection().execute(query, about).all() if about["limit"] else []
    if not rows:
        return [], False
    letters = [Letter(*row[:7]) for row in rows if row.wanted and row.email is not None]
    if len(letters) < len(rows):
        gone = [row.id for row in rows if not row.wanted or row.email is None]
        cancel(session, Delivery.id.in_(gone), LEFT)
    session.connection().execute(take(), {"run": run_id, "ids": [letter.id for letter in letters]})
    if moves_cursor_of:
        there = update(Digest).where(Digest.id == moves_cursor_of)
        session.connection().execute(there.values(cursor=rows[-1].subscriber_id))
    return letters, True


@cache
def standing() -> Query:
    return select(Digest.state, Digest.list_id, Digest.cursor, Digest.rate).where(Digest.id == bindparam("digest"))


@cache
def outbox() -> Query:
    """Letters that belong to no digest. Their readers asked for them: they are owed whatever became of them since."""
    rows = look(in_scope(None), literal(True)).where(Delivery.next_at <= bindparam("at", type_=Delivery.next_at.type))
    return rows.order_by(Delivery.next_at).with_for_update(of=Delivery, skip_locked=True)


@cache
def waiting() -> Query:
    """Letters of a digest whose time has come: put off, or given back."""
    return of_digest(Delivery.next_at <= bindparam("at", type_=Delivery.next_at.type)).order_by(Delivery.next_at)


@cache
def untried() -> Query:
    """Letters of a digest that were never claimed."""
    beyond = Delivery.subscriber_id > bindparam("cursor")
    return of_digest(beyond, Delivery.state == DeliveryState.QUEUED).order_by(Delivery.subscriber_id)


def of_digest(*rows: ColumnElement[bool]) -> Query:
    theirs = and_(Subscription.list_id == bindparam("list"), Subscription.subscriber_id == Delivery.subscriber_id)
    confirmed = Subscription.state == SubscriptionState.CONFIRMED
    query = look(Delivery.digest_id == bindparam("digest"), confirmed).outerjoin(Subscription, theirs)
    return query.where(*rows).with_for_update(of=Delivery)


def look(scope: ColumnElement[bool], wanted: ColumnElement[bool]) -> Query:
    """Rows with what a letter needs, and whether the person still wants it."""
    columns = (
        Delivery.id,
        Delivery.edition_id,
        Delivery.attempts,
        Delivery.first_tried_at,
        Delivery.created_at,
        Subscriber.email,
        Subscriber.uid,
        Delivery.subscriber_id,
    )
    query = select(*columns, wanted.label("wanted")).join(Subscriber, Subscriber.id == Delivery.subscriber_id)
    return query.where(scope).limit(bindparam("limit"))


@cache
def take() -> Update:
    rows = update(Delivery).where(Delivery.id.in_(bindparam("ids", expanding=True)))
    return rows.values(state=DeliveryState.SENDING, run_id=bindparam("run"), next_at=None)


def settle_all(session: Session, run_id: int, settlements: Sequence[Settlement], at: datetime) -> None:
    """Write down what became of a run's letters: those that were accepted, nearly all, by one statement."""
    accepted = {each.id: each.outcome.reply for each in settlements if each.outcome.state is DeliveryState.ACCEPTED}
    if accepted:
        statement = accept(session.get_bind().dialect.name)
        session.connection().execute(statement, {"run": run_id, "at": at, "replies": json.dumps(accepted)})
    for each in settlements:
        if each.id not in accepted:
            settle(session, run_id, each.id, each.outcome, at, each.next_at, each.attempts)


@cache
def accept(dialect: str) -> Update:
    """`replies` is a JSON object of rows and replies, which each database takes apart in its own way."""
    given = bindparam("replies", type_=Text)
    said = func.json_each(given) if dialect == "sqlite" else func.json_each_text(cast(given, JSON))
    reply = said.table_valued("key", "value", name="said")
    tried = bindparam("at", type_=Delivery.settled_at.type)
    return (
        update(Delivery)
        .where(Delivery.id == cast(reply.c.key, BigInteger), owned())
        .values(
            state=DeliveryState.ACCEPTED,
            attempts=Delivery.attempts + 1,
            first_tried_at=func.coalesce(Delivery.first_tried_at, tried),
            settled_at=tried,
            reply=reply.c.value,
            run_id=None,
            next_at=None,
        )
    )


def give_back(session: Session, run_id: int, ids: Sequence[int], at: datetime) -> None:
    """Queue claimed letters again that were not begun: no attempt is counted."""
    if ids:
        mine = and_(Delivery.id.in_(ids), Delivery.run_id == run_id)
        back = update(Delivery).where(mine).values(state=DeliveryState.QUEUED, run_id=None, next_at=at)
        session.connection().execute(back)


def overrule(session: Session, ids: Sequence[int], until: datetime) -> None:
    """Take back verdicts that were none: the letters are tried again, later."""
    if ids:
        refused = and_(Delivery.id.in_(ids), Delivery.state.in_((DeliveryState.BOUNCED, DeliveryState.BLOCKED)))
        later = update(Delivery).where(refused).values(state=DeliveryState.DEFERRED, next_at=until)
        session.connection().execute(later)

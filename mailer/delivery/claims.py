"""A run's side of the ledger: it claims letters and writes down what became of them, a few hundred in a transaction.

Its statements are built once: at the speed of the wire, building them would cost more than running them.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    CursorResult,
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
from sqlalchemy.orm import InstrumentedAttribute, Session

from mailer.db import clock, hurry, now, transaction
from mailer.delivery import providers, turns
from mailer.delivery.breaker import domain
from mailer.delivery.ledger import cancel, gets_digests, in_scope, owned, settle
from mailer.delivery.outcomes import Outcome
from mailer.delivery.providers import Rates
from mailer.errors import DatabaseError
from mailer.models import Delivery, Digest, Run, Subscriber, Subscription
from mailer.states import DeliveryState, DigestState

Query = Select[*tuple[Any, ...]]
Column = InstrumentedAttribute[Any]

PUT_OFF = timedelta(hours=1)  # how long letters to a provider that refuses everybody wait
EVERYBODY = "everybody"  # the pace of all letters but those of a digest that has a rate of its own
LEFT = "left the list, or paused, before the letter went out"


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
class Handover:
    """What a run has to write down: outcomes, letters that were not begun, refusals that were no verdicts, providers
    that complained and at which rate. And how many letters it wants, at which rate, with which limits of providers."""

    settlements: Sequence[Settlement] = ()
    untouched: Sequence[int] = ()
    overruled: Sequence[int] = ()
    complaints: Rates = field(default_factory=dict)
    wanted: int = 0
    rate: int = 0
    limits: Rates = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """What came back: letters, whether any rows were found (they may all be of people who left), and whether there
    can be more (a digest may be paused or cancelled)."""

    letters: list[Letter]
    found: bool = False
    going_on: bool = True
    rate: int = 0  # letters a second, of all who keep this pace together; 0: no limit
    pace: str = EVERYBODY
    begins_in: float = 0.0  # seconds until the first letter's turn comes


class OwnRun(NamedTuple):
    """A run that this process is: a plain value, whatever becomes of its row or of the connection."""

    id: int
    uid: str
    digest_id: int | None


class Place(NamedTuple):
    """Where a sender is: on which machine, and the name of the folder that holds its journal."""

    host: str
    folder: str


def begin_run(digest_id: int | None, seat: int, uid: str, place: Place) -> OwnRun:
    """To be called by the holder of the seat's lock, whose journal is there."""
    with transaction() as session:
        run = Run(digest_id=digest_id, seat=seat, uid=uid, host=place.host, folder=place.folder, beat_at=clock(session))
        session.add(run)
        session.flush()
        return OwnRun(run.id, run.uid, digest_id)


def beat(run_id: int, rate: float, journaled: int, sessions: int) -> None:
    """A sign of life. `sessions`: how many are open."""
    with transaction() as session:
        standing = {"beat_at": clock(session), "rate": rate, "journaled": journaled, "sessions": sessions}
        session.execute(update(Run).where(Run.id == run_id).values(standing))


def end_run(run_id: int) -> None:
    """A run that has no rows left."""
    with transaction() as session:
        session.execute(delete(Run).where(Run.id == run_id))


def hand_over(run: OwnRun, brought: Handover) -> Claim:
    """One round of a run, in one transaction. What it claims is its own from the commit on."""
    at = now()
    with transaction() as session:
        hurry(session)
        settle_all(session, run.id, brought.settlements, at)
        overrule(session, brought.overruled, at + PUT_OFF)
        give_back(session, run.id, brought.untouched, at)
        for provider, rate in brought.complaints.items():
            providers.slow_down(session, provider, rate)
        if run.digest_id is None:
            claimed = Claim(*claim(session, run.id, outbox(), {"at": at, "limit": brought.wanted}), rate=brought.rate)
        else:
            claimed = claim_of_digest(session, run.id, run.digest_id, brought, at)
        return in_turn(session, claimed)


def claim_of_digest(session: Session, run_id: int, digest_id: int, brought: Handover, at: datetime) -> Claim:
    """Nothing while the digest is paused or cancelled. What waited goes before what was never tried."""
    digest = session.connection().execute(standing(claims=brought.wanted > 0), {"digest": digest_id}).one()
    rate = brought.rate if digest.rate is None else digest.rate
    if digest.state is not DigestState.SENDING:
        return Claim([], going_on=False, rate=rate)
    about = {"digest": digest_id, "list": digest.list_id, "at": at, "limit": brought.wanted}
    letters, found = claim(session, run_id, waiting(), about)
    if len(letters) < brought.wanted:
        about |= {"cursor": digest.cursor, "limit": brought.wanted - len(letters)}
        more, found_more = claim_untried(session, run_id, about, digest.enlisted_at)
        letters, found = letters + more, found or found_more
    pace = EVERYBODY if digest.rate is None else f"digest {digest_id}"
    allowed = without_hurry(session, run_id, letters, brought.limits, at) if letters else letters
    return Claim(allowed, found, rate=rate, pace=pace)


def without_hurry(session: Session, run_id: int, letters: list[Letter], limits: Rates, at: datetime) -> list[Letter]:
    """Those that may go now; letters that their provider can't have yet are put off."""
    rates = providers.rates(session, limits)
    if not rates:
        return letters
    domains = [domain(letter.email) for letter in letters]
    wanted = Counter(each for each in domains if each in rates)
    allowances = {each: providers.allow(session, each, rates[each], number) for each, number in sorted(wanted.items())}
    moments = providers.split(domains, allowances)
    late = [(letter.id, moment) for letter, moment in zip(letters, moments, strict=True) if moment is not None]
    if late:
        again = [{"row": row, "again": at + timedelta(seconds=moment)} for row, moment in late]
        session.connection().execute(put_off(), [{"mine": run_id, **each} for each in again])
    return [letter for letter, moment in zip(letters, moments, strict=True) if moment is None]


@cache
def put_off() -> Update:
    """Queue claimed letters for later: no attempt is counted."""
    mine = and_(Delivery.id == bindparam("row"), Delivery.run_id == bindparam("mine"))
    return update(Delivery).where(mine).values(state=DeliveryState.QUEUED, run_id=None, next_at=bindparam("again"))


def in_turn(session: Session, claim: Claim) -> Claim:
    """With the turns of its letters, where there is a rate to keep."""
    if not (claim.rate and claim.letters):
        return claim
    taken = turns.take(session, claim.pace, claim.rate, len(claim.letters))
    return replace(claim, begins_in=max(0.0, taken.begins_in))


def claim(session: Session, run_id: int, query: Query, about: dict[str, Any]) -> tuple[list[Letter], bool]:
    """Make the rows ours, and whether there were any; those of people who left meanwhile are cancelled instead."""
    rows = session.connection().execute(query, about).all() if about["limit"] else []
    if not rows:
        return [], False
    letters = [Letter(*row[:7]) for row in rows if row.wanted]
    cancel_gone(session, [row.id for row in rows if not row.wanted])
    session.connection().execute(take(), {"run": run_id, "ids": [letter.id for letter in letters]})
    return letters, True


def claim_untried(
    session: Session, run_id: int, about: dict[str, Any], enlisted_at: datetime
) -> tuple[list[Letter], bool]:
    """The same for rows that were never tried: nearly all of a digest. They lie side by side, and what they have in
    common is not fetched for each."""
    rows = plain_rows(session.connection().execute(untried(), about))
    if not rows:
        return [], False
    letters = [
        Letter(row, edition, 0, None, enlisted_at, email, uid) for row, edition, email, uid, _, wanted in rows if wanted
    ]
    cancel_gone(session, [row for row, *_, wanted in rows if not wanted])
    span = {"of": about["digest"], "beyond": about["cursor"], "last": rows[-1][4]}
    taken = session.connection().execute(take_span(), {**span, "run": run_id}).rowcount
    if taken != len(letters):
        raise DatabaseError(f"{taken} rows were claimed instead of {len(letters)}: something else changed them")
    session.connection().execute(move_cursor(), span)
    return letters, True


def plain_rows(result: CursorResult[Any]) -> Sequence[tuple[Any, ...]]:
    """Rows as the driver gives them, where no column's type has to be converted: to wrap each of them takes longer than
    the query does."""
    rows = result.cursor.fetchall() if result.cursor else ()
    result.close()
    return rows


def cancel_gone(session: Session, rows: Sequence[int]) -> None:
    if rows:
        cancel(session, Delivery.id.in_(rows), LEFT)


@cache
def standing(*, claims: bool) -> Query:
    """How a digest stands. All its letters were enlisted at the same moment. Those who claim pass one after another:
    they move its cursor."""
    # In an order that an index has: else PostgreSQL looks through all letters for the first of a new digest.
    enlisted = select(Delivery.created_at).where(Delivery.digest_id == bindparam("digest"))
    enlisted = enlisted.order_by(Delivery.subscriber_id).limit(1)
    columns = (Digest.state, Digest.list_id, Digest.cursor, Digest.rate)
    query = select(*columns, enlisted.scalar_subquery().label("enlisted_at")).where(Digest.id == bindparam("digest"))
    return query.with_for_update(of=Digest, key_share=True) if claims else query


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
    """Letters of a digest that were never claimed, without what is the same for all of them."""
    columns = (Delivery.id, Delivery.edition_id, Subscriber.email, Subscriber.uid)
    beyond = Delivery.subscriber_id > bindparam("cursor")
    query = of_digest(beyond, Delivery.state == DeliveryState.QUEUED, columns=columns)
    return query.order_by(Delivery.subscriber_id)


EVERY_COLUMN = (
    Delivery.id,
    Delivery.edition_id,
    Delivery.attempts,
    Delivery.first_tried_at,
    Delivery.created_at,
    Subscriber.email,
    Subscriber.uid,
)


def of_digest(*rows: ColumnElement[bool], columns: Sequence[Column] = EVERY_COLUMN) -> Query:
    theirs = and_(Subscription.list_id == bindparam("list"), Subscription.subscriber_id == Delivery.subscriber_id)
    wanted = gets_digests(bindparam("at", type_=Subscription.paused_until.type))
    query = look(Delivery.digest_id == bindparam("digest"), wanted, columns).outerjoin(Subscription, theirs)
    return query.where(*rows).with_for_update(of=Delivery)


def look(scope: ColumnElement[bool], wanted: ColumnElement[bool], columns: Sequence[Column] = EVERY_COLUMN) -> Query:
    """Rows with what a letter needs, whose they are, and whether the person is still there and wants it."""
    still = and_(wanted, Subscriber.email.is_not(None)).label("wanted")
    query = select(*columns, Delivery.subscriber_id, still).join(Subscriber, Subscriber.id == Delivery.subscriber_id)
    return query.where(scope).limit(bindparam("limit"))


@cache
def take() -> Update:
    rows = update(Delivery).where(Delivery.id.in_(bindparam("ids", expanding=True)))
    return rows.values(state=DeliveryState.SENDING, run_id=bindparam("run"), next_at=None)


@cache
def take_span() -> Update:
    """All rows of a digest that were never claimed, up to a subscriber."""
    span = and_(Delivery.subscriber_id > bindparam("beyond"), Delivery.subscriber_id <= bindparam("last"))
    untouched = and_(Delivery.digest_id == bindparam("of"), span, Delivery.state == DeliveryState.QUEUED)
    return update(Delivery).where(untouched).values(state=DeliveryState.SENDING, run_id=bindparam("run"))


@cache
def move_cursor() -> Update:
    return update(Digest).where(Digest.id == bindparam("of")).values(cursor=bindparam("last"))


def settle_all(session: Session, run_id: int, settlements: Sequence[Settlement], at: datetime) -> None:
    """Write down what became of a run's letters: those that were accepted, nearly all, by one statement."""
    accepted: dict[int, str] = {}
    for letter, outcome, next_at, attempts in settlements:
        if outcome.state is DeliveryState.ACCEPTED:
            accepted[letter.id] = outcome.reply
        else:
            settle(session, run_id, letter.id, outcome, at, next_at, attempts)
    if accepted:
        statement = accept(session.get_bind().dialect.name)
        session.connection().execute(statement, {"run": run_id, "at": at, "replies": json.dumps(accepted)})


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

"""Turns that all senders take together, in whatever processes they are: of a rate, or of a provider that must not be
hurried. A turn is a moment; who has taken it need not ask again.
"""

from math import ceil, inf
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.db import clock, insert_new
from mailer.models import Pace

CREDIT = 0.05  # seconds of turns that were missed and may be made up for
FARTHEST = 60.0  # seconds; turns are never taken so far ahead, unless the clock has been set back


class Turns(NamedTuple):
    """In how many seconds the first one comes, and how many there are."""

    begins_in: float
    number: int


def take(session: Session, name: str, rate: float, wanted: int, horizon: float = inf) -> Turns:
    """Turns of the pace `name`, as many as are `wanted` or come within `horizon` seconds; others wait at this row until
    the caller's transaction ends."""
    at = clock(session).timestamp()
    row = locked(session, name)
    free_at = max(row.free_at, at - CREDIT) if row.free_at < at + FARTHEST else at
    count = min(wanted, max(0, ceil((at + horizon - free_at) * rate))) if horizon < inf else wanted
    session.execute(update(Pace).where(Pace.name == name).values(free_at=free_at + count / rate))
    return Turns(free_at - at, count)


def queue_up(session: Session, name: str, rate: float, number: int, longest: float) -> float:
    """In how many seconds so many letters that got no turn shall come for one, the first of them: when those that were
    told so before have had theirs. At most `longest`."""
    at = clock(session).timestamp()
    row = locked(session, name)
    begins_at = min(max(row.free_at, row.tail_at, at), at + longest)
    session.execute(update(Pace).where(Pace.name == name).values(tail_at=begins_at + number / rate))
    return begins_at - at


def locked(session: Session, name: str) -> Pace:
    query = select(Pace).where(Pace.name == name).with_for_update().execution_options(populate_existing=True)
    if session.scalar(query) is None:
        insert_new(session, Pace, name=name, free_at=0.0, tail_at=0.0)
    return session.scalars(query).one()

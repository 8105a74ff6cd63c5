"""Mail providers that must not be hurried: those that the settings give a rate, and those that complained of ours.

A provider is an address's domain: all that can be known without asking the DNS. What it is trusted with halves when it
complains and doubles in a quarter of an hour without complaint, for all senders together. Letters that it can't have
now are put off, so that nobody else waits for it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.db import clock
from mailer.delivery import turns
from mailer.delivery.outcomes import Outcome
from mailer.models import Pace
from mailer.states import DeliveryState

COMPLAINT = re.compile(r"4\d\d 4\.7\.\d")  # of how much or how fast we send, not of one letter
ONCE_IN = 30.0  # seconds; of complaints about letters that were on their way together one counts
DOUBLES_IN = 900.0  # seconds
DOUBLINGS = 6  # until it is trusted like all others
SLOWEST = 0.2  # letters a second
HORIZON = 1.0  # seconds; so much of a provider's rate is let go at once
LONGEST = 900.0  # seconds until a letter that was put off is looked at again: its provider may have recovered

Rates = Mapping[str, float]


class Allowance(NamedTuple):
    """How many letters a provider may have now, and in how many seconds those that it can't have shall come again: the
    first of them, and each further one."""

    number: int
    next_in: float
    interval: float


def name(domain: str) -> str:
    return f"provider {domain}"


def complains(outcome: Outcome) -> bool:
    return outcome.state is DeliveryState.DEFERRED and bool(COMPLAINT.match(outcome.reply))


def slow_down(session: Session, domain: str, rate: float) -> None:
    """It complained while it got so many letters a second from us. In the caller's transaction."""
    row = turns.locked(session, name(domain))
    at = clock(session).timestamp()
    if row.slowed_at is not None and at < row.slowed_at + ONCE_IN:
        return
    trusted = recovered(row, at)
    present = rate if trusted is None else min(rate, trusted)
    change = update(Pace).where(Pace.name == row.name)
    session.execute(change.values(rate=max(SLOWEST, present / 2), slowed_at=at))


def recovered(row: Pace, at: float) -> float | None:
    """The rate that it is trusted with by now; None: any."""
    if row.rate is None or row.slowed_at is None:
        return None
    doublings = max(0.0, at - row.slowed_at) / DOUBLES_IN
    return None if doublings > DOUBLINGS else float(row.rate) * 2.0**doublings


def rates(session: Session, limits: Rates) -> dict[str, float]:
    """Letters a second for each provider that is not to get as many as we can: {domain: rate}. `limits`: what the
    settings say."""
    found = dict(limits)
    slowed = session.scalars(select(Pace).where(Pace.slowed_at.is_not(None))).all()
    at = clock(session).timestamp() if slowed else 0.0
    for row in slowed:
        domain = row.name.removeprefix(name(""))
        rate = recovered(row, at)
        if rate is not None:
            found[domain] = min(rate, found.get(domain, rate))
    return found


def allow(session: Session, domain: str, rate: float, wanted: int) -> Allowance:
    """How many of these letters go out now. In the caller's transaction."""
    taken = turns.take(session, name(domain), rate, wanted, HORIZON)
    left = wanted - taken.number
    next_in = turns.queue_up(session, name(domain), rate, left, LONGEST) if left else 0.0
    return Allowance(taken.number, next_in, 1 / rate)


def split(domains: Iterable[str], allowances: Mapping[str, Allowance]) -> list[float | None]:
    """For each letter, given by its provider: in how many seconds it shall come again, or None if it may go now."""
    given = dict.fromkeys(allowances, 0)
    found: list[float | None] = []
    for domain in domains:
        if allowance := allowances.get(domain):
            place = given[domain] - allowance.number
            found.append(None if place < 0 else min(LONGEST, allowance.next_in + place * allowance.interval))
            given[domain] += 1
        else:
            found.append(None)
    return found

"""A digest as it goes out, seen from the command that began it: the live line, how far workers are, the account."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from mailer.cli import looking
from mailer.cli.common import as_json, progress, say
from mailer.config import settings
from mailer.db import db
from mailer.delivery import account
from mailer.delivery.account import Tally
from mailer.delivery.engine import Watch
from mailer.delivery.meter import Meter
from mailer.digests import compose, sending
from mailer.digests.sending import Status
from mailer.errors import Interrupted, MailerError
from mailer.localtime import local
from mailer.states import DigestState
from mailer.vitals import TROUBLES

PATIENCE = 15.0  # seconds until somebody who watches is told that no worker has begun


def send(digest_id: int, stop: threading.Event, *, forced: bool, limit: int | None) -> Status:
    """Send it, or watch workers do that. Raises as `sending.send` does."""
    with with_tally(digest_id):
        if settings().engine == "celery":
            hand_out(digest_id, forced=forced)
            return follow(digest_id, stop)
        with live_line(digest_id) as watch:
            return sending.send(digest_id, stop=stop, watch=watch, forced=forced, limit=limit)


@contextmanager
def live_line(digest_id: int) -> Iterator[Watch]:
    """A live line on a terminal: how many of how many, the rate of the last ten seconds, the time left, troubles."""
    with progress("accepted") as move:
        before: dict[Meter, Tally] = {}  # by runs: there may be several, one after another

        def watch(meter: Meter) -> None:
            if meter not in before:  # now that everybody is enlisted
                before[meter] = account.tally(digest_id)
            tally = before[meter].plus(meter.counts, meter.retried)
            move(tally.accepted, tally.enlisted, remark(tally, meter.rate()))

        yield watch


def remark(tally: Tally, rate: float | None) -> str:
    words = [looking.pace(rate, round(tally.untried / rate))] if rate else []
    troubles = [f"{getattr(tally, state)} {state}" for state in TROUBLES if getattr(tally, state)]
    return "; ".join([*words, *troubles])


@contextmanager
def with_tally(digest_id: int) -> Iterator[None]:
    """Trouble is told with what is left and the command that goes on, once there is anything to go on with."""
    try:
        yield
    except MailerError as error:
        if compose.find(digest_id).state is not DigestState.SENDING:
            raise
        raise type(error)(
            f"{error} ({looking.describe(sending.status(digest_id))}); go on with 'mailer digest send {digest_id}'"
        ) from error


def conclude(status: Status, *, interrupted: bool, wants_json: bool, limited: bool) -> None:
    """Print the account. Raises Interrupted while letters are left that the next run will try, but for those that
    were left on purpose."""
    if wants_json:
        as_json(status.as_json())
    else:
        say(looking.describe(status))
    if limited and status.state is DigestState.PAUSED:
        words = f"paused; look what became of them, then let it go on: 'mailer digest resume {status.digest}'"
        click.echo(words, err=True)
    else:
        say_what_is_left(status, interrupted=interrupted)


def say_what_is_left(status: Status, *, interrupted: bool) -> None:
    tally, again = status.tally, f"go on with 'mailer digest send {status.digest}'"
    if status.state is DigestState.CANCELLED:
        raise Interrupted(f"digest {status.digest} was cancelled meanwhile; nothing more goes out")
    if status.state is DigestState.PAUSED:
        raise Interrupted(f"paused; 'mailer digest resume {status.digest}', then {again}")
    if interrupted and tally.open:
        raise Interrupted(f"stopped; {tally.queued + tally.deferred} letters stay queued; {again}")
    if status.next_at and tally.deferred:
        when = local(status.next_at)
        raise Interrupted(
            f"the mail server put {tally.deferred} letters off; 'mailer serve' or 'mailer run-due' "
            f"tries them again from {when:%H:%M %Z} on"
        )
    if status.state is DigestState.SENDING:
        raise Interrupted(f"other senders are still at {tally.untried} letters; let them end, or {again}")
    if tally.unknown:
        click.echo(
            f"of {tally.unknown} letters nobody knows whether they arrived: 'mailer digest report {status.digest}' "
            f"names them, 'mailer digest retry {status.digest} --unknown' sends them again",
            err=True,
        )


def hand_out(digest_id: int, *, forced: bool) -> None:
    """Freeze, enlist, and leave the rest to workers. Raises BrokerError before anything is frozen."""
    from mailer import broker

    broker.check()
    sending.begin(digest_id, forced=forced)
    if compose.find(digest_id).state is DigestState.SENDING:
        broker.hand_out(digest_id, account.free_seats(digest_id, settings().send_workers))


def follow(digest_id: int, stop: threading.Event) -> Status:
    """Watch workers until all that is due has been tried, or somebody stops watching."""
    last_sign = time.monotonic()
    with progress("accepted") as move:
        while True:
            begun = time.monotonic()
            status = sending.status(digest_id)
            db.session.rollback()  # the next look sees what they have done since
            if not is_under_way(status):
                return status
            if stop.is_set():
                raise Interrupted(f"no longer watched; the workers go on, 'mailer digest pause {digest_id}' stops them")
            move(status.tally.accepted, status.tally.enlisted, remark(status.tally, status.rate))
            if status.rate is not None:
                last_sign = time.monotonic()
            elif time.monotonic() > last_sign + PATIENCE:
                click.echo("no worker is at it: is 'celery -A mailer.tasks worker' running?", err=True)
                last_sign = time.monotonic()
            stop.wait(max(1.0, 10 * (time.monotonic() - begun)))  # counting a million rows takes a while


def is_under_way(status: Status) -> bool:
    """Until it is closed, or all that is left are letters that were put off."""
    waits = status.tally.untried == 0 and status.tally.deferred > 0
    return status.state is DigestState.SENDING and (status.rate is not None or not waits)

"""What is due now, over all rooms: letters in the outbox, scheduled digests, second tries, what is to be forgotten."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Flask

from mailer import vitals
from mailer.db import explain
from mailer.delivery import account, engine
from mailer.delivery.outbox import Sender
from mailer.digests import schedule, sending
from mailer.errors import Busy, MailerError
from mailer.localtime import local
from mailer.models import Digest
from mailer.subscriptions import counters, restoring, retention

log = logging.getLogger(__name__)

TROUBLE_SECONDS = 5.0  # how long a loop rests after trouble, with a mail server that is down for one
CHORE_SECONDS = 60.0
Piece = Callable[[threading.Event], list[str]]


def run_due(stop: threading.Event) -> list[str]:
    """Do what is due; a line for each piece of work. Raises the last MailerError after all pieces had their turn."""
    done: list[str] = []
    trouble: MailerError | None = None
    for piece in (*PROMPT, *CHORES):
        try:
            done += piece(stop)
        except Busy:
            continue  # another process is doing it
        except MailerError as error:
            trouble = error
    if trouble:
        raise trouble
    return done


def deliver_outbox(stop: threading.Event) -> list[str]:
    if not account.is_due(None):
        return []
    engine.deliver(None, stop=stop)
    return ["letters: delivered what was waiting"]


def send_digests(stop: threading.Event, deliver: Callable[[int], None] | None = None) -> list[str]:
    """Also those that compose themselves: a window is closed before its digest is looked for. `deliver`: who does that,
    if not we."""
    restoring.reapply()
    try:
        closed = schedule.run()
    except Busy:
        closed = []
    return closed + [f"digest {digest_id}: worked on" for digest_id in sending.send_due(stop, deliver)]


def name_waiting() -> Piece:
    """Digests that wait for a person: named whenever somebody asks, and once in the log."""
    told: set[int] = set()

    def work(_stop: threading.Event) -> list[str]:
        waits = {digest.id: waiting_line(digest) for digest in sending.stale()}
        for digest_id in waits.keys() - told:
            log.warning("%s", waits[digest_id])
        told.update(waits)
        return list(waits.values())

    return work


def waiting_line(digest: Digest) -> str:
    at = local(digest.scheduled_at) if digest.scheduled_at else None
    when = f"; its time was {at:%Y-%m-%d %H:%M %Z}" if at else ""
    return f"digest {digest.id} waits for you{when}: 'mailer digest send {digest.id}' sends it"


def beat(_stop: threading.Event) -> list[str]:
    vitals.beat()
    return []


def forget_people(stop: threading.Event) -> list[str]:
    if not retention.is_due():
        return []
    return [f"forgot {count} {what}" for what, count in retention.tidy(stop).items()]


def forget_counts(_stop: threading.Event) -> list[str]:
    return ["limits: forgot old counts"] if counters.forget() else []


def rarely(piece: Piece) -> Piece:
    """`piece` for a loop that calls it all the time: it does something every minute."""
    next_at = 0.0

    def work(stop: threading.Event) -> list[str]:
        nonlocal next_at
        if time.monotonic() < next_at:
            return []
        next_at = time.monotonic() + CHORE_SECONDS
        return piece(stop)

    return work


PROMPT: tuple[Piece, ...] = (deliver_outbox, send_digests)
CHORES: tuple[Piece, ...] = (beat, name_waiting(), forget_people, forget_counts)  # what nobody waits for


def keep_going(piece: Piece, stop: threading.Event) -> None:
    """One piece, for a loop that must not end: trouble is logged, and tried again after a rest."""
    try:
        piece(stop)
    except Busy:
        return
    except Exception as error:
        known = error if isinstance(error, MailerError) else explain(error)
        if known is None:
            raise
        log.warning("%s", known)
        stop.wait(TROUBLE_SECONDS)


def in_app(app: Flask, piece: Piece) -> Callable[[threading.Event], None]:
    def work(stop: threading.Event) -> None:
        with app.app_context():
            keep_going(piece, stop)

    return work


@contextmanager
def at_work(app: Flask) -> Iterator[None]:
    """Do what is due as soon as it is, in threads that end with the letters they have begun."""
    # One for each piece: a letter that somebody waits for must not wait for a digest to thousands.
    senders = [Sender(in_app(app, piece)) for piece in (*PROMPT, *map(rarely, CHORES))]
    for thread in senders:
        thread.start()
    try:
        yield
    finally:
        for thread in senders:
            thread.end()
        for thread in senders:
            thread.join()

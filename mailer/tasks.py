"""The distributed engine's entry points: Celery's workers and its clock (`celery -A mailer.tasks worker`, `… beat`).

Each task calls one verb. That nobody is missed and nobody gets a letter twice is the ledger's doing, so any task may be
run at any time, any number of times, by any worker.
"""

import logging
import threading
import time
from functools import cache

from celery import Task, signals
from flask import Flask

from mailer import broker, due, logs
from mailer.app import create_app
from mailer.broker import celery
from mailer.config import settings
from mailer.db import db, explain
from mailer.delivery import account, engine
from mailer.delivery.engine import Watch
from mailer.digests import sending
from mailer.errors import Busy, ConfigError, MailerError

log = logging.getLogger(__name__)

TURN_SECONDS = 30.0  # then others may use the worker
GLANCE_SECONDS = 1.0  # so often it is asked whether a letter waits that somebody waits for

try:
    celery.conf.broker_url  # noqa: B018 - settings that can't work are said now, in one line
except ConfigError as error:
    raise SystemExit(f"mailer: {error}") from None


@signals.setup_logging.connect
def set_up_logs(loglevel: int, **_: object) -> None:
    logs.set_up(logs.JsonFormatter())
    logging.getLogger().setLevel(loglevel)


@signals.worker_ready.connect
def say_ready(**_: object) -> None:
    log.info("the worker is ready")


@cache
def application() -> Flask:
    """One for each process of a worker."""
    return create_app(lean=True)


@signals.worker_process_init.connect
def prepare(**_: object) -> None:
    """Before the first message comes, which somebody may wait for."""
    application()


class Verb(Task):  # type: ignore[misc]
    """Runs inside the application. Trouble is told in one line: the next look at the database brings the work again."""

    def __call__(self, *args: object) -> None:
        with application().app_context():
            try:
                self.run(*args)
            except Busy:
                return
            except Exception as error:
                known = error if isinstance(error, MailerError) else explain(error)
                if known is None:
                    raise
                log.warning("%s%s: %s", self.name, args, known)
            finally:
                db.session.remove()


@celery.task(base=Verb, name=broker.DIGEST)
def deliver_digest(digest_id: int, seat: int) -> None:
    """Work on a digest for a while, side by side with those in other seats."""
    stop = threading.Event()
    sending.deliver(digest_id, seat=seat, stop=stop, watch=until(stop, gives_way=True))
    if stop.is_set():
        broker.hand_out(digest_id, [seat])


def until(stop: threading.Event, *, gives_way: bool = False) -> Watch:
    """Ends a run after its turn; one that gives way also when a single letter waits and nobody sends it."""
    ends_at = time.monotonic() + TURN_SECONDS
    glance_at = 0.0

    def watch(_: object) -> None:
        nonlocal glance_at
        if time.monotonic() > glance_at:
            glance_at = time.monotonic() + GLANCE_SECONDS
            if glance_at > ends_at or (gives_way and account.is_neglected(None)):
                stop.set()

    return watch


@celery.task(base=Verb, name=broker.LETTERS)
def deliver_letters() -> None:
    """The letters that people wait for."""
    stop = threading.Event()
    engine.deliver(None, stop=stop, watch=until(stop))
    if stop.is_set():
        broker.hand_out_letters()


@celery.task(base=Verb, name=broker.LOOK)
def look() -> None:
    """Hand out what is due. It runs every few seconds, and nothing waits for it."""
    if account.is_neglected(None):
        broker.hand_out_letters()
    due.send_digests(threading.Event(), deliver=hand_out)


def hand_out(digest_id: int) -> None:
    broker.hand_out(digest_id, account.free_seats(digest_id, settings().send_workers))


@celery.task(base=Verb, name=broker.CHORES)
def do_chores() -> None:
    for chore in due.CHORES:
        for line in chore(threading.Event()):
            log.info("%s", line)

"""Handing work out to the workers of a distributed installation, by a broker (RabbitMQ or Redis) and Celery.

A message is a hint, never the only trace of a piece of work: what is to be done stands in the database, and a look at
it every few seconds says so again. A message that is lost, comes twice or comes late does no harm.
"""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from celery import Celery
from flask import current_app
from kombu.entity import Exchange, Queue
from kombu.exceptions import OperationalError

from mailer.config import Config
from mailer.errors import MailerError

log = logging.getLogger(__name__)

DIGEST, LETTERS, LOOK, CHORES = "mailer.digest", "mailer.letters", "mailer.look", "mailer.chores"
LOOK_SECONDS = 5.0
CHORE_SECONDS = 60.0
HINT_SECONDS = 60  # until a message is stale: the next look sends another
# Redis gives a message again that was not acknowledged by then. A worker is at one for half a minute, or for as long as
# a slow mail server takes for the letters on the wire; a second worker finds the seat taken.
REDELIVERY_SECONDS = 900
# Of Redis, which has no heartbeat as RabbitMQ has: a cut line is found out.
REDIS_PATIENCE = {"socket_connect_timeout": 5, "socket_timeout": 30, "socket_keepalive": True}
ONCE_MORE = {"max_retries": 1, "interval_start": 0}  # the connection may be from before the broker was restarted


class BrokerError(MailerError):
    """The broker can't be reached. Nothing is lost: the work stands in the database."""

    status = 503


def configuration() -> dict[str, Any]:
    config = Config.load()
    return {
        "broker_url": config.broker_url,
        "broker_connection_timeout": 4.0,
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {"visibility_timeout": REDELIVERY_SECONDS, **REDIS_PATIENCE},
        "task_queues": [queue(name) for name in ("letters", "digests", "chores")],
        "task_create_missing_queues": False,
        "task_routes": {
            LETTERS: {"queue": "letters"},
            DIGEST: {"queue": "digests"},
            LOOK: {"queue": "chores"},
            CHORES: {"queue": "chores"},
        },
        "task_ignore_result": True,
        # A worker that dies over a message must not take the next one with it: what it left is found at the next look.
        "task_acks_late": True,
        "task_reject_on_worker_lost": False,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "beat_schedule": {
            "look": {"task": LOOK, "schedule": LOOK_SECONDS, "options": {"expires": LOOK_SECONDS}},
            "chores": {"task": CHORES, "schedule": CHORE_SECONDS, "options": {"expires": CHORE_SECONDS}},
        },
    }


def queue(name: str) -> Queue:
    return Queue(name, Exchange("mailer"), routing_key=name, message_ttl=HINT_SECONDS)


celery = Celery("mailer", set_as_current=False)
celery.add_defaults(configuration)  # not called before the settings are needed


@contextmanager
def reaching() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise BrokerError(
            f"the broker can't be reached ({error}): start it, or see BROKER_URL; "
            "with MAILER_ENGINE=embedded this very command sends"
        ) from error


def check() -> None:
    """Raises BrokerError unless the broker answers."""
    with reaching(), celery.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)


def send(name: str, *arguments: object) -> None:
    """Raises BrokerError."""
    with reaching():
        celery.send_task(name, arguments, expires=HINT_SECONDS, retry=True, retry_policy=ONCE_MORE)


def hand_out(digest_id: int, seats: Iterable[int]) -> None:
    """Let workers take these seats at a digest. Raises BrokerError."""
    for seat in seats:
        send(DIGEST, digest_id, seat)


def hand_out_letters() -> None:
    """Let a worker deliver what lies in the outbox. Raises BrokerError."""
    send(LETTERS)


HERALD = "mailer.herald"


class Herald:
    """Tells the workers of letters that were just written, and lets nobody wait for that."""

    def __init__(self) -> None:
        self.told_soon = False
        self.executor: ThreadPoolExecutor | None = None  # not before the server has forked its processes

    def on_filled(self, _sender: object) -> None:
        if self.told_soon or current_app.extensions.get(HERALD) is not self:  # a letter of another installation
            return
        self.told_soon = True
        self.executor = self.executor or ThreadPoolExecutor(1, thread_name_prefix="herald")
        self.executor.submit(self.run)

    def run(self) -> None:
        self.told_soon = False  # a letter that is written from now on needs another message
        try:
            hand_out_letters()
        except BrokerError as error:
            log.warning("%s; the letters go out at the next look at the database", error)

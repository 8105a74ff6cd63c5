"""What is due now, over all rooms: letters in the outbox, scheduled digests, second tries. Retention joins here."""

import logging
import threading

from mailer.delivery import account, engine
from mailer.digests import sending
from mailer.errors import Busy, MailerError

log = logging.getLogger(__name__)


def run_due(stop: threading.Event) -> list[str]:
    """Do what is due; a line for each piece of work. Raises the last MailerError after all pieces had their turn."""
    done: list[str] = []
    trouble: MailerError | None = None
    for piece in (deliver_outbox, send_digests):
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
    if not account.is_due(None) and not account.has_abandoned(None):
        return []
    engine.deliver(None, stop=stop)
    return ["letters: delivered what was waiting"]


def send_digests(stop: threading.Event) -> list[str]:
    return [f"digest {digest_id}: worked on" for digest_id in sending.send_due(stop)]


def keep_going(stop: threading.Event) -> None:
    """`run_due` for a loop that must not end: trouble is logged once in a while and tried again."""
    try:
        run_due(stop)
    except MailerError as error:
        log.warning("%s", error)
        stop.wait(TROUBLE_SECONDS)


TROUBLE_SECONDS = 5.0

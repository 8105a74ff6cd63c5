"""Doing what a mail that came in asks for. Only its token counts, not who sent it nor what else it says."""

import logging
import re
from collections.abc import Iterable, Iterator

from mailer.config import settings
from mailer.db import explain
from mailer.errors import MailerError, NotFound
from mailer.intake.reading import Incoming
from mailer.links import Claim, Purpose, links
from mailer.lists import list_id
from mailer.subscriptions import leaving
from mailer.subscriptions.consent import Evidence

log = logging.getLogger(__name__)

MOST = 100  # tokens in one mail
AFTER_PLUS = re.compile(r"\+([a-z2-7]+)(?![^\s@<>,;\"])", re.IGNORECASE)
IN_SUBJECT = re.compile(r"\bunsubscribe\s+([\w.-]+)", re.IGNORECASE)


def take(addressed: Iterable[str], mail: Incoming) -> bool:
    """Let everybody leave whose token stands in one of the addresses or in the subject; whether there was any.

    Repeatable. Raises DatabaseError.
    """
    claims = list(dict.fromkeys(claims_in(addressed, mail.subject)))[:MOST]
    ours = [claim for claim in claims if claim.list_id == list_id()]
    for claim in ours:
        leaving.leave(claim, Evidence("mail", "", settings().languages[0]), goodbye=not mail.is_automatic)
    if not ours:
        log.warning("a mail came in without a token of this list: nothing was done")
    return bool(ours)


def claims_in(addressed: Iterable[str], subject: str) -> Iterator[Claim]:
    for text in addressed:
        yield from in_address(text)
    for found in IN_SUBJECT.finditer(subject):  # what letters ask for while there is no INTAKE_ADDRESS
        try:
            yield links().read(Purpose.UNSUBSCRIBE, found[1])
        except NotFound:
            continue


def in_address(text: str) -> Iterator[Claim]:
    for found in AFTER_PLUS.finditer(text):
        try:
            yield links().read_mail_token(found[1])
        except NotFound:
            continue


def is_to_leave(address: str) -> bool:
    """Whether mail to it is for nobody but us: an address of the intake, with a token or without."""
    local, _, domain = address.lower().rpartition("@")
    is_intake = f"{local.partition('+')[0]}@{domain}" == settings().intake_address
    return is_intake or any(True for _ in in_address(address))


def may_be_to_leave(address: str) -> bool:
    """Whether it can be known only from the mail: older letters let people write to the list's owner."""
    return is_to_leave(address) or address.lower() == settings().owner_address.lower()


def tell(error: Exception) -> None:
    """Log why a mail could not be taken and is to be given to us again."""
    known = error if isinstance(error, MailerError) else explain(error)
    if known:
        log.warning("a mail can't be taken now: %s", known)
    else:
        log.error("a mail can't be taken", exc_info=error)

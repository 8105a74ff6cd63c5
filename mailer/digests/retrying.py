"""Queueing letters of a digest again: those that were refused, and those whose fate nobody knows."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from mailer.db import take_turns, transaction
from mailer.delivery import ledger
from mailer.digests import selections
from mailer.digests.compose import lock
from mailer.digests.sending import ENLISTING, editions_of
from mailer.errors import NotAllowed
from mailer.models import Delivery, Digest, Subscriber
from mailer.states import DeliveryState, DigestState

RETRYABLE = {
    "failed": (DeliveryState.BOUNCED, DeliveryState.BLOCKED),
    "unknown": (DeliveryState.UNKNOWN,),
}


@dataclass(frozen=True)
class Narrower:
    """Which of the letters are meant: those to a domain, those whose fate was written down since a time."""

    domain: str | None = None
    since: datetime | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        if self.domain:
            theirs = Subscriber.email_key.endswith(f"@{self.domain}", autoescape=True)
            yield Delivery.subscriber_id.in_(select(Subscriber.id).where(theirs))
        if self.since:
            yield Delivery.settled_at >= self.since

    def __str__(self) -> str:
        to = f", to {self.domain}" if self.domain else ""
        return to + (f", since {self.since.isoformat()}" if self.since else "")


ALL_OF_THEM = Narrower()


def retry(digest_id: int, which: str, narrower: Narrower = ALL_OF_THEM) -> int:
    """Queue again the letters that `failed`, as they would be now, or those whose fate is `unknown`, as they were: the
    same bytes, the same Message-ID. How many."""
    with transaction() as session:
        digest = lock(session, digest_id)
        if digest.state not in (DigestState.SENT, DigestState.SENDING):
            raise NotAllowed(f"digest {digest_id} is {digest.state}: there is nothing to retry")
        rows = and_(ledger.in_scope(digest_id), Delivery.state.in_(RETRYABLE[which]), *narrower.conditions())
        if which == "failed":
            count = renew(session, digest, rows)
        else:
            count = ledger.requeue(session, rows, first_tried_at=None, resent=True)  # they may have arrived
        if count and digest.state is DigestState.SENT:
            digest.move(DigestState.SENDING)
    return count


def renew(session: Session, digest: Digest, rows: ColumnElement[bool]) -> int:
    """Letters that were refused brought nobody anything. Who has had all of theirs by another digest since, or left,
    gets none; what was corrected goes out corrected."""
    take_turns(session, ENLISTING)
    refused = select(Delivery.subscriber_id).where(rows)
    with editions_of(session, digest, selections.people(session, digest).where(Subscriber.id.in_(refused))):
        return ledger.renew(session, digest, rows)

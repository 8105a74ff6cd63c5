"""Sending a digest: freeze its words, enlist everyone confirmed, deliver, and say what became of each.

Every step may be run again: a digest that was interrupted goes on where it stopped.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from email.utils import parseaddr

from flask import current_app
from sqlalchemy import and_, select

from mailer.addresses import Address
from mailer.config import settings
from mailer.db import db, exclusive, now, transaction
from mailer.delivery import account, engine, ledger, recovery
from mailer.delivery.account import ReportLine, Tally
from mailer.delivery.engine import Watch
from mailer.delivery.envelope import Parcel
from mailer.delivery.outcomes import Outcome
from mailer.delivery.session import Session as SmtpSession
from mailer.digests import compose, editions
from mailer.digests.compose import lock
from mailer.errors import BadInput, Busy, MailerError, NotAllowed
from mailer.models import Delivery, Digest
from mailer.states import DeliveryState, DigestState

STARTABLE = (DigestState.DRAFT, DigestState.APPROVED)
RETRYABLE = {
    "failed": (DeliveryState.BOUNCED, DeliveryState.BLOCKED),
    "unknown": (DeliveryState.UNKNOWN,),
}


@dataclass(frozen=True)
class Status:
    """A digest's account: enlisted is the sum of all states."""

    digest: int
    state: DigestState
    tally: Tally
    next_at: datetime | None
    rate: float | None  # letters a second over the last ten, while a sender is at it

    @property
    def eta_seconds(self) -> int | None:
        """How long until everybody was tried, at this rate."""
        return round((self.tally.queued + self.tally.sending) / self.rate) if self.rate else None

    def as_json(self) -> dict[str, object]:
        counts = {"enlisted": self.tally.enlisted, **asdict(self.tally)}
        rate = None if self.rate is None else round(self.rate, 1)
        return {
            "digest": self.digest,
            "state": self.state.value,
            **counts,
            "rate": rate,
            "eta_seconds": self.eta_seconds,
        }


def status(digest_id: int) -> Status:
    digest = compose.find(digest_id)
    next_at = account.next_due(digest.id)
    return Status(digest.id, digest.state, account.tally(digest.id), next_at, account.rate(digest.id))


def audience(digest: Digest) -> int:
    """How many people the digest would go to if it were enlisted now."""
    return account.count_confirmed(digest.list_id, digest.frequency)


def check_startable(digest: Digest) -> None:
    """Raises NotAllowed with the command that helps."""
    if digest.state is DigestState.PAUSED:
        raise NotAllowed(f"digest {digest.id} is paused: run 'mailer digest resume {digest.id}' first")
    if digest.state is DigestState.CANCELLED:
        raise NotAllowed(f"digest {digest.id} was cancelled: compose a new one")


def approve(digest_id: int) -> Digest:
    """Freeze a draft: from here on its words are the stored editions, whatever happens to the announcements."""
    with transaction() as session:
        digest = lock(session, digest_id)
        if digest.state is DigestState.DRAFT:
            digest.move(DigestState.APPROVED)
            digest.approved_at = now()
            session.add_all(editions.stored(digest, rendered) for rendered in editions.render_all(digest))
    return digest


def schedule(digest_id: int, at: datetime) -> Digest:
    """Approve the digest to be sent at `at` by `run-due` or `serve`."""
    approve(digest_id)
    with transaction() as session:
        digest = lock(session, digest_id)
        if digest.state is not DigestState.APPROVED:
            raise NotAllowed(f"digest {digest_id} is {digest.state} and can't be scheduled")
        digest.scheduled_at = at
    return digest


def enlist(digest_id: int) -> int:
    """Write down everyone the digest goes to, once and for all. Raises BadInput if there is nobody."""
    with transaction() as session:
        digest = lock(session, digest_id)
        if digest.state is not DigestState.APPROVED:
            return account.tally_of(session, digest_id).enlisted
        by_language = {edition.language: edition.id for edition in digest.editions}
        fallback = next((code for code in settings().languages if code in by_language), digest.editions[0].language)
        count = ledger.enlist(session, digest, by_language, fallback, now())
        if not count:
            raise nobody(digest_id)
        digest.move(DigestState.SENDING)
    return count


def nobody(digest_id: int) -> BadInput:
    return BadInput(f"nobody would get digest {digest_id}: no confirmed subscriber matches; nothing was sent")


def set_rate(digest_id: int, rate: int) -> None:
    """Letters a second for this digest, instead of the setting's; 0: no limit. A sender at work notices at once."""
    with transaction() as session:
        lock(session, digest_id).rate = rate


def send(digest_id: int, *, stop: threading.Event, watch: Watch = lambda _: None) -> Status:
    """Freeze, enlist and deliver, or go on with what is left.

    Raises Busy if another process is sending it, MailServerError if the server stays in trouble: nothing is lost.
    """
    digest = compose.find(digest_id)
    check_startable(digest)
    if digest.state is DigestState.DRAFT and not audience(digest):
        raise nobody(digest_id)  # before its words are frozen
    if digest.state in STARTABLE:
        approve(digest_id)
        enlist(digest_id)
    if compose.find(digest_id).state is DigestState.SENDING:
        engine.deliver(digest_id, sessions=settings().send_sessions, stop=stop, watch=watch)
        finish(digest_id)
    return status(digest_id)


def finish(digest_id: int) -> None:
    """A digest with nothing left to try is sent; letters of unknown fate are held, not tried.

    What came back from the couriers after a cancellation is cancelled too.
    """
    with transaction() as session:
        digest = lock(session, digest_id)
        if digest.state is DigestState.CANCELLED:
            ledger.cancel_open(session, digest_id)
        if digest.state is DigestState.SENDING and not account.is_open(session, digest):
            digest.move(DigestState.SENT)
            digest.sent_at = now()


def send_due(stop: threading.Event) -> list[int]:
    """Send what is due: digests whose time has come, and letters whose second try has. The digests worked on."""
    worked = []
    trouble: MailerError | None = None
    query = select(Digest).where(Digest.state.in_((DigestState.APPROVED, DigestState.SENDING)))
    for digest in db.session.scalars(query.order_by(Digest.id)).all():
        if stop.is_set() or not has_work(digest):
            continue
        try:
            send(digest.id, stop=stop)
        except (Busy, NotAllowed):
            continue  # a `digest send` is at it, or somebody paused or cancelled it
        except MailerError as error:
            trouble = error
            continue
        worked.append(digest.id)
    if trouble:
        raise trouble
    return worked


def has_work(digest: Digest) -> bool:
    """Whether its time has come, or that of a letter; or nothing keeps it open but that nobody has closed it."""
    if digest.state is DigestState.APPROVED:
        return digest.scheduled_at is not None and digest.scheduled_at <= now()
    return account.is_due(digest.id) or not account.is_open(db.session(), digest)


def pause(digest_id: int) -> None:
    """Raises NotAllowed for a digest that is not being sent."""
    with transaction() as session:
        lock(session, digest_id).move(DigestState.PAUSED)


def resume(digest_id: int) -> None:
    """Raises NotAllowed for a digest that is not paused."""
    with transaction() as session:
        digest = lock(session, digest_id)
        if digest.state is not DigestState.PAUSED:
            raise NotAllowed(f"digest {digest_id} is {digest.state}, not paused: there is nothing to resume")
        digest.move(DigestState.SENDING)


def cancel(digest_id: int) -> None:
    """Nothing more goes out; what arrived stays on record."""
    with transaction() as session:
        digest = lock(session, digest_id)
        digest.move(DigestState.CANCELLED)
        ledger.cancel_open(session, digest_id)
    with suppress(Busy), exclusive(engine.scope(digest_id)):  # a sender that is at it ends by itself, see `finish`
        recovery.recover(digest_id)
        finish(digest_id)


def retry(digest_id: int, which: str) -> int:
    """Queue again the letters that `failed` or whose fate is `unknown`: same bytes, same Message-ID. How many."""
    with transaction() as session:
        digest = lock(session, digest_id)
        if digest.state not in (DigestState.SENT, DigestState.SENDING):
            raise NotAllowed(f"digest {digest_id} is {digest.state}: there is nothing to retry")
        rows = and_(ledger.in_scope(digest_id), Delivery.state.in_(RETRYABLE[which]))
        count = ledger.requeue(session, rows, first_tried_at=None)
        if count and digest.state is DigestState.SENT:
            digest.move(DigestState.SENDING)
    return count


def report(digest_id: int) -> Iterator[ReportLine]:
    """What became of every recipient's letter."""
    compose.find(digest_id)
    return account.report(digest_id)


def send_test(digest_id: int, to: Sequence[Address], code: str) -> list[tuple[Address, Outcome]]:
    """One marked copy to each address, outside the ledger; what became of each."""
    digest = compose.find(digest_id)
    rendered = editions.render_edition(digest, code, test=True)
    sender = parseaddr(settings().sender)[1]
    session = SmtpSession(current_app.extensions["mail"], settings())
    outcomes = []
    try:
        for address in to:
            copy = editions.copy_for(rendered, editions.sample(digest, rendered, address.email))
            outcomes.append((address, session.deliver(Parcel(address, sender, address.email, copy))))
    finally:
        session.close()
    return outcomes

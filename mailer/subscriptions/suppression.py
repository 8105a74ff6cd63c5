"""Whom no import may bring back: those who left long ago, and those who asked never to be written to again."""

from collections.abc import Collection, Iterable, Sequence
from functools import cache

from sqlalchemy import Select, bindparam, delete, select
from sqlalchemy.orm import Session

from mailer import audit, bulk
from mailer.addresses import Address
from mailer.db import db, insert_new, now, transaction
from mailer.errors import NotAllowed, NotFound
from mailer.models import Subscriber, Suppression
from mailer.pepper import address_hash
from mailer.states import SuppressionReason
from mailer.subscriptions import throttle


def suppress(session: Session, email_hash: str, reason: SuppressionReason) -> None:
    """In the caller's transaction. Who asked never to be written to is not forgotten for a weaker reason."""
    if reason is SuppressionReason.ASKED:
        session.execute(delete(Suppression).where(Suppression.email_hash == email_hash))
    insert_new(session, Suppression, email_hash=email_hash, reason=reason, at=now())


def must_not_be_mailed(session: Session, email_hashes: Sequence[str]) -> Collection[str]:
    """Those of them who asked never to be written to again: not even their own sign-up is answered by a letter."""
    return set(session.connection().scalars(have_asked(), {"hashes": list(email_hashes)}))


@cache
def have_asked() -> Select[str]:
    these = Suppression.email_hash.in_(bindparam("hashes", expanding=True))
    return select(Suppression.email_hash).where(these, Suppression.reason == SuppressionReason.ASKED)


def check(address: Address) -> None:
    """For an operator, who is told. Raises NotAllowed if this person asked never to be written to again."""
    if must_not_be_mailed(db.session(), [address_hash(address)]):
        raise NotAllowed(
            f"{address} asked never to be written to again; at their own word, 'mailer subscriber allow' lifts that"
        )


def allow(address: Address, *, by: str) -> None:
    """Let somebody be written to again, at their own word. Raises NotFound if nothing is in the way."""
    with transaction() as session:
        rows = delete(Suppression).where(Suppression.email_hash == address_hash(address))
        if not session.connection().execute(rows).rowcount:
            raise NotFound("nobody of this address asked never to be written to")
        throttle.forgive(session, address.key)
        audit.note(session, by, "allow", "somebody who had asked never to be written to")


def remembered(session: Session, addresses: Iterable[Address]) -> dict[str, SuppressionReason]:
    """{address key: why} of those that must not be imported although no row has their address."""
    keys = {address_hash(address): address.key for address in addresses}
    hashes = bulk.these(session, keys)
    left = select(Subscriber.email_hash).where(Subscriber.email_hash.in_(hashes))
    found = {keys[str(email_hash)]: SuppressionReason.LEFT for email_hash in session.scalars(left)}
    rows = select(Suppression.email_hash, Suppression.reason).where(Suppression.email_hash.in_(hashes))
    return found | {keys[email_hash]: reason for email_hash, reason in session.execute(rows)}
